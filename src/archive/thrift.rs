//! Values in Thrift's compact protocol, in which Parquet describes its columns and pages.
//!
//! Its input may be crafted: a few bytes can state a list of billions. So the number of values and
//! their depth are limited, and a list never has more items than there are bytes.

const MAX_DEPTH: usize = 16;
/// Many times the values of the largest description that is written.
const MAX_VALUES: usize = 50_000;

/// A value, without what the readers of an archive do not need.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ThriftValue<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    List(Vec<ThriftValue<'a>>),
    Struct(Vec<(i16, ThriftValue<'a>)>),
    /// A flag, a floating-point number, a map or a UUID.
    Other,
}

impl<'a> ThriftValue<'a> {
    /// Parses one struct. Returns it with the number of its bytes, or `None` if it is malformed or
    /// too large.
    pub(super) fn parse_struct(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut parser = ThriftParser {
            rest: bytes,
            remaining_values: MAX_VALUES,
        };
        let value = parser.parse_value(STRUCT, 0)?;
        Some((value, bytes.len() - parser.rest.len()))
    }

    /// A field of a struct.
    pub(super) fn field(&self, id: i16) -> Option<&Self> {
        let Self::Struct(fields) = self else {
            return None;
        };
        let (_, value) = fields.iter().find(|(field_id, _)| *field_id == id)?;
        Some(value)
    }

    pub(super) fn integer(&self, id: i16) -> Option<i64> {
        match self.field(id)? {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn bytes(&self, id: i16) -> Option<&'a [u8]> {
        match self.field(id)? {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a list, or nothing.
    pub(super) fn items(&self, id: i16) -> &[Self] {
        match self.field(id) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

struct ThriftParser<'a> {
    rest: &'a [u8],
    remaining_values: usize,
}

impl<'a> ThriftParser<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn take_byte(&mut self) -> Option<u8> {
        let byte = self.take(1)?;
        Some(byte[0])
    }

    fn take_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take_byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take_integer(&mut self) -> Option<i64> {
        let value = self.take_varint()?;
        // Zigzag: the sign is the lowest bit.
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A length or a count of items, each of which takes at least one byte.
    fn take_length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.take_varint()?).ok()?;
        (length <= self.rest.len()).then_some(length)
    }

    fn parse_value(&mut self, kind: u8, depth: usize) -> Option<ThriftValue<'a>> {
        self.remaining_values = self.remaining_values.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        Some(match kind {
            TRUE | FALSE => ThriftValue::Other,
            BYTE => ThriftValue::Integer(i64::from(self.take_byte()?.cast_signed())),
            I16 | I32 | I64 => ThriftValue::Integer(self.take_integer()?),
            DOUBLE => self.skip(8)?,
            UUID => self.skip(16)?,
            BINARY => {
                let length = self.take_length()?;
                ThriftValue::Bytes(self.take(length)?)
            }
            LIST | SET => self.parse_list(depth)?,
            MAP => self.skip_map(depth)?,
            STRUCT => self.parse_fields(depth)?,
            _ => return None,
        })
    }

    fn skip(&mut self, count: usize) -> Option<ThriftValue<'a>> {
        self.take(count)?;
        Some(ThriftValue::Other)
    }

    fn parse_list(&mut self, depth: usize) -> Option<ThriftValue<'a>> {
        let header = self.take_byte()?;
        let kind = header & 0x0f;
        let length = match header >> 4 {
            15 => self.take_length()?,
            length => usize::from(length),
        };
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.parse_item(kind, depth)?);
        }
        Some(ThriftValue::List(items))
    }

    /// An item of a list or a map, where a flag takes a byte.
    fn parse_item(&mut self, kind: u8, depth: usize) -> Option<ThriftValue<'a>> {
        if matches!(kind, TRUE | FALSE) {
            self.take(1)?;
        }
        self.parse_value(kind, depth + 1)
    }

    fn skip_map(&mut self, depth: usize) -> Option<ThriftValue<'a>> {
        let length = self.take_length()?;
        if length > 0 {
            let kinds = self.take_byte()?;
            for _ in 0..length {
                self.parse_item(kinds >> 4, depth)?;
                self.parse_item(kinds & 0x0f, depth)?;
            }
        }
        Some(ThriftValue::Other)
    }

    fn parse_fields(&mut self, depth: usize) -> Option<ThriftValue<'a>> {
        let mut fields = Vec::new();
        let mut id: i16 = 0;
        loop {
            let header = self.take_byte()?;
            let kind = header & 0x0f;
            if kind == 0 {
                return Some(ThriftValue::Struct(fields));
            }
            id = match header >> 4 {
                0 => i16::try_from(self.take_integer()?).ok()?,
                delta => id.checked_add(i16::from(delta))?,
            };
            fields.push((id, self.parse_value(kind, depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_values_of_the_specification() {
        // 1: i32 = -3, 2: binary = "ab", 3: list<i32> = [1, 2], 20: struct {1: true}, stop.
        let bytes = [
            0x15, 0x05, 0x18, 0x02, b'a', b'b', 0x19, 0x25, 0x02, 0x04, 0x0c, 0x28, 0x11, 0x00,
            0x00, 0xff,
        ];
        let (value, length) = ThriftValue::parse_struct(&bytes).expect("a struct");
        assert_eq!(length, bytes.len() - 1);
        assert_eq!(value.integer(1), Some(-3));
        assert_eq!(value.bytes(2), Some(&b"ab"[..]));
        let items = [ThriftValue::Integer(1), ThriftValue::Integer(2)];
        assert_eq!(value.items(3), items);
        let flag = value.field(20).and_then(|it| it.field(1));
        assert_eq!(flag, Some(&ThriftValue::Other));
        assert_eq!(value.integer(4), None);
    }

    #[test]
    fn a_bomb_is_malformed() {
        // A list of 2^31 structs, which would need 100 GB.
        let huge_list = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert_eq!(ThriftValue::parse_struct(&huge_list), None);
        // A list of empty structs, one byte each.
        let mut many = vec![0x19, 0xfc, 0xc0, 0x84, 0x3d];
        many.resize(1_000_010, 0);
        assert_eq!(ThriftValue::parse_struct(&many), None);
        let deep = [0x1c; 1000];
        assert_eq!(ThriftValue::parse_struct(&deep), None);
        for cut in [&[0x15][..], &[0x18, 0x05, b'a'], &[0x1f], &[]] {
            assert_eq!(ThriftValue::parse_struct(cut), None, "{cut:?}");
        }
    }
}
