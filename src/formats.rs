//! A table of cells as CSV, JSON, NDJSON, Markdown, or for a terminal.
//!
//! Pure apart from writing to the writer it is given. What a cell's text may do to whoever opens it is settled here and
//! in `text.rs`, nowhere else.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::text::{escape_json, plain, unarmed};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
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
pub enum Cell<'a> {
    /// Text, as the record has it.
    Text(Cow<'a, str>),
    /// A number.
    Count(u64),
    /// Yes or no.
    Flag(bool),
}

/// How cells are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Leave text as it is, even where a spreadsheet would run it.
    pub raw: bool,
    /// The columns of the terminal that a table must fit into.
    pub width: Option<usize>,
    /// Whether the table's header may be bold.
    pub bold: bool,
}

impl Format {
    /// The format that a file's name asks for, if any.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
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
pub fn until_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Rows of cells, which can be gone through more than once.
pub trait Cells<'a>: Fn() -> Box<dyn Iterator<Item = Vec<Cell<'a>>> + 'a> {}
impl<'a, T: Fn() -> Box<dyn Iterator<Item = Vec<Cell<'a>>> + 'a>> Cells<'a> for T {}

/// Writes `rows` under the names of their columns in any format but [`Format::Html`], which has a module of its own.
pub fn write<'a>(format: Format, names: &[&str], rows: impl Cells<'a>, style: Style, output: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Csv => csv(names, rows, style, output),
        Format::Json => json(names, rows, output),
        Format::Ndjson => rows().try_for_each(|cells| object(names, &cells, output).and_then(|()| output.write_all(b"\n"))),
        Format::Markdown => markdown(names, rows, output),
        Format::Table | Format::Html => table(names, rows, style, output),
    }
}

fn csv<'a>(names: &[&str], rows: impl Cells<'a>, style: Style, output: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    writer.write_record(names).map_err(cause)?;
    for cells in rows() {
        for cell in &cells {
            let field = match cell {
                Cell::Text(text) if !style.raw => unarmed(text),
                other => other.words(),
            };
            writer.write_field(field.as_bytes()).map_err(cause)?;
        }
        writer.write_record(None::<&[u8]>).map_err(cause)?;
    }
    writer.flush()
}

/// What went wrong with the writer: a pipe that was closed must be told from a full disk.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn json<'a>(names: &[&str], rows: impl Cells<'a>, output: &mut dyn Write) -> io::Result<()> {
    output.write_all(b"[")?;
    for (number, cells) in rows().enumerate() {
        output.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        object(names, &cells, output)?;
    }
    output.write_all(b"\n]\n")
}

/// The exact values: what must not reach a terminal as it is, is escaped.
fn object(names: &[&str], cells: &[Cell<'_>], output: &mut dyn Write) -> io::Result<()> {
    for (number, (name, cell)) in names.iter().zip(cells).enumerate() {
        output.write_all(if number == 0 { b"{" } else { b"," })?;
        let value = serde_json::to_string(cell).map_err(io::Error::other)?;
        write!(output, "\"{name}\":{}", escape_json(&value))?;
    }
    output.write_all(b"}")
}

fn markdown<'a>(names: &[&str], rows: impl Cells<'a>, output: &mut dyn Write) -> io::Result<()> {
    let first = rows().next();
    let rule = |place: usize| match first.as_ref().and_then(|cells| cells.get(place)) {
        Some(Cell::Count(_)) => "---:",
        _ => "---",
    };
    writeln!(output, "| {} |", names.join(" | "))?;
    writeln!(output, "|{}|", (0..names.len()).map(rule).collect::<Vec<_>>().join("|"))?;
    for cells in rows() {
        let cells: Vec<String> = cells.iter().map(|cell| literal(&plain(&cell.words()))).collect();
        writeln!(output, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text that Markdown shows as it is.
fn literal(text: &str) -> String {
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

const GAP: usize = 2;

fn table<'a>(names: &[&str], rows: impl Cells<'a>, style: Style, output: &mut dyn Write) -> io::Result<()> {
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    for cells in rows() {
        for (width, cell) in widths.iter_mut().zip(&cells) {
            *width = (*width).max(plain(&cell.words()).width());
        }
    }
    if let Some(room) = style.width {
        shrink(&mut widths, room);
    }
    let header: Vec<(String, bool)> = names.iter().map(|name| ((*name).to_owned(), false)).collect();
    let mut line = String::new();
    set(&mut line, &header, &widths);
    let (bold, usual) = if style.bold { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    writeln!(output, "{bold}{line}{usual}")?;
    for cells in rows() {
        let cells: Vec<(String, bool)> =
            cells.iter().map(|cell| (plain(&cell.words()).into_owned(), matches!(cell, Cell::Count(_)))).collect();
        set(&mut line, &cells, &widths);
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// Takes from the widest columns until the table fits; a column keeps at least five characters.
fn shrink(widths: &mut [usize], room: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 5 => *widest -= 1,
            _ => return,
        }
    }
}

/// One line of the table: texts to the left, numbers to the right, and `…` where something does not fit.
fn set(line: &mut String, cells: &[(String, bool)], widths: &[usize]) {
    line.clear();
    for (number, ((text, right), width)) in cells.iter().zip(widths).enumerate() {
        let text = cut(text, *width);
        let fill = " ".repeat(width.saturating_sub(text.width()));
        if number > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        let parts = if *right { [fill.as_str(), &text] } else { [&text, fill.as_str()] };
        line.extend(parts);
    }
    line.truncate(line.trim_end().len());
}

fn cut(text: &str, width: usize) -> Cow<'_, str> {
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

impl Cell<'_> {
    /// The value as words.
    #[must_use]
    pub fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Count(count) => count.to_string().into(),
            Self::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

#[cfg(test)]
#[path = "formats/tests.rs"]
mod tests;
