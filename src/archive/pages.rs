//! The pages of a column of an archive file, unpacked within a limit.
//!
//! Must not know what the values mean.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;

use super::footer::{ColumnChunkLayout, invalid_file};
use super::thrift::ThriftValue;

/// What `CompressionCodec` and `Encoding` call these, of which only they are written.
const UNCOMPRESSED: i64 = 0;
const ZSTD: i64 = 6;
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE_DICTIONARY: i64 = 8;
/// What `PageType` calls these.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
/// The shortest value of a dictionary: an empty text with its length.
const MIN_VALUE_BYTES: usize = 4;

/// How much a file may still unpack.
#[derive(Debug)]
pub(super) struct UnpackBudget {
    limit: usize,
    remaining: usize,
}

impl UnpackBudget {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            remaining: limit,
        }
    }

    /// Takes bytes from the budget before they take memory.
    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        let Some(remaining) = self.remaining.checked_sub(bytes) else {
            let message = format!("more than {} bytes unpacked", self.limit);
            return Err(invalid_file(&message));
        };
        self.remaining = remaining;
        Ok(())
    }
}

/// The pages of a column chunk.
pub(super) struct UnpackedPages {
    pages: std::vec::IntoIter<Page>,
}

impl UnpackedPages {
    pub(super) fn unpack(
        file: &Bytes,
        chunk: ColumnChunkLayout,
        budget: &mut UnpackBudget,
    ) -> Result<Self> {
        let Some(mut rest) = file.get(chunk.start..chunk.end) else {
            return Err(invalid_file("a column is not inside of the file"));
        };
        let mut pages = Vec::new();
        while !rest.is_empty() {
            let Some((header, length)) = ThriftValue::parse_struct(rest) else {
                return Err(invalid_file("a page has no valid header"));
            };
            let header = PageHeaderFields::parse(&header)
                .ok_or_else(|| invalid_file("a page is of a kind that is never written"))?;
            let packed = rest[length..].get(..header.packed_bytes);
            let packed = packed.ok_or_else(|| invalid_file("a page is cut off"))?;
            budget.take(header.unpacked_bytes)?;
            let unpacked = unpack_page(packed, header.unpacked_bytes, chunk.codec)?;
            pages.push(header.to_page(unpacked)?);
            rest = &rest[length + header.packed_bytes..];
        }
        let pages = pages.into_iter();
        Ok(Self { pages })
    }
}

/// What the header of a page states.
struct PageHeaderFields {
    is_dictionary: bool,
    unpacked_bytes: usize,
    packed_bytes: usize,
    value_count: u32,
    encoding: Encoding,
}

impl PageHeaderFields {
    /// The fields of `PageHeader`: 1 is the kind, 2 and 3 are the sizes, 5 and 7 the headers of a
    /// data page and of a dictionary.
    fn parse(header: &ThriftValue<'_>) -> Option<Self> {
        let (is_dictionary, details) = match header.integer(1)? {
            DATA_PAGE => (false, header.field(5)?),
            DICTIONARY_PAGE => (true, header.field(7)?),
            _ => return None,
        };
        let encoding = match details.integer(2)? {
            PLAIN_DICTIONARY | RLE_DICTIONARY if !is_dictionary => Encoding::RLE_DICTIONARY,
            PLAIN | PLAIN_DICTIONARY => Encoding::PLAIN,
            _ => return None,
        };
        Some(Self {
            is_dictionary,
            unpacked_bytes: usize::try_from(header.integer(2)?).ok()?,
            packed_bytes: usize::try_from(header.integer(3)?).ok()?,
            value_count: u32::try_from(details.integer(1)?).ok()?,
            encoding,
        })
    }

    fn to_page(&self, buf: Bytes) -> Result<Page> {
        let num_values = self.value_count;
        if !self.is_dictionary {
            return Ok(Page::DataPage {
                buf,
                num_values,
                encoding: self.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            });
        }
        // The library reserves memory for as many values as are stated.
        if num_values as usize > buf.len() / MIN_VALUE_BYTES {
            return Err(invalid_file("a dictionary is shorter than it states"));
        }
        Ok(Page::DictionaryPage {
            buf,
            num_values,
            encoding: self.encoding,
            is_sorted: false,
        })
    }
}

fn unpack_page(packed: &[u8], unpacked_bytes: usize, codec: i64) -> Result<Bytes> {
    let unpacked = match codec {
        UNCOMPRESSED => packed.to_vec(),
        // It never writes more than it is told.
        ZSTD => zstd::bulk::decompress(packed, unpacked_bytes)
            .map_err(|_| invalid_file("a page cannot be unpacked to its stated size"))?,
        _ => return Err(invalid_file("it is packed in a way that is never written")),
    };
    if unpacked.len() != unpacked_bytes {
        return Err(invalid_file("a page has not its stated size"));
    }
    Ok(unpacked.into())
}

impl Iterator for UnpackedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pages.next().map(Ok)
    }
}

impl PageReader for UnpackedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        Ok(self.pages.next())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let Some(page) = self.pages.as_slice().first() else {
            return Ok(None);
        };
        Ok(Some(PageMetadata {
            num_rows: None,
            num_levels: Some(page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.next();
        Ok(())
    }
}
