//! What a command prints: tables in five formats, text that is safe to show, and progress.
//!
//! Must not know what the cells mean, and must not open files: each writer writes to the output it
//! is given.
//!
//! - `csv`, `json`, `markdown`, `table`: one writer for each format
//! - `sanitize`: makes text from records safe for terminals, spreadsheets, browsers and readers of
//!   JSON
//! - `progress`: one line on the terminal that shows how far a command is

mod csv;
mod json;
mod markdown;
pub mod progress;
pub mod sanitize;
mod table;

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};

pub(crate) use json::to_json_line;

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

impl OutputFormat {
    /// The format that the extension of a file name stands for, if any.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "txt" => Some(Self::Table),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "html" | "htm" => Some(Self::Html),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableCell<'a> {
    /// Exactly as the record has it.
    Text(Cow<'a, str>),
    Count(u64),
    Flag(bool),
}

impl TableCell<'_> {
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Count(count) => Cow::Owned(count.to_string()),
            Self::Flag(true) => Cow::Borrowed("true"),
            Self::Flag(false) => Cow::Borrowed("false"),
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

/// How cells are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableStyle {
    /// Whether CSV keeps text that a spreadsheet would run as a formula.
    pub is_raw: bool,
    /// The columns of the terminal that a table must fit into.
    pub max_width: Option<usize>,
    /// Whether the table's header is bold.
    pub is_bold: bool,
}

/// The rows of a table, one after another.
pub type RowIterator<'a> = Box<dyn Iterator<Item = Vec<TableCell<'a>>> + 'a>;

/// Starts at the first row on each call: a table reads its rows twice, to know the widths of its
/// columns.
type RowSource<'s, 'a> = &'s dyn Fn() -> RowIterator<'a>;

/// Writes `rows` below the names of their columns.
///
/// [`OutputFormat::Html`] has a page of its own (`report/html`); here it is written as a table.
pub fn write_cells<'a>(
    format: OutputFormat,
    names: &[&str],
    rows: impl Fn() -> RowIterator<'a>,
    style: TableStyle,
    output: &mut dyn Write,
) -> io::Result<()> {
    match format {
        OutputFormat::Csv => csv::write_csv(names, &rows, style, output),
        OutputFormat::Json => json::write_json(names, &rows, output),
        OutputFormat::Ndjson => json::write_ndjson(names, &rows, output),
        OutputFormat::Markdown => markdown::write_markdown(names, &rows, output),
        OutputFormat::Table | OutputFormat::Html => table::write_table(names, &rows, style, output),
    }
}

/// A reader that closes the pipe early (`| head`) is not an error.
pub fn ignore_broken_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
