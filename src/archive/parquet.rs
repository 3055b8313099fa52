//! An object of the archive: usage records of one customer as a Parquet file, written and read.
//!
//! Pure. The records themselves are in it, byte for byte, and that is what is read again; the columns beside them are those
//! of the SQL views, for engines that read the file. Must not know which records belong together.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
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
use parquet::schema::types::ColumnPath;

use crate::digest::sha256_hex;
use crate::keys;
use crate::record::ChainLink;
use crate::record::deployment::{Deployment, user_name_from_arn};
use crate::record::parse;
use crate::s3::listing::ObjectMeta;
use crate::system::panics;

/// The most bytes that a file may say it has when it is unpacked: several times what is ever written.
const MAX_UNPACKED_BYTES: i64 = 256 << 20;

/// A record as it lies in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedRecord {
    /// Its object.
    pub object: ObjectMeta,
    /// The object's bytes.
    pub body: Vec<u8>,
}

/// A record with what its columns say of it.
#[derive(Debug)]
pub struct ArchiveRow {
    record: ArchivedRecord,
    deployment: Deployment,
    backup_key: String,
    chain: Option<ChainLink>,
}

impl ArchiveRow {
    /// Reads a record.
    ///
    /// # Errors
    /// One phrase saying why the object is no record; such a one is not archived.
    pub fn from_record(record: ArchivedRecord) -> std::result::Result<Self, String> {
        let key = keys::parse_record_key(&record.object.key).ok_or("its key is not a record's")?;
        let reading = parse::parse_record(&record.body)?;
        let (backup_key, chain) = (reading.backup_key.clone(), reading.chain.clone());
        let (deployment, _) = Deployment::from_parsed(&record.object, &key, reading);
        Ok(Self {
            record,
            deployment,
            backup_key,
            chain,
        })
    }

    /// Its object.
    #[must_use]
    pub fn object(&self) -> &ObjectMeta {
        &self.record.object
    }
}

/// What a column has in a row.
enum ArchiveColumn {
    Text(fn(&ArchiveRow) -> String),
    OptionalText(fn(&ArchiveRow) -> Option<String>),
    Flag(fn(&ArchiveRow) -> bool),
    OptionalFlag(fn(&ArchiveRow) -> Option<bool>),
    Number(fn(&ArchiveRow) -> i64),
    OptionalNumber(fn(&ArchiveRow) -> Option<i64>),
    /// DECIMAL(20, 0), which holds every count and is known to every engine.
    Count(fn(&ArchiveRow) -> u64),
}

use ArchiveColumn::{Count, Flag, Number, OptionalFlag, OptionalNumber, OptionalText, Text};

/// The columns in their order: those of the view `deployments`, then what only we need. New ones are added at the end.
const ARCHIVE_COLUMNS: [(&str, ArchiveColumn); 27] = [
    (
        "timestamp",
        Text(|row| {
            row.deployment
                .deployed_at
                .to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }),
    ),
    ("customer", Text(|row| row.deployment.customer.clone())),
    (
        "user",
        Text(|row| user_name_from_arn(&row.deployment.user).to_owned()),
    ),
    (
        "additional_users_count",
        Count(|row| row.deployment.additional_users_count),
    ),
    (
        "project_name",
        Text(|row| row.deployment.project_name.clone()),
    ),
    (
        "cluster_name",
        Text(|row| row.deployment.cluster_name.clone()),
    ),
    ("arn", Text(|row| row.deployment.user.clone())),
    (
        "account",
        Text(|row| row.deployment.details.account.clone()),
    ),
    (
        "config_hash",
        Text(|row| row.deployment.config_hash.clone()),
    ),
    ("backup", Text(|row| row.deployment.details.backup.clone())),
    ("late", Flag(|row| row.deployment.details.is_late)),
    (
        "deployment_id",
        Text(|row| row.deployment.details.deployment_id.clone()),
    ),
    (
        "git_commit",
        Text(|row| {
            row.deployment
                .details
                .git
                .as_ref()
                .map_or_else(String::new, |git| git.commit.clone())
        }),
    ),
    (
        "git_branch",
        Text(|row| {
            row.deployment
                .details
                .git
                .as_ref()
                .map_or_else(String::new, |git| git.branch.clone())
        }),
    ),
    (
        "git_dirty",
        OptionalFlag(|row| row.deployment.details.git.as_ref().map(|git| git.dirty)),
    ),
    (
        "ci_provider",
        Text(|row| {
            row.deployment
                .details
                .ci
                .as_ref()
                .map_or_else(String::new, |ci| ci.provider.clone())
        }),
    ),
    (
        "ci_run_url",
        Text(|row| {
            row.deployment
                .details
                .ci
                .as_ref()
                .map_or_else(String::new, |ci| ci.run_url.clone())
        }),
    ),
    ("backup_key", Text(|row| row.backup_key.clone())),
    (
        "chain_writer",
        OptionalText(|row| row.chain.as_ref().map(|chain| chain.writer.clone())),
    ),
    (
        "chain_number",
        OptionalNumber(|row| {
            row.chain
                .as_ref()
                .and_then(|chain| i64::try_from(chain.number).ok())
        }),
    ),
    (
        "chain_previous",
        OptionalText(|row| row.chain.as_ref().map(|chain| chain.previous.clone())),
    ),
    ("sha256", Text(|row| sha256_hex(&row.record.body))),
    (
        MODIFIED_COLUMN,
        Text(|row| {
            row.record
                .object
                .last_modified
                .to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }),
    ),
    (KEY_COLUMN, Text(|row| row.record.object.key.clone())),
    (ETAG_COLUMN, Text(|row| row.record.object.etag.clone())),
    (
        SIZE_COLUMN,
        Number(|row| i64::try_from(row.record.object.size).unwrap_or(i64::MAX)),
    ),
    (
        RECORD_COLUMN,
        Text(|row| String::from_utf8_lossy(&row.record.body).into_owned()),
    ),
];

const KEY_COLUMN: &str = "key";
const MODIFIED_COLUMN: &str = "last_modified";
const ETAG_COLUMN: &str = "etag";
const SIZE_COLUMN: &str = "size";
const RECORD_COLUMN: &str = "record";

/// Columns whose values hardly ever come twice: a dictionary of them would be written in vain.
const HIGH_CARDINALITY_COLUMNS: [&str; 7] = [
    "timestamp",
    "deployment_id",
    "chain_previous",
    "sha256",
    KEY_COLUMN,
    ETAG_COLUMN,
    RECORD_COLUMN,
];

/// Writes records as one file; the same ones always give the same bytes.
///
/// # Errors
/// What the Parquet library says.
pub fn encode_archive(rows: &[ArchiveRow]) -> std::result::Result<Vec<u8>, String> {
    write_parquet(rows).map_err(|error| error.to_string())
}

fn write_parquet(rows: &[ArchiveRow]) -> Result<Vec<u8>> {
    let fields = ARCHIVE_COLUMNS.iter().map(|(name, column)| match column {
        Text(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);"),
        OptionalText(_) => format!("OPTIONAL BYTE_ARRAY {name} (UTF8);"),
        Flag(_) => format!("REQUIRED BOOLEAN {name};"),
        OptionalFlag(_) => format!("OPTIONAL BOOLEAN {name};"),
        Number(_) => format!("REQUIRED INT64 {name};"),
        OptionalNumber(_) => format!("OPTIONAL INT64 {name};"),
        Count(_) => format!("REQUIRED FIXED_LEN_BYTE_ARRAY (9) {name} (DECIMAL(20, 0));"),
    });
    let schema = Arc::new(parse_message_type(&format!(
        "message usage_record {{ {} }}",
        fields.collect::<String>()
    ))?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, writer_properties()?)?;
    let mut group = writer.next_row_group()?;
    let mut columns = ARCHIVE_COLUMNS.iter();
    while let (Some(mut open), Some((_, column))) = (group.next_column()?, columns.next()) {
        write_column(open.untyped(), column, rows)?;
        open.close()?;
    }
    group.close()?;
    writer.into_inner()
}

fn writer_properties() -> Result<WriterPropertiesPtr> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?));
    let plain = |name: &str| ColumnPath::from(name);
    let properties = HIGH_CARDINALITY_COLUMNS
        .iter()
        .fold(properties, |it, name| {
            it.set_column_dictionary_enabled(plain(name), false)
        });
    Ok(Arc::new(properties.build()))
}

fn write_column(
    writer: &mut ColumnWriter<'_>,
    column: &ArchiveColumn,
    rows: &[ArchiveRow],
) -> Result<()> {
    let text = |text: String| ByteArray::from(text.into_bytes());
    // Definition levels: 1 where there is a value.
    let levels = |present: &dyn Fn(&ArchiveRow) -> bool| -> Vec<i16> {
        rows.iter().map(|row| i16::from(present(row))).collect()
    };
    match (writer, column) {
        (ColumnWriter::ByteArrayColumnWriter(writer), Text(of)) => writer.write_batch(
            &rows.iter().map(|row| text(of(row))).collect::<Vec<_>>(),
            None,
            None,
        ),
        (ColumnWriter::ByteArrayColumnWriter(writer), OptionalText(of)) => {
            let values: Vec<ByteArray> = rows.iter().filter_map(of).map(text).collect();
            writer.write_batch(&values, Some(&levels(&|row| of(row).is_some())), None)
        }
        (ColumnWriter::BoolColumnWriter(writer), Flag(of)) => {
            writer.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None)
        }
        (ColumnWriter::BoolColumnWriter(writer), OptionalFlag(of)) => {
            let values: Vec<bool> = rows.iter().filter_map(of).collect();
            writer.write_batch(&values, Some(&levels(&|row| of(row).is_some())), None)
        }
        (ColumnWriter::Int64ColumnWriter(writer), Number(of)) => {
            writer.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None)
        }
        (ColumnWriter::Int64ColumnWriter(writer), OptionalNumber(of)) => {
            let values: Vec<i64> = rows.iter().filter_map(of).collect();
            writer.write_batch(&values, Some(&levels(&|row| of(row).is_some())), None)
        }
        (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Count(of)) => {
            // Big-endian, with a byte for the sign before it.
            let decimal =
                |count: u64| FixedLenByteArray::from([&[0][..], &count.to_be_bytes()].concat());
            writer.write_batch(
                &rows.iter().map(|row| decimal(of(row))).collect::<Vec<_>>(),
                None,
                None,
            )
        }
        _ => Err(ParquetError::General(
            "a column of another type than its values".to_owned(),
        )),
    }?;
    Ok(())
}

/// Reads a file that [`encode`] wrote, or a later version of it: what is needed of it, by the columns' names.
///
/// Somebody may have made a file to hurt, and the library believes what files say of themselves: where it panics, that is one of them.
///
/// # Errors
/// One phrase saying what is wrong with it.
pub fn decode_archive(bytes: Vec<u8>) -> std::result::Result<Vec<ArchivedRecord>, String> {
    let read = || -> Result<Vec<ArchivedRecord>> {
        let file = SerializedFileReader::new(Bytes::from(bytes))?;
        check_unpacked_size(file.metadata())?;
        let mut records = Vec::new();
        for group in 0..file.num_row_groups() {
            records.append(&mut read_row_group(&*file.get_row_group(group)?)?);
        }
        Ok(records)
    };
    let read = panics::catch_panic(read).unwrap_or_else(|_| {
        Err(ParquetError::General(
            "it is no such file in earnest".to_owned(),
        ))
    });
    read.map_err(|error| {
        format!(
            "it cannot be read: {}",
            crate::error::to_single_line(&error.to_string())
        )
    })
}

fn check_unpacked_size(metadata: &ParquetMetaData) -> Result<()> {
    let unpacked: i64 = metadata
        .row_groups()
        .iter()
        .map(RowGroupMetaData::total_byte_size)
        .sum();
    if (0..=MAX_UNPACKED_BYTES).contains(&unpacked) {
        Ok(())
    } else {
        Err(ParquetError::General(format!("{unpacked} bytes unpacked")))
    }
}

fn read_row_group(group: &dyn RowGroupReader) -> Result<Vec<ArchivedRecord>> {
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    let (keys, modified) = (
        read_text_column(group, KEY_COLUMN, rows)?,
        read_text_column(group, MODIFIED_COLUMN, rows)?,
    );
    let (etags, bodies) = (
        read_text_column(group, ETAG_COLUMN, rows)?,
        read_text_column(group, RECORD_COLUMN, rows)?,
    );
    let sizes = match open_column(group, SIZE_COLUMN)? {
        ColumnReader::Int64ColumnReader(reader) => read_all_values::<Int64Type>(reader, rows)?,
        _ => {
            return Err(ParquetError::General(format!(
                "`{SIZE_COLUMN}` is no number"
            )));
        }
    };
    let listed = keys.into_iter().zip(modified).zip(etags).zip(sizes);
    listed
        .zip(bodies)
        .map(|((((key, modified), etag), size), body)| {
            build_archived_record(&key, &modified, &etag, size, &body)
        })
        .collect()
}

fn build_archived_record(
    key: &ByteArray,
    modified: &ByteArray,
    etag: &ByteArray,
    size: i64,
    body: &ByteArray,
) -> Result<ArchivedRecord> {
    let text = |bytes: &ByteArray| bytes.as_utf8().map(str::to_owned);
    let modified: DateTime<Utc> = text(modified)?
        .parse()
        .map_err(|_| ParquetError::General(format!("a `{MODIFIED_COLUMN}` is no RFC 3339 time")))?;
    let listed = ObjectMeta {
        key: text(key)?,
        last_modified: modified,
        size: u64::try_from(size).unwrap_or_default(),
        etag: text(etag)?,
    };
    if listed.size != body.len() as u64 || keys::parse_record_key(&listed.key).is_none() {
        return Err(ParquetError::General(
            "a record is not what is said of it".to_owned(),
        ));
    }
    Ok(ArchivedRecord {
        object: listed,
        body: body.data().to_vec(),
    })
}

fn read_text_column(group: &dyn RowGroupReader, name: &str, rows: usize) -> Result<Vec<ByteArray>> {
    match open_column(group, name)? {
        ColumnReader::ByteArrayColumnReader(reader) => {
            read_all_values::<ByteArrayType>(reader, rows)
        }
        _ => Err(ParquetError::General(format!("`{name}` is no text"))),
    }
}

fn open_column(group: &dyn RowGroupReader, name: &str) -> Result<ColumnReader> {
    let schema = group.metadata().schema_descr();
    let place = schema
        .columns()
        .iter()
        .position(|column| column.name() == name && column.max_def_level() == 0);
    group.get_column_reader(
        place.ok_or_else(|| ParquetError::General(format!("it has no `{name}`")))?,
    )
}

fn read_all_values<T: DataType>(mut reader: ColumnReaderImpl<T>, rows: usize) -> Result<Vec<T::T>> {
    let mut values = Vec::new();
    while values.len() < rows {
        let (read, ..) = reader.read_records(rows - values.len(), None, None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General(
                "it has fewer rows than it says".to_owned(),
            ));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
