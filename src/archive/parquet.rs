//! Encodes usage records of one customer as a Parquet file, and decodes such a file.
//!
//! Must not know which records belong together.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArray, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::archive::ArchiveError;
use crate::archive::columns::{
    ARCHIVE_COLUMNS, ArchiveColumn, ArchiveRow, ETAG_COLUMN, HIGH_CARDINALITY_COLUMNS, KEY_COLUMN,
    MODIFIED_COLUMN, RECORD_COLUMN, SIZE_COLUMN,
};
use crate::error::to_single_line;
use crate::keys::RecordKey;
use crate::s3::listing::ObjectMeta;
use crate::system::panics;

/// The most bytes that a file may have when it is unpacked: several times what is ever written.
const MAX_UNPACKED_BYTES: i64 = 256 << 20;

const ZSTD_LEVEL: i32 = 9;

/// A record as it lies in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedRecord {
    pub object: ObjectMeta,
    pub body: Vec<u8>,
}

/// Encodes records as one file. The same records always give the same bytes.
///
/// # Errors
/// See the Parquet library.
pub fn encode_archive(rows: &[ArchiveRow]) -> Result<Vec<u8>> {
    let mut writer =
        SerializedFileWriter::new(Vec::new(), parquet_schema()?, writer_properties()?)?;
    let mut group = writer.next_row_group()?;
    for (_, column) in &ARCHIVE_COLUMNS {
        let Some(mut column_writer) = group.next_column()? else {
            break;
        };
        write_column(column_writer.untyped(), column, rows)?;
        column_writer.close()?;
    }
    group.close()?;
    writer.into_inner()
}

fn parquet_schema() -> Result<TypePtr> {
    let mut fields = String::new();
    for (name, column) in &ARCHIVE_COLUMNS {
        fields.push_str(&column.schema_field(name));
    }
    let schema = parse_message_type(&format!("message usage_record {{ {fields} }}"))?;
    Ok(Arc::new(schema))
}

fn writer_properties() -> Result<WriterPropertiesPtr> {
    let compression = Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?);
    let mut properties = WriterProperties::builder().set_compression(compression);
    for name in HIGH_CARDINALITY_COLUMNS {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    Ok(Arc::new(properties.build()))
}

fn write_column(
    writer: &mut ColumnWriter<'_>,
    column: &ArchiveColumn,
    rows: &[ArchiveRow],
) -> Result<()> {
    use ArchiveColumn as Column;
    use ColumnWriter as Writer;

    match (writer, column) {
        (Writer::ByteArrayColumnWriter(writer), Column::Text(get)) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| byte_array(get(row))).collect();
            writer.write_batch(&values, None, None)?;
        }
        (Writer::ByteArrayColumnWriter(writer), Column::OptionalText(get)) => {
            let (values, levels) = split_optional(rows, *get);
            let values: Vec<ByteArray> = values.into_iter().map(byte_array).collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        (Writer::BoolColumnWriter(writer), Column::Flag(get)) => {
            let values: Vec<bool> = rows.iter().map(get).collect();
            writer.write_batch(&values, None, None)?;
        }
        (Writer::BoolColumnWriter(writer), Column::OptionalFlag(get)) => {
            let (values, levels) = split_optional(rows, *get);
            writer.write_batch(&values, Some(&levels), None)?;
        }
        (Writer::Int64ColumnWriter(writer), Column::Number(get)) => {
            let values: Vec<i64> = rows.iter().map(get).collect();
            writer.write_batch(&values, None, None)?;
        }
        (Writer::Int64ColumnWriter(writer), Column::OptionalNumber(get)) => {
            let (values, levels) = split_optional(rows, *get);
            writer.write_batch(&values, Some(&levels), None)?;
        }
        (Writer::FixedLenByteArrayColumnWriter(writer), Column::Count(get)) => {
            let values: Vec<FixedLenByteArray> =
                rows.iter().map(|row| decimal_bytes(get(row))).collect();
            writer.write_batch(&values, None, None)?;
        }
        _ => return Err(invalid_file("a column has another type than its values")),
    }
    Ok(())
}

fn byte_array(text: String) -> ByteArray {
    ByteArray::from(text.into_bytes())
}

/// Big-endian, with a byte for the sign in front.
fn decimal_bytes(count: u64) -> FixedLenByteArray {
    FixedLenByteArray::from([&[0][..], &count.to_be_bytes()].concat())
}

/// The values that exist, and the definition level of each row: 1 where it has a value.
fn split_optional<T>(rows: &[ArchiveRow], get: fn(&ArchiveRow) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::new();
    let mut levels = Vec::new();
    for row in rows {
        let value = get(row);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

/// Decodes a file of [`encode_archive`], or of a later version that may have more columns.
///
/// The file may be crafted. The Parquet library can panic on malformed input, so a panic is
/// treated as an invalid file.
///
/// # Errors
/// The file is not one that [`encode_archive`] makes.
pub fn decode_archive(file: Vec<u8>) -> std::result::Result<Vec<ArchivedRecord>, ArchiveError> {
    let cause = match panics::catch_panic(|| read_file(file)) {
        Ok(Ok(records)) => return Ok(records),
        Ok(Err(error)) => to_single_line(&error.to_string()),
        Err(_) => "malformed".to_owned(),
    };
    Err(ArchiveError::InvalidFile(cause))
}

fn read_file(file: Vec<u8>) -> Result<Vec<ArchivedRecord>> {
    let reader = SerializedFileReader::new(Bytes::from(file))?;
    check_unpacked_size(reader.metadata())?;
    let mut records = Vec::new();
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        records.append(&mut read_row_group(&*group)?);
    }
    Ok(records)
}

fn check_unpacked_size(metadata: &ParquetMetaData) -> Result<()> {
    let groups = metadata.row_groups().iter();
    let bytes: i64 = groups.map(RowGroupMetaData::total_byte_size).sum();
    if (0..=MAX_UNPACKED_BYTES).contains(&bytes) {
        Ok(())
    } else {
        let message = format!("{bytes} bytes unpacked, the limit is {MAX_UNPACKED_BYTES}");
        Err(ParquetError::General(message))
    }
}

fn read_row_group(group: &dyn RowGroupReader) -> Result<Vec<ArchivedRecord>> {
    let row_count = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    let keys = read_text_column(group, KEY_COLUMN, row_count)?;
    let times = read_text_column(group, MODIFIED_COLUMN, row_count)?;
    let etags = read_text_column(group, ETAG_COLUMN, row_count)?;
    let bodies = read_text_column(group, RECORD_COLUMN, row_count)?;
    let sizes = read_size_column(group, row_count)?;

    let mut records = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let object = ObjectMeta {
            key: keys[index].as_utf8()?.to_owned(),
            last_modified: parse_time(times[index].as_utf8()?)?,
            size: u64::try_from(sizes[index]).unwrap_or_default(),
            etag: etags[index].as_utf8()?.to_owned(),
        };
        if object.size != body.len() as u64 || RecordKey::parse(&object.key).is_none() {
            return Err(invalid_file("a record does not match its key or size"));
        }
        let body = body.data().to_vec();
        records.push(ArchivedRecord { object, body });
    }
    Ok(records)
}

fn parse_time(text: &str) -> Result<DateTime<Utc>> {
    let time = text.parse();
    time.map_err(|_| invalid_file(&format!("a `{MODIFIED_COLUMN}` is not an RFC 3339 time")))
}

fn read_text_column(
    group: &dyn RowGroupReader,
    name: &str,
    row_count: usize,
) -> Result<Vec<ByteArray>> {
    match open_column(group, name)? {
        ColumnReader::ByteArrayColumnReader(reader) => {
            read_all_values::<ByteArrayType>(reader, row_count)
        }
        _ => Err(invalid_file(&format!("`{name}` is not text"))),
    }
}

fn read_size_column(group: &dyn RowGroupReader, row_count: usize) -> Result<Vec<i64>> {
    match open_column(group, SIZE_COLUMN)? {
        ColumnReader::Int64ColumnReader(reader) => read_all_values::<Int64Type>(reader, row_count),
        _ => Err(invalid_file(&format!("`{SIZE_COLUMN}` is not a number"))),
    }
}

fn open_column(group: &dyn RowGroupReader, name: &str) -> Result<ColumnReader> {
    for (index, column) in group.metadata().schema_descr().columns().iter().enumerate() {
        if column.name() == name && column.max_def_level() == 0 {
            return group.get_column_reader(index);
        }
    }
    Err(invalid_file(&format!("no column `{name}`")))
}

fn read_all_values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    row_count: usize,
) -> Result<Vec<T::T>> {
    let mut values = Vec::new();
    while values.len() < row_count {
        let missing = row_count - values.len();
        let (read, ..) = reader.read_records(missing, None, None, &mut values)?;
        if read == 0 {
            return Err(invalid_file("fewer rows than the metadata states"));
        }
    }
    Ok(values)
}

fn invalid_file(message: &str) -> ParquetError {
    ParquetError::General(message.to_owned())
}

#[cfg(test)]
mod tests;
