//! Archive files are decoded as they were encoded, and other files are refused.
//!
//! tests/engines checks what DuckDB and Trino read.

use super::*;
use crate::record::parse::RecordError;

fn object_meta(key: &str, body: &str) -> ObjectMeta {
    let modified = "2026-03-02T08:00:01.250Z".parse().expect("a time");
    ObjectMeta {
        key: key.to_owned(),
        last_modified: modified,
        size: body.len() as u64,
        etag: "\"0f\"".to_owned(),
    }
}

fn row_from_text(key: &str, body: &str) -> std::result::Result<ArchiveRow, RecordError> {
    ArchiveRow::from_record(ArchivedRecord {
        object: object_meta(key, body),
        body: body.as_bytes().to_vec(),
    })
}

/// A record with a value for each column, one with almost none, and one with the largest count.
fn sample_rows() -> Vec<ArchiveRow> {
    let full = r#"{"timestamp":"2026-03-02T08:00:00.5Z","customer":"acme","user":"arn:aws:iam::1:user/é","additional_users_count":7,"late":true,"git":{"commit":"c","branch":"b","dirty":true},"ci":{"provider":"p","run_url":"u"},"chain":{"writer":"w","number":3,"previous":"00"}}"#;
    let records = [
        ("usage-logs/acme/2026-03-02_080000.json", full),
        (
            "usage-logs/acme/2026-03-02_080001.json",
            "\u{feff}{\"user\":7}\n",
        ),
        (
            "usage-logs/acme/d188280766a258ccc135ef480b49230c.json",
            r#"{"additional_users_count":18446744073709551615}"#,
        ),
    ];
    let read: std::result::Result<Vec<ArchiveRow>, RecordError> = records
        .map(|(key, body)| {
            row_from_text(
                key,
                &body.replacen(
                    '}',
                    ",\"customer\":\"acme\"}",
                    usize::from(key.contains("d188")),
                ),
            )
        })
        .into_iter()
        .collect();
    read.expect("records")
}

#[test]
fn records_are_decoded_byte_for_byte() {
    let rows = sample_rows();
    let records: Vec<ArchivedRecord> = rows.iter().map(|row| row.archived.clone()).collect();
    let file = encode_archive(&rows).expect("a file");
    assert_eq!(
        (&file[..4], &file[file.len() - 4..]),
        (&b"PAR1"[..], &b"PAR1"[..])
    );
    assert_eq!(decode_archive(file.clone()), Ok(records));
    let again = encode_archive(&sample_rows()).expect("a file");
    assert_eq!(again, file, "the same records give the same bytes");
    let fewer = encode_archive(&rows[1..]).expect("a file");
    assert_ne!(fewer, file);
    assert_eq!(
        rows[0].object().key,
        "usage-logs/acme/2026-03-02_080000.json"
    );
}

#[test]
fn columns_hold_the_values_of_the_record() {
    let (rows, sheet) = (
        sample_rows(),
        encode_archive(&sample_rows()).expect("a file"),
    );
    let file = SerializedFileReader::new(Bytes::from(sheet)).expect("a file");
    let group = file.get_row_group(0).expect("a group");
    let text = |name| {
        read_text_column(&*group, name, rows.len())
            .expect(name)
            .iter()
            .map(|it| it.as_utf8().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        text("timestamp"),
        [
            "2026-03-02T08:00:00.500Z",
            "2026-03-02T08:00:01Z",
            "2026-03-02T08:00:01.250Z"
        ]
    );
    assert_eq!(
        (text("customer"), text("user")),
        (
            vec!["acme".into(); 3],
            vec!["é".into(), "7".into(), String::new()]
        )
    );
    assert_eq!(
        (text("git_commit"), text("ci_run_url")),
        (
            vec!["c".into(), String::new(), String::new()],
            vec!["u".into(), String::new(), String::new()]
        )
    );
    assert_eq!(text(MODIFIED_COLUMN), ["2026-03-02T08:00:01.250Z"; 3]);
    // printf '\xef\xbb\xbf{"user":7}\n' | sha256sum
    assert_eq!(
        text("sha256")[1],
        "ae7b72fd3947d62b5370c769f383e3cba6fe1b8966ef6076cd99938c737d93b4"
    );
    let ColumnReader::FixedLenByteArrayColumnReader(counts) =
        open_column(&*group, "additional_users_count").expect("counts")
    else {
        panic!("a type")
    };
    let counts = read_all_values(counts, 3).expect("counts");
    let expected = [7, 0, u64::MAX].map(|count| [&[0][..], &count.to_be_bytes()].concat());
    assert!(
        counts
            .iter()
            .zip(&expected)
            .all(|(got, wanted)| got.data() == wanted.as_slice()),
        "{counts:?}"
    );
    let nulls = |name: &str| {
        let place = group
            .metadata()
            .schema_descr()
            .columns()
            .iter()
            .position(|column| column.name() == name)
            .expect(name);
        group
            .metadata()
            .column(place)
            .statistics()
            .and_then(parquet::file::statistics::Statistics::null_count_opt)
    };
    assert_eq!(
        [
            "chain_writer",
            "chain_number",
            "chain_previous",
            "git_dirty"
        ]
        .map(nulls),
        [Some(2); 4]
    );
}

#[test]
fn rejects_objects_that_are_not_records() {
    let damaged = row_from_text("usage-logs/acme/2026-03-02_080000.json", "{");
    let error = RecordError::InvalidJson { line: 1, column: 1 };
    assert_eq!(damaged.err(), Some(error));
    let config = row_from_text("terragrunt/acme/config.yaml", "{\"user\":7}");
    assert_eq!(config.err(), Some(RecordError::InvalidKey));
}

#[test]
fn rejects_damaged_files() {
    for bytes in [&b""[..], b"PAR1", b"PAR1PAR1PAR1PAR1"] {
        let error = decode_archive(bytes.to_vec()).expect_err("not a file");
        let message = error.to_string();
        assert!(message.starts_with("not a valid archive file: "));
        assert!(!message.contains('\n'));
    }
    let file = encode_archive(&sample_rows()).expect("a file");
    assert!(decode_archive(file[..file.len() - 9].to_vec()).is_err());
    let mut of_other_size = sample_rows();
    of_other_size[1].archived.object.size += 1;
    let file = encode_archive(&of_other_size).expect("a file");
    let error = decode_archive(file).expect_err("a wrong size");
    let message = "not a valid archive file: Parquet error: \
                   a record does not match its key or size";
    assert_eq!(error.to_string(), message);
    let mut of_other_key = sample_rows();
    of_other_key[1].archived.object.key = "terragrunt/acme/config.yaml".to_owned();
    assert!(decode_archive(encode_archive(&of_other_key).expect("a file")).is_err());
}

#[test]
fn rejects_files_too_large_when_unpacked() {
    let unpacked = |bytes: i64| {
        let columns = Arc::new(parquet::schema::types::SchemaDescriptor::new(Arc::new(
            parse_message_type("message a { REQUIRED INT64 b; }").expect("a schema"),
        )));
        let column = parquet::file::metadata::ColumnChunkMetaData::builder(columns.column(0))
            .build()
            .expect("a column");
        let group = RowGroupMetaData::builder(Arc::clone(&columns))
            .set_total_byte_size(bytes)
            .set_column_metadata(vec![column])
            .build()
            .expect("a group");
        let file = parquet::file::metadata::FileMetaData::new(1, 1, None, None, columns, None);
        check_unpacked_size(&ParquetMetaData::new(file, vec![group])).is_ok()
    };
    assert_eq!(
        [-1, 0, MAX_UNPACKED_BYTES, MAX_UNPACKED_BYTES + 1].map(unpacked),
        [false, true, true, false]
    );
}
