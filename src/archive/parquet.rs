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
use parquet::errors::Result;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor, TypePtr};

use crate::archive::columns::{
    ARCHIVE_COLUMNS, ArchiveColumn, ArchiveRow, ETAG_COLUMN, HIGH_CARDINALITY_COLUMNS, KEY_COLUMN,
    MODIFIED_COLUMN, RECORD_COLUMN, SIZE_COLUMN,
};
use crate::archive::footer::{ArchiveFooter, invalid_file};
use crate::archive::pages::{UnpackBudget, UnpackedPages};
use crate::archive::{ArchiveError, MAX_RECORDS_PER_FILE};
use crate::error::to_single_line;
use crate::keys::RecordKey;
use crate::record::MAX_RECORD_BYTES;
use crate::s3::listing::ObjectMeta;
use crate::system::panics;

/// The limits of a file are at least twice what is ever written.
const MAX_ROWS: usize = 2 * MAX_RECORDS_PER_FILE;
const MAX_UNPACKED_RECORD_BYTES: usize = 32 << 20;
/// Of the columns that are read, with their dictionaries.
const MAX_UNPACKED_PAGE_BYTES: usize = 64 << 20;

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
    let mut reader = ArchiveFileReader::open(file)?;
    let mut records = Vec::new();
    for index in 0..reader.footer.groups.len() {
        reader.read_group(index, &mut records)?;
    }
    Ok(records)
}

/// Reads columns of a file, and limits what they take together.
///
/// The library's readers of files and row groups trust what a file states about itself. They would
/// also add the decoders of all types to the program.
struct ArchiveFileReader {
    file: Bytes,
    footer: ArchiveFooter,
    schema: SchemaDescriptor,
    page_budget: UnpackBudget,
    record_budget: UnpackBudget,
}

impl ArchiveFileReader {
    fn open(file: Vec<u8>) -> Result<Self> {
        let file = Bytes::from(file);
        let footer = ArchiveFooter::parse(&file)?;
        let counts = footer.groups.iter().map(|group| group.row_count);
        let row_count = counts.fold(0, usize::saturating_add);
        if row_count > MAX_ROWS {
            let message = format!("{row_count} rows, the limit is {MAX_ROWS}");
            return Err(invalid_file(&message));
        }
        Ok(Self {
            file,
            footer,
            schema: SchemaDescriptor::new(parquet_schema()?),
            page_budget: UnpackBudget::new(MAX_UNPACKED_PAGE_BYTES),
            record_budget: UnpackBudget::new(MAX_UNPACKED_RECORD_BYTES),
        })
    }

    fn read_group(&mut self, index: usize, records: &mut Vec<ArchivedRecord>) -> Result<()> {
        let keys = self.read_column::<ByteArrayType>(index, KEY_COLUMN)?;
        let times = self.read_column::<ByteArrayType>(index, MODIFIED_COLUMN)?;
        let etags = self.read_column::<ByteArrayType>(index, ETAG_COLUMN)?;
        let bodies = self.read_column::<ByteArrayType>(index, RECORD_COLUMN)?;
        let sizes = self.read_column::<Int64Type>(index, SIZE_COLUMN)?;

        for (index, body) in bodies.iter().enumerate() {
            let (key, etag) = (&keys[index], &etags[index]);
            // A dictionary repeats a value without taking more bytes in the file.
            self.record_budget
                .take(key.len() + etag.len() + body.len())?;
            if body.len() as u64 > MAX_RECORD_BYTES {
                let message = format!("a record has more than {MAX_RECORD_BYTES} bytes");
                return Err(invalid_file(&message));
            }
            let object = ObjectMeta {
                key: key.as_utf8()?.to_owned(),
                last_modified: parse_time(times[index].as_utf8()?)?,
                size: u64::try_from(sizes[index]).unwrap_or_default(),
                etag: etag.as_utf8()?.to_owned(),
            };
            if object.size != body.len() as u64 || RecordKey::parse(&object.key).is_none() {
                return Err(invalid_file("a record does not match its key or size"));
            }
            let body = body.data().to_vec();
            records.push(ArchivedRecord { object, body });
        }
        Ok(())
    }

    /// Reads a column in which each row has a value.
    fn read_column<T: DataType>(&mut self, group: usize, name: &str) -> Result<Vec<T::T>> {
        let group = &self.footer.groups[group];
        let mut columns = self.schema.columns().iter();
        let description = columns.find(|column| column.name() == name);
        let kind = self.footer.physical_type(name);
        let (Some(description), Some(kind), Some(chunk)) = (description, kind, group.chunk(name))
        else {
            return Err(invalid_file(&format!("no column `{name}`")));
        };
        if kind != T::get_physical_type() as i64 || description.physical_type() as i64 != kind {
            return Err(invalid_file(&format!("`{name}` has the wrong type")));
        }
        let pages = UnpackedPages::unpack(&self.file, chunk, &mut self.page_budget)?;
        let reader = ColumnReaderImpl::<T>::new(Arc::clone(description), Box::new(pages));
        read_all_values(reader, group.row_count)
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

#[cfg(test)]
mod tests;
