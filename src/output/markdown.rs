//! A Markdown table, as GitHub shows it.

use std::io::{self, Write};

use super::sanitize::sanitize;
use super::{RowSource, TableCell};

pub(super) fn write_markdown(
    names: &[&str],
    rows: RowSource<'_, '_>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let first_row = rows().next().unwrap_or_default();
    let alignments: Vec<&str> = (0..names.len())
        .map(|column| column_alignment(first_row.get(column)))
        .collect();
    writeln!(output, "| {} |", names.join(" | "))?;
    writeln!(output, "|{}|", alignments.join("|"))?;

    for cells in rows() {
        let texts: Vec<String> = cells.iter().map(markdown_text).collect();
        writeln!(output, "| {} |", texts.join(" | "))?;
    }
    Ok(())
}

/// Numbers stand on the right.
fn column_alignment(first_cell: Option<&TableCell<'_>>) -> &'static str {
    match first_cell {
        Some(TableCell::Count(_)) => "---:",
        _ => "---",
    }
}

fn markdown_text(cell: &TableCell<'_>) -> String {
    escape_markdown(&sanitize(&cell.to_text()))
}

/// Escapes what Markdown would read as markup.
pub(super) fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}
