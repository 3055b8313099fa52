//! Where the columns of an archive file are, by its footer.
//!
//! Must not unpack anything. The library's own parser trusts what the footer states, so a file of
//! some bytes could take all memory.

use parquet::errors::{ParquetError, Result};

use super::thrift::ThriftValue;

const MAGIC: &[u8] = b"PAR1";
/// Many times the largest footer that is written.
const MAX_FOOTER_BYTES: usize = 1 << 20;
const MAX_ROW_GROUPS: usize = 100;

/// The parts of a file, and which columns it has.
#[derive(Debug)]
pub(super) struct ArchiveFooter {
    /// The columns in which each row has a value, by name, with their physical type.
    required_columns: Vec<(String, i64)>,
    pub(super) groups: Vec<RowGroupLayout>,
}

/// A part of a file, with a chunk of each column.
#[derive(Debug)]
pub(super) struct RowGroupLayout {
    pub(super) row_count: usize,
    chunks: Vec<(String, ColumnChunkLayout)>,
}

/// Where the pages of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnChunkLayout {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) codec: i64,
}

impl ArchiveFooter {
    pub(super) fn parse(file: &[u8]) -> Result<Self> {
        let footer = find_footer(file).ok_or_else(|| invalid_file("it has no footer"))?;
        let Some((metadata, _)) = ThriftValue::parse_struct(footer) else {
            return Err(invalid_file("its footer is malformed or too large"));
        };
        // The fields of `FileMetaData`: 2 is the schema, 4 are the row groups.
        let required_columns = parse_required_columns(metadata.items(2));
        let groups = metadata.items(4);
        if groups.len() > MAX_ROW_GROUPS {
            let count = groups.len();
            let message = format!("{count} row groups, the limit is {MAX_ROW_GROUPS}");
            return Err(invalid_file(&message));
        }
        let mut layouts = Vec::new();
        for group in groups {
            layouts.push(RowGroupLayout::parse(group)?);
        }
        Ok(Self {
            required_columns,
            groups: layouts,
        })
    }

    pub(super) fn physical_type(&self, column: &str) -> Option<i64> {
        let mut columns = self.required_columns.iter();
        let (_, kind) = columns.find(|(name, _)| name == column)?;
        Some(*kind)
    }
}

/// The footer stands before its length and the magic bytes.
fn find_footer(file: &[u8]) -> Option<&[u8]> {
    let (before, magic) = file.split_last_chunk::<4>()?;
    let (before, length) = before.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if magic != MAGIC || !file.starts_with(MAGIC) || length > MAX_FOOTER_BYTES {
        return None;
    }
    let start = before.len().checked_sub(length)?;
    Some(&before[start..])
}

/// The fields of `SchemaElement`: 1 is the type, 3 whether values may be missing, 4 the name, and 5
/// the number of children.
fn parse_required_columns(elements: &[ThriftValue<'_>]) -> Vec<(String, i64)> {
    let mut columns = Vec::new();
    let mut nested: i64 = 0;
    for element in elements.iter().skip(1) {
        let children = element.integer(5).unwrap_or_default();
        if nested > 0 || children > 0 {
            nested = nested
                .saturating_add(children)
                .saturating_sub(i64::from(nested > 0));
            nested = nested.max(0);
            continue;
        }
        if let (Some(kind), Some(0), Some(name)) =
            (element.integer(1), element.integer(3), element.bytes(4))
        {
            columns.push((String::from_utf8_lossy(name).into_owned(), kind));
        }
    }
    columns
}

impl RowGroupLayout {
    /// The fields of `RowGroup`: 1 are the columns, 3 is the number of rows.
    fn parse(group: &ThriftValue<'_>) -> Result<Self> {
        let row_count = group.integer(3).and_then(|it| usize::try_from(it).ok());
        let Some(row_count) = row_count else {
            return Err(invalid_file("it does not state its number of rows"));
        };
        let mut chunks = Vec::new();
        for column in group.items(1) {
            chunks.extend(parse_chunk(column));
        }
        Ok(Self { row_count, chunks })
    }

    pub(super) fn chunk(&self, column: &str) -> Option<ColumnChunkLayout> {
        let mut chunks = self.chunks.iter();
        let (_, chunk) = chunks.find(|(name, _)| name == column)?;
        Some(*chunk)
    }
}

/// The fields of `ColumnMetaData`, which is field 3 of `ColumnChunk`: 3 is the path, 4 the codec, 7
/// the packed size, 9 where the data pages begin, and 11 where the dictionary is.
fn parse_chunk(column: &ThriftValue<'_>) -> Option<(String, ColumnChunkLayout)> {
    let metadata = column.field(3)?;
    let [ThriftValue::Bytes(name)] = metadata.items(3) else {
        return None;
    };
    let start = metadata.integer(11).or(metadata.integer(9))?;
    let start = usize::try_from(start).ok()?;
    let size = usize::try_from(metadata.integer(7)?).ok()?;
    let layout = ColumnChunkLayout {
        start,
        end: start.checked_add(size)?,
        codec: metadata.integer(4)?,
    };
    Some((String::from_utf8_lossy(name).into_owned(), layout))
}

pub(super) fn invalid_file(message: &str) -> ParquetError {
    ParquetError::General(message.to_owned())
}
