//! Archive files of some kilobytes that stand for gigabytes, written by hand.

#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // the numbers are small

/// Thrift's compact protocol, as far as Parquet needs it.
#[derive(Debug, Clone, Default)]
struct ThriftStruct {
    bytes: Vec<u8>,
    last_id: u8,
}

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn zigzag(value: i64) -> Vec<u8> {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned())
}

impl ThriftStruct {
    fn field(mut self, id: u8, kind: u8, content: &[u8]) -> Self {
        self.bytes.push(((id - self.last_id) << 4) | kind);
        self.bytes.extend_from_slice(content);
        self.last_id = id;
        self
    }

    fn i32(self, id: u8, value: i64) -> Self {
        self.field(id, I32, &zigzag(value))
    }

    fn i64(self, id: u8, value: i64) -> Self {
        self.field(id, I64, &zigzag(value))
    }

    fn text(self, id: u8, text: &str) -> Self {
        let content = [&varint(text.len() as u64)[..], text.as_bytes()].concat();
        self.field(id, BINARY, &content)
    }

    fn inner(self, id: u8, inner: Self) -> Self {
        self.field(id, STRUCT, &inner.end())
    }

    /// A list that states `count` items, whatever it has.
    fn list(self, id: u8, kind: u8, count: u64, items: &[u8]) -> Self {
        let header = [&[0xf0 | kind][..], &varint(count), items].concat();
        self.field(id, LIST, &header)
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

const BYTE_ARRAY: i64 = 6;
const INT64: i64 = 2;
const ZSTD: i64 = 6;

fn pack(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).expect("packed")
}

/// What a file states about itself, and what it has.
#[derive(Debug, Clone)]
pub(super) struct ParquetBomb {
    pub(super) rows: i64,
    /// The rows of the footer, if they are not those of the pages.
    pub(super) stated_rows: Option<i64>,
    pub(super) record: Vec<u8>,
    pub(super) stated_page_bytes: Option<i64>,
    pub(super) dictionary_values: i64,
    pub(super) groups: u64,
    /// The row groups that the footer states.
    pub(super) stated_groups: Option<u64>,
}

impl ParquetBomb {
    pub(super) fn new(rows: i64, record: Vec<u8>) -> Self {
        Self {
            rows,
            stated_rows: None,
            record,
            stated_page_bytes: None,
            dictionary_values: 1,
            groups: 1,
            stated_groups: None,
        }
    }

    /// A dictionary with one value, and one run that repeats it.
    fn chunk(&self, value: &[u8], is_record: bool) -> Vec<u8> {
        let stated = if is_record {
            self.stated_page_bytes
        } else {
            None
        };
        let stated = stated.unwrap_or(value.len() as i64);
        let packed = pack(value);
        let values = if is_record { self.dictionary_values } else { 1 };
        let dictionary = ThriftStruct::default()
            .i32(1, 2)
            .i32(2, stated)
            .i32(3, packed.len() as i64)
            .inner(7, ThriftStruct::default().i32(1, values).i32(2, 0));
        // A bit width of 1, and a run of zeros.
        let run = [&[1][..], &varint(self.rows.cast_unsigned() << 1), &[0]].concat();
        let packed_run = pack(&run);
        let data = ThriftStruct::default()
            .i32(1, 0)
            .i32(2, run.len() as i64)
            .i32(3, packed_run.len() as i64)
            .inner(
                5,
                ThriftStruct::default()
                    .i32(1, self.rows)
                    .i32(2, 8)
                    .i32(3, 3)
                    .i32(4, 3),
            );
        [dictionary.end(), packed, data.end(), packed_run].concat()
    }

    pub(super) fn encode(&self, key: &str) -> Vec<u8> {
        let text = |text: &[u8]| {
            let length = u32::try_from(text.len()).expect("a length");
            [&length.to_le_bytes()[..], text].concat()
        };
        let size = self.record.len() as i64;
        let columns = [
            ("key", BYTE_ARRAY, text(key.as_bytes())),
            ("last_modified", BYTE_ARRAY, text(b"2025-01-01T00:00:00Z")),
            ("etag", BYTE_ARRAY, text(b"\"e\"")),
            ("size", INT64, size.to_le_bytes().to_vec()),
            ("record", BYTE_ARRAY, text(&self.record)),
        ];
        let mut file = b"PAR1".to_vec();
        let mut schema = ThriftStruct::default().text(4, "r").i32(5, 5).end();
        let mut chunks = Vec::new();
        for (name, kind, value) in &columns {
            let element = ThriftStruct::default()
                .i32(1, *kind)
                .i32(3, 0)
                .text(4, name);
            schema.extend(element.end());
            let chunk = self.chunk(value, *name == "record");
            let start = file.len() as i64;
            let path = [&varint(name.len() as u64)[..], name.as_bytes()].concat();
            let metadata = ThriftStruct::default()
                .i32(1, *kind)
                .list(2, I32, 2, &[0, 16])
                .list(3, BINARY, 1, &path)
                .i32(4, ZSTD)
                .i64(5, self.rows)
                .i64(6, chunk.len() as i64)
                .i64(7, chunk.len() as i64)
                .i64(9, start + 20)
                .i64(11, start);
            let column = ThriftStruct::default().i64(2, start).inner(3, metadata);
            chunks.extend(column.end());
            file.extend(chunk);
        }
        let rows = self.stated_rows.unwrap_or(self.rows);
        let group = ThriftStruct::default()
            .list(1, STRUCT, 5, &chunks)
            .i64(2, 1000)
            .i64(3, rows);
        let groups = group
            .end()
            .repeat(usize::try_from(self.groups).expect("few"));
        let stated_groups = self.stated_groups.unwrap_or(self.groups);
        let footer = ThriftStruct::default()
            .i32(1, 1)
            .list(2, STRUCT, 6, &schema)
            .i64(3, rows)
            .list(4, STRUCT, stated_groups, &groups);
        add_footer(file, &footer.end())
    }
}

fn add_footer(mut file: Vec<u8>, footer: &[u8]) -> Vec<u8> {
    file.extend_from_slice(footer);
    let length = u32::try_from(footer.len()).expect("a length");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(b"PAR1");
    file
}

/// A file with nothing but a footer.
pub(super) fn encode_footer_only(footer: &[u8]) -> Vec<u8> {
    add_footer(b"PAR1".to_vec(), footer)
}
