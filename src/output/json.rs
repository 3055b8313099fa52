//! JSON (RFC 8259) with the exact values; characters that a terminal would obey are escaped.

use std::io::{self, Write};

use serde::Serialize;

use super::sanitize::escape_json;
use super::{RowSource, TableCell};

/// One line of JSON without a line feed, safe to show.
pub(crate) fn to_json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    Ok(escape_json(&json).into_owned())
}

/// One array of objects.
pub(super) fn write_json(
    names: &[&str],
    rows: RowSource<'_, '_>,
    output: &mut dyn Write,
) -> io::Result<()> {
    output.write_all(b"[")?;
    for (index, cells) in rows().enumerate() {
        let separator: &[u8] = if index == 0 { b"\n" } else { b",\n" };
        output.write_all(separator)?;
        write_json_object(names, &cells, output)?;
    }
    output.write_all(b"\n]\n")
}

/// One object per line.
pub(super) fn write_ndjson(
    names: &[&str],
    rows: RowSource<'_, '_>,
    output: &mut dyn Write,
) -> io::Result<()> {
    for cells in rows() {
        write_json_object(names, &cells, output)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

fn write_json_object(
    names: &[&str],
    cells: &[TableCell<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    for (index, (name, cell)) in names.iter().zip(cells).enumerate() {
        let separator: &[u8] = if index == 0 { b"{" } else { b"," };
        output.write_all(separator)?;

        let value = serde_json::to_string(cell).map_err(io::Error::other)?;
        write!(output, "\"{name}\":{}", escape_json(&value))?;
    }
    output.write_all(b"}")
}
