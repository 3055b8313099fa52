//! Objects of the archive: whatever somebody has made of one, it is read or refused, in bounded memory and without a panic.

use std::sync::OnceLock;

use config_backup::archive::parquet::{ArchivedRecord, decode_archive, encode_archive};
use config_backup::archive::{ArchiveError, ArchiveRow};
use config_backup::keys::RecordKey;
use config_backup::s3::listing::ObjectMeta;

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
    judge(&decode_archive(file));
}

/// What comes out of a file is what records can be; a refusal is one line that quotes none of them.
pub fn judge(read: &Result<Vec<ArchivedRecord>, ArchiveError>) {
    match read {
        Ok(records) => {
            for ArchivedRecord {
                object: listed,
                body,
            } in records
            {
                assert_eq!(listed.size, body.len() as u64, "{listed:?}");
                assert!(RecordKey::parse(&listed.key).is_some(), "{listed:?}");
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 400, "{message}");
            assert!(!message.contains('\n'), "{message}");
            assert!(!message.contains("canary"), "{message}");
        }
    }
}

/// A file of three records, as `compact` writes it.
#[must_use]
pub fn whole() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let record = |second: u64| {
            let body = format!("{{\"user\":\"canary\",\"git\":{{\"commit\":\"c\",\"dirty\":true}},\"additional_users_count\":{second}}}\n");
            let listed = ObjectMeta {
                key: format!("usage-logs/acme/2026-01-02_03040{second}.json"),
                last_modified: chrono::DateTime::default(),
                size: body.len() as u64,
                etag: "\"e\"".to_owned(),
            };
            ArchiveRow::from_record(ArchivedRecord { object: listed, body: body.into_bytes() }).expect("a record")
        };
        encode_archive(&[1, 2, 3].map(record)).expect("a file")
    })
}
