//! Archive files: a crafted one is decoded or refused, in bounded memory and without a panic.

use std::sync::OnceLock;

use config_backup::archive::parquet::{ArchivedRecord, decode_archive, encode_archive};
use config_backup::archive::{ArchiveError, ArchiveRow};
use config_backup::keys::RecordKey;
use config_backup::s3::listing::ObjectMeta;

/// Each three bytes of `data` change one byte of a valid file: its distance from the end, and the
/// new value. So inputs are small, and most of them change the footer.
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

/// Decoded records are valid, and an error is one line that does not quote a record.
pub fn judge(read: &Result<Vec<ArchivedRecord>, ArchiveError>) {
    match read {
        Ok(records) => {
            for ArchivedRecord { object, body } in records {
                assert_eq!(object.size, body.len() as u64, "{object:?}");
                assert!(RecordKey::parse(&object.key).is_some(), "{object:?}");
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
            let body = format!(
                "{{\"user\":\"canary\",\"git\":{{\"commit\":\"c\",\"dirty\":true}},\
                 \"additional_users_count\":{second}}}\n"
            );
            let object = ObjectMeta {
                key: format!("usage-logs/acme/2026-01-02_03040{second}.json"),
                last_modified: chrono::DateTime::default(),
                size: body.len() as u64,
                etag: "\"e\"".to_owned(),
            };
            let body = body.into_bytes();
            ArchiveRow::from_record(ArchivedRecord { object, body }).expect("a record")
        };
        encode_archive(&[1, 2, 3].map(record)).expect("a file")
    })
}
