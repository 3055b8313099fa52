//! Archive files are decoded as they were encoded, and other files are refused.
//!
//! tests/engines checks what DuckDB and Trino read.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

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
    let full = r#"{"timestamp":"2026-03-02T08:00:00.5Z","customer":"acme",
        "user":"arn:aws:iam::1:user/é","additional_users_count":7,"late":true,
        "git":{"commit":"c","branch":"b","dirty":true},"ci":{"provider":"p","run_url":"u"},
        "chain":{"writer":"w","number":3,"previous":"00"}}"#;
    let largest = r#"{"additional_users_count":18446744073709551615,"customer":"acme",
        "user":"arn:aws:sts::1:assumed-role/Deployer/1700000000"}"#;
    let mut rows = Vec::new();
    for (name, body) in [
        ("2026-03-02_080000", full),
        ("2026-03-02_080001", "\u{feff}{\"user\":7}\n"),
        ("d188280766a258ccc135ef480b49230c", largest),
    ] {
        let key = format!("usage-logs/acme/{name}.json");
        rows.push(row_from_text(&key, body).expect("a record"));
    }
    rows
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

/// The file of [`sample_rows`].
struct SampleFile {
    reader: ArchiveFileReader,
    metadata: ParquetMetaData,
}

impl SampleFile {
    fn encode() -> Self {
        let file = encode_archive(&sample_rows()).expect("a file");
        let metadata = ParquetMetaDataReader::new();
        let metadata = metadata.parse_and_finish(&Bytes::from(file.clone()));
        Self {
            reader: ArchiveFileReader::open(file).expect("a file"),
            metadata: metadata.expect("metadata"),
        }
    }

    fn read_column<T: DataType>(&mut self, name: &str) -> Result<Vec<T::T>> {
        self.reader.read_column::<T>(0, name)
    }

    fn read_texts(&mut self, column: &str) -> Vec<String> {
        let values = self.read_column::<ByteArrayType>(column);
        let mut texts = Vec::new();
        for value in values.expect(column) {
            texts.push(value.as_utf8().expect("text").to_owned());
        }
        texts
    }

    fn null_count(&self, name: &str) -> Option<u64> {
        let mut columns = self.metadata.row_group(0).columns().iter();
        let column = columns.find(|column| column.column_descr().name() == name)?;
        column.statistics()?.null_count_opt()
    }
}

#[test]
fn text_columns_hold_the_values_of_the_record() {
    let mut file = SampleFile::encode();
    let times = [
        "2026-03-02T08:00:00.500Z",
        "2026-03-02T08:00:01Z",
        "2026-03-02T08:00:01.250Z",
    ];
    assert_eq!(file.read_texts("timestamp"), times);
    assert_eq!(file.read_texts("customer"), ["acme"; 3]);
    assert_eq!(file.read_texts("user"), ["é", "7", "Deployer"]);
    assert_eq!(file.read_texts("git_commit"), ["c", "", ""]);
    assert_eq!(file.read_texts("ci_run_url"), ["u", "", ""]);
    assert_eq!(
        file.read_texts(MODIFIED_COLUMN),
        ["2026-03-02T08:00:01.250Z"; 3]
    );
    // printf '\xef\xbb\xbf{"user":7}\n' | sha256sum
    let sha256 = "ae7b72fd3947d62b5370c769f383e3cba6fe1b8966ef6076cd99938c737d93b4";
    assert_eq!(file.read_texts("sha256")[1], sha256);
}

#[test]
fn unknown_values_are_null() {
    let file = SampleFile::encode();
    for column in [
        "chain_writer",
        "chain_number",
        "chain_previous",
        "git_dirty",
    ] {
        assert_eq!(file.null_count(column), Some(2), "{column}");
    }
}

#[test]
fn counts_are_decimals_in_big_endian() {
    let mut file = SampleFile::encode();
    let column = "additional_users_count";
    let counts = file.read_column::<FixedLenByteArrayType>(column);
    let counts = counts.expect("counts");
    for (count, expected) in counts.iter().zip([7, 0, u64::MAX]) {
        let bytes = [&[0][..], &expected.to_be_bytes()].concat();
        assert_eq!(count.data(), bytes);
    }
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
fn rejects_columns_of_another_type_or_without_a_value() {
    let mut file = SampleFile::encode();
    let error = file.read_column::<Int64Type>(KEY_COLUMN);
    let error = error.expect_err("text");
    assert!(
        error.to_string().ends_with("`key` has the wrong type"),
        "{error}"
    );
    for column in ["chain_writer", "of_a_later_version"] {
        assert!(file.read_column::<ByteArrayType>(column).is_err());
    }
}

/// A record with this many bytes, under a key with this number.
fn padded_row(number: usize, bytes: usize) -> ArchiveRow {
    let head = r#"{"user":"u","pad":""#;
    let body = format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2));
    let key = format!("usage-logs/acme/{number:032x}.json");
    row_from_text(&key, &body).expect("a record")
}

#[test]
fn reads_the_largest_file_that_is_written() {
    let rows: Vec<ArchiveRow> = (0..16).map(|it| padded_row(it, 1 << 20)).collect();
    let file = encode_archive(&rows).expect("a file");
    assert_eq!(decode_archive(file).expect("records").len(), 16);
    let rows: Vec<ArchiveRow> = (0..MAX_RECORDS_PER_FILE)
        .map(|number| padded_row(number, 40))
        .collect();
    let file = encode_archive(&rows).expect("a file");
    let records = decode_archive(file).expect("records");
    assert_eq!(records.len(), MAX_RECORDS_PER_FILE);
}

#[test]
fn rejects_files_too_large_when_unpacked() {
    let message = |rows: &[ArchiveRow]| {
        let file = encode_archive(rows).expect("a file");
        decode_archive(file).expect_err("too large").to_string()
    };
    let many: Vec<ArchiveRow> = (0..=MAX_ROWS).map(|it| padded_row(it, 40)).collect();
    assert!(message(&many).ends_with("20001 rows, the limit is 20000"));
    let large: Vec<ArchiveRow> = (0..33).map(|it| padded_row(it, 1 << 20)).collect();
    let error = message(&large);
    assert!(
        error.ends_with("more than 33554432 bytes unpacked"),
        "{error}"
    );
}
