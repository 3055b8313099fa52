//! CSV (RFC 4180) whose cells no spreadsheet runs as formulas.

use std::io::{self, Write};

use super::sanitize::escape_formula;
use super::{RowSource, TableCell, TableStyle};

pub(super) fn write_csv(
    names: &[&str],
    rows: RowSource<'_, '_>,
    style: TableStyle,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    writer.write_record(names).map_err(csv_io_error)?;

    for cells in rows() {
        for cell in &cells {
            let field = match cell {
                TableCell::Text(text) if !style.is_raw => escape_formula(text),
                other => other.to_text(),
            };
            writer.write_field(field.as_bytes()).map_err(csv_io_error)?;
        }
        // Ends the record of the fields above.
        writer.write_record(None::<&[u8]>).map_err(csv_io_error)?;
    }
    writer.flush()
}

/// Keeps the kind of the output's error: the caller ignores a closed pipe, but not a full disk.
fn csv_io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
