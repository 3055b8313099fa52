//! A report that is ready, written in the form that was asked for, to a file or to stdout.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::arguments::ReportArguments;
use crate::files::Draft;
use crate::formats::{self, Cell, Format, Style};
use crate::gather::Findings;
use crate::host;
use crate::page::{self, Page};
use crate::rows::Rows;
use crate::summary::{self, Summary};

/// A report that is ready to be written.
#[derive(Debug)]
pub struct Report {
    /// The rows, unless only totals were asked for.
    pub rows: Option<Rows>,
    /// The totals, if they are wanted.
    pub summary: Option<Summary>,
    /// What is of no use.
    pub findings: Findings,
    /// What went wrong with the cache, which the report did without.
    pub troubles: Vec<String>,
}

/// What is written, and how.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// What was asked for.
    pub arguments: &'a ReportArguments,
    /// The form.
    pub format: Format,
    /// What to write.
    pub report: &'a Report,
    /// The bucket's name.
    pub bucket: &'a str,
    /// When the report was made.
    pub now: DateTime<Utc>,
    /// Whether stdout is a terminal.
    pub terminal: bool,
}

impl<'a> Sheet<'a> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.report.rows.as_ref().map_or_else(|| self.report.summary.as_ref().map_or(0, Summary::len), Rows::len)
    }

    /// Writes it to a file, which gets all of it or none.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut draft = Draft::for_user(path)?;
        self.write(&mut BufWriter::new(&mut draft))?;
        draft.commit().map(drop)
    }

    /// Writes it.
    pub fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let names = self.names();
        if self.format == Format::Html {
            let empty = Summary::default();
            let page = Page {
                bucket: self.bucket,
                made_at: self.now,
                summary: self.report.summary.as_ref().unwrap_or(&empty),
                names: &names,
                rows: &mut self.cells(),
                row_count: self.len(),
                ordered: !self.arguments.sort.is_empty(),
                left_out: self.report.findings.unusable.len(),
            };
            page::write(page, output)?;
        } else {
            let style = Style {
                raw: self.arguments.raw_cells && !self.terminal,
                width: self.width(),
                bold: self.terminal && self.arguments.file().is_none() && host::var("NO_COLOR").is_none(),
            };
            formats::write(self.format, &names, || self.cells(), style, output)?;
        }
        output.flush()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn names(&self) -> Vec<&'static str> {
        let of_rows = |rows: &Rows| rows.columns().iter().map(|(_, name)| *name).collect();
        self.report.rows.as_ref().map_or_else(|| summary::COLUMNS.to_vec(), of_rows)
    }

    fn cells(&self) -> Box<dyn Iterator<Item = Vec<Cell<'a>>> + 'a> {
        match (&self.report.rows, &self.report.summary) {
            (Some(rows), _) => Box::new(rows.cells()),
            (None, Some(summary)) => Box::new(summary.cells()),
            (None, None) => Box::new(std::iter::empty()),
        }
    }

    /// The width of the terminal that the table goes to.
    fn width(&self) -> Option<usize> {
        let on_terminal = self.terminal && self.arguments.file().is_none();
        on_terminal.then(host::terminal_width).flatten()
    }
}
