//! Encodes usage records of one customer as a Parquet file, and decodes such a file.
//!
//! Must not know which records belong together.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReaderImpl;
use parquet::column::writer::{ColumnCloseResult, ColumnWriterImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType,
    Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, TypePtr};

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
    let properties = writer_properties()?;
    let mut writer =
        SerializedFileWriter::new(Vec::new(), parquet_schema()?, Arc::clone(&properties))?;
    let descriptions = writer.schema_descr().columns().to_vec();
    let mut group = writer.next_row_group()?;
    for (description, (_, column)) in descriptions.into_iter().zip(&ARCHIVE_COLUMNS) {
        let encoder = ColumnEncoder {
            description,
            properties: Arc::clone(&properties),
        };
        let (chunk, close_result) = encoder.encode(column, rows)?;
        group.append_column(&chunk, close_result)?;
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

/// Encodes one column.
///
/// The library's own choice of the type at run time (`get_column_writer`) would add the encoders
/// of all types to the program.
struct ColumnEncoder {
    description: ColumnDescPtr,
    properties: WriterPropertiesPtr,
}

impl ColumnEncoder {
    fn encode(
        self,
        column: &ArchiveColumn,
        rows: &[ArchiveRow],
    ) -> Result<(Bytes, ColumnCloseResult)> {
        match column {
            ArchiveColumn::Text(get) => {
                let values: Vec<ByteArray> = rows.iter().map(|row| byte_array(get(row))).collect();
                self.encode_values::<ByteArrayType>(&values, None)
            }
            ArchiveColumn::OptionalText(get) => {
                let (values, levels) = split_optional(rows, *get);
                let values: Vec<ByteArray> = values.into_iter().map(byte_array).collect();
                self.encode_values::<ByteArrayType>(&values, Some(&levels))
            }
            ArchiveColumn::Flag(get) => {
                let values: Vec<bool> = rows.iter().map(get).collect();
                self.encode_values::<BoolType>(&values, None)
            }
            ArchiveColumn::OptionalFlag(get) => {
                let (values, levels) = split_optional(rows, *get);
                self.encode_values::<BoolType>(&values, Some(&levels))
            }
            ArchiveColumn::Number(get) => {
                let values: Vec<i64> = rows.iter().map(get).collect();
                self.encode_values::<Int64Type>(&values, None)
            }
            ArchiveColumn::OptionalNumber(get) => {
                let (values, levels) = split_optional(rows, *get);
                self.encode_values::<Int64Type>(&values, Some(&levels))
            }
            ArchiveColumn::Count(get) => {
                let values: Vec<FixedLenByteArray> =
                    rows.iter().map(|row| decimal_bytes(get(row))).collect();
                self.encode_values::<FixedLenByteArrayType>(&values, None)
            }
        }
    }

    fn encode_values<T: DataType>(
        self,
        values: &[T::T],
        levels: Option<&[i16]>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut chunk = TrackedWrite::new(Vec::new());
        let page_writer = Box::new(SerializedPageWriter::new(&mut chunk));
        let mut writer = ColumnWriterImpl::<T>::new(self.description, self.properties, page_writer);
        writer.write_batch(values, levels, None)?;
        let close_result = writer.close()?;
        Ok((chunk.into_inner()?.into(), close_result))
    }
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
    let cause = match panics::catch_panic(move || read_file(file)) {
        Ok(Ok(records)) => return Ok(records),
        Ok(Err(error)) => to_single_line(&error.to_string()),
        Err(_) => "malformed".to_owned(),
    };
    Err(ArchiveError::InvalidFile(cause))
}

fn read_file(file: Vec<u8>) -> Result<Vec<ArchivedRecord>> {
    let file = Arc::new(Bytes::from(file));
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&*file)?;
    check_unpacked_size(&metadata)?;
    let mut records = Vec::new();
    for metadata in metadata.row_groups() {
        let group = RowGroup {
            file: &file,
            metadata,
        };
        records.append(&mut group.read_records()?);
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

/// A part of a file, with a chunk of each column.
///
/// The library's row group reader would add the decoders of all types to the program.
struct RowGroup<'a> {
    file: &'a Arc<Bytes>,
    metadata: &'a RowGroupMetaData,
}

impl RowGroup<'_> {
    fn row_count(&self) -> usize {
        usize::try_from(self.metadata.num_rows()).unwrap_or_default()
    }

    fn read_records(&self) -> Result<Vec<ArchivedRecord>> {
        let keys = self.read_column::<ByteArrayType>(KEY_COLUMN)?;
        let times = self.read_column::<ByteArrayType>(MODIFIED_COLUMN)?;
        let etags = self.read_column::<ByteArrayType>(ETAG_COLUMN)?;
        let bodies = self.read_column::<ByteArrayType>(RECORD_COLUMN)?;
        let sizes = self.read_column::<Int64Type>(SIZE_COLUMN)?;

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

    fn read_column<T: DataType>(&self, name: &str) -> Result<Vec<T::T>> {
        let column = self.find_column(name)?;
        if column.column_type() != T::get_physical_type() {
            return Err(invalid_file(&format!("`{name}` has the wrong type")));
        }
        let row_count = self.row_count();
        let pages = SerializedPageReader::new(Arc::clone(self.file), column, row_count, None)?;
        let reader = ColumnReaderImpl::<T>::new(column.column_descr_ptr(), Box::new(pages));
        read_all_values(reader, row_count)
    }

    /// A column in which each row has a value.
    fn find_column(&self, name: &str) -> Result<&ColumnChunkMetaData> {
        for column in self.metadata.columns() {
            let description = column.column_descr();
            if description.name() == name && description.max_def_level() == 0 {
                return Ok(column);
            }
        }
        Err(invalid_file(&format!("no column `{name}`")))
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>> {
    let time = text.parse();
    time.map_err(|_| invalid_file(&format!("a `{MODIFIED_COLUMN}` is not an RFC 3339 time")))
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
