//! Objects of the archive: whatever somebody has made of one, it is read or refused, in bounded memory and without a panic.

use std::sync::OnceLock;

use config_backup::listing::Listed;
use config_backup::parts::{Archived, Row, decode, encode};

/// Each three bytes of `data` change one byte of a file that is whole: how far from its end, where the footer is, and what it is then.
/// So an input is small, and does not have to find out what such a file looks like.
pub fn run(data: &[u8]) {
    let mut file = whole().to_vec();
    let (changes, _) = data.as_chunks::<3>();
    for [high, low, byte] in changes {
        let back = usize::from(u16::from_be_bytes([*high, *low])) % file.len();
        let last = file.len() - 1;
        file[last - back] = *byte;
    }
    judge(&decode(file));
}

/// What comes out of a file is what records can be; a refusal is one line that quotes none of them.
pub fn judge(read: &Result<Vec<Archived>, String>) {
    match read {
        Ok(records) => {
            for Archived { listed, body } in records {
                assert_eq!(listed.size, body.len() as u64, "{listed:?}");
                assert!(
                    config_backup::layout::parse_log_key(&listed.key).is_some(),
                    "{listed:?}"
                );
            }
        }
        Err(why) => assert!(
            why.len() < 400 && !why.contains('\n') && !why.contains("canary"),
            "{why}"
        ),
    }
}

/// A file of three records, as `compact` writes it.
#[must_use]
pub fn whole() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let record = |second: u64| {
            let body = format!("{{\"user\":\"canary\",\"git\":{{\"commit\":\"c\",\"dirty\":true}},\"additional_users_count\":{second}}}\n");
            let listed = Listed {
                key: format!("usage-logs/acme/2026-01-02_03040{second}.json"),
                modified: chrono::DateTime::default(),
                size: body.len() as u64,
                etag: "\"e\"".to_owned(),
            };
            Row::of(Archived { listed, body: body.into_bytes() }).expect("a record")
        };
        encode(&[1, 2, 3].map(record)).expect("a file")
    })
}
