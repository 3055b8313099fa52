//! A table of cells as CSV, JSON, NDJSON, Markdown, or for a terminal.
//!
//! Pure apart from writing to the writer it is given. What a cell's text may do to whoever opens it is settled here and
//! in `text.rs`, nowhere else.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::sanitize::{escape_formula, escape_json, sanitize};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Comma-separated values (RFC 4180, lines end in LF)
    Csv,
    /// Aligned columns, as wide as the terminal
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object per line
    #[value(alias = "jsonl")]
    Ndjson,
    /// One page to open in a browser
    Html,
    /// A Markdown table
    #[value(alias = "md")]
    Markdown,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableCell<'a> {
    /// Text, as the record has it.
    Text(Cow<'a, str>),
    /// A number.
    Count(u64),
    /// Yes or no.
    Flag(bool),
}

/// How cells are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableStyle {
    /// Leave text as it is, even where a spreadsheet would run it.
    pub is_raw: bool,
    /// The columns of the terminal that a table must fit into.
    pub max_width: Option<usize>,
    /// Whether the table's header may be bold.
    pub is_bold: bool,
}

impl OutputFormat {
    /// The format that a file's name asks for, if any.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, suffix) = name.rsplit_once('.')?;
        Some(match suffix.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "txt" => Self::Table,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "html" | "htm" => Self::Html,
            "md" | "markdown" => Self::Markdown,
            _ => return None,
        })
    }
}

/// A reader that has seen enough (`| head`) is no failure.
pub fn ignore_broken_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Rows of cells, which can be gone through more than once.
pub trait CellRows<'a>: Fn() -> Box<dyn Iterator<Item = Vec<TableCell<'a>>> + 'a> {}
impl<'a, T: Fn() -> Box<dyn Iterator<Item = Vec<TableCell<'a>>> + 'a>> CellRows<'a> for T {}

/// Writes `rows` under the names of their columns in any format but [`Format::Html`], which has a module of its own.
pub fn write_cells<'a>(
    format: OutputFormat,
    names: &[&str],
    rows: impl CellRows<'a>,
    style: TableStyle,
    output: &mut dyn Write,
) -> io::Result<()> {
    match format {
        OutputFormat::Csv => write_csv(names, rows, style, output),
        OutputFormat::Json => write_json(names, rows, output),
        OutputFormat::Ndjson => rows().try_for_each(|cells| {
            write_json_object(names, &cells, output).and_then(|()| output.write_all(b"\n"))
        }),
        OutputFormat::Markdown => write_markdown(names, rows, output),
        OutputFormat::Table | OutputFormat::Html => write_table(names, rows, style, output),
    }
}

fn write_csv<'a>(
    names: &[&str],
    rows: impl CellRows<'a>,
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
        writer.write_record(None::<&[u8]>).map_err(csv_io_error)?;
    }
    writer.flush()
}

/// What went wrong with the writer: a pipe that was closed must be told from a full disk.
fn csv_io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn write_json<'a>(
    names: &[&str],
    rows: impl CellRows<'a>,
    output: &mut dyn Write,
) -> io::Result<()> {
    output.write_all(b"[")?;
    for (number, cells) in rows().enumerate() {
        output.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        write_json_object(names, &cells, output)?;
    }
    output.write_all(b"\n]\n")
}

/// The exact values: what must not reach a terminal as it is, is escaped.
fn write_json_object(
    names: &[&str],
    cells: &[TableCell<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    for (number, (name, cell)) in names.iter().zip(cells).enumerate() {
        output.write_all(if number == 0 { b"{" } else { b"," })?;
        let value = serde_json::to_string(cell).map_err(io::Error::other)?;
        write!(output, "\"{name}\":{}", escape_json(&value))?;
    }
    output.write_all(b"}")
}

fn write_markdown<'a>(
    names: &[&str],
    rows: impl CellRows<'a>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let first = rows().next();
    let rule = |place: usize| match first.as_ref().and_then(|cells| cells.get(place)) {
        Some(TableCell::Count(_)) => "---:",
        _ => "---",
    };
    writeln!(output, "| {} |", names.join(" | "))?;
    writeln!(
        output,
        "|{}|",
        (0..names.len()).map(rule).collect::<Vec<_>>().join("|")
    )?;
    for cells in rows() {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| escape_markdown(&sanitize(&cell.to_text())))
            .collect();
        writeln!(output, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text that Markdown shows as it is.
fn escape_markdown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => shown.extend(['\\', c]),
            _ => shown.push(c),
        }
    }
    shown
}

const COLUMN_GAP: usize = 2;

fn write_table<'a>(
    names: &[&str],
    rows: impl CellRows<'a>,
    style: TableStyle,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    for cells in rows() {
        for (width, cell) in widths.iter_mut().zip(&cells) {
            *width = (*width).max(sanitize(&cell.to_text()).width());
        }
    }
    if let Some(room) = style.max_width {
        shrink_columns(&mut widths, room);
    }
    let header: Vec<(String, bool)> = names
        .iter()
        .map(|name| ((*name).to_owned(), false))
        .collect();
    let mut line = String::new();
    format_line(&mut line, &header, &widths);
    let (bold, usual) = if style.is_bold {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    writeln!(output, "{bold}{line}{usual}")?;
    for cells in rows() {
        let cells: Vec<(String, bool)> = cells
            .iter()
            .map(|cell| {
                (
                    sanitize(&cell.to_text()).into_owned(),
                    matches!(cell, TableCell::Count(_)),
                )
            })
            .collect();
        format_line(&mut line, &cells, &widths);
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// Takes from the widest columns until the table fits; a column keeps at least five characters.
fn shrink_columns(widths: &mut [usize], room: usize) {
    let gaps = COLUMN_GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 5 => *widest -= 1,
            _ => return,
        }
    }
}

/// One line of the table: texts to the left, numbers to the right, and `…` where something does not fit.
fn format_line(line: &mut String, cells: &[(String, bool)], widths: &[usize]) {
    line.clear();
    for (number, ((text, right), width)) in cells.iter().zip(widths).enumerate() {
        let text = truncate_text(text, *width);
        let fill = " ".repeat(width.saturating_sub(text.width()));
        if number > 0 {
            line.push_str(&" ".repeat(COLUMN_GAP));
        }
        let parts = if *right {
            [fill.as_str(), &text]
        } else {
            [&text, fill.as_str()]
        };
        line.extend(parts);
    }
    line.truncate(line.trim_end().len());
}

fn truncate_text(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    // By characters: to measure all that is kept anew for each would take quadratic time.
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or_default();
        taken < width
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept.into()
}

impl TableCell<'_> {
    /// The value as words.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Count(count) => count.to_string().into(),
            Self::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        }
    }
}

impl Serialize for TableCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

#[cfg(test)]
mod tests;
