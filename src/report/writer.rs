//! A report that is ready, written in the form that was asked for, to a file or to stdout.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::output::{self, OutputFormat, TableCell, TableStyle};
use crate::report::collector::RecordProblems;
use crate::report::html::page::{self, HtmlPage};
use crate::report::rows::ReportRows;
use crate::report::totals::{self, ReportTotals};
use crate::system::atomic_file::AtomicFile;
use crate::system::host;

/// A report that is ready to be written.
#[derive(Debug)]
pub struct CollectedReport {
    /// The rows, unless only totals were asked for.
    pub rows: Option<ReportRows>,
    /// The totals, if they are wanted.
    pub totals: Option<ReportTotals>,
    /// What is of no use.
    pub problems: RecordProblems,
    /// What went wrong with the cache, which the report did without.
    pub cache_errors: Vec<String>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// The format.
    pub format: OutputFormat,
    /// Whether the rows are sorted by columns that the user named.
    pub is_sorted: bool,
    /// Whether cells stay as they are, even where a spreadsheet would run them as a formula.
    pub is_raw: bool,
    /// Whether it goes to a file instead of stdout.
    pub is_file: bool,
}

/// What is written, and how.
#[derive(Debug)]
pub struct ReportWriter<'a> {
    /// How it is written.
    pub options: RenderOptions,
    /// What to write.
    pub report: &'a CollectedReport,
    /// The bucket's name.
    pub bucket: &'a str,
    /// When the report was made.
    pub created_at: DateTime<Utc>,
    /// Whether stdout is a terminal.
    pub is_terminal: bool,
}

impl<'a> ReportWriter<'a> {
    /// How many rows there are.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.report.rows.as_ref().map_or_else(
            || self.report.totals.as_ref().map_or(0, ReportTotals::len),
            ReportRows::len,
        )
    }

    /// Writes it to a file, which gets all of it or none.
    pub fn write_to_file(&self, path: &Path) -> io::Result<()> {
        let mut draft = AtomicFile::create_for_user(path)?;
        self.write_to_output(&mut BufWriter::new(&mut draft))?;
        draft.commit().map(drop)
    }

    /// Writes it.
    pub fn write_to_output(&self, output: &mut dyn Write) -> io::Result<()> {
        let names = self.column_names();
        if self.options.format == OutputFormat::Html {
            let empty = ReportTotals::default();
            let page = HtmlPage {
                bucket: self.bucket,
                created_at: self.created_at,
                totals: self.report.totals.as_ref().unwrap_or(&empty),
                column_names: &names,
                rows: &mut self.iter_cells(),
                row_count: self.row_count(),
                is_sorted: self.options.is_sorted,
                skipped_count: self.report.problems.skipped.len(),
            };
            page::write_page(page, output)?;
        } else {
            let style = TableStyle {
                is_raw: self.options.is_raw && !self.is_terminal,
                max_width: self.table_width(),
                is_bold: self.is_terminal
                    && !self.options.is_file
                    && host::env_var("NO_COLOR").is_none(),
            };
            output::write_cells(
                self.options.format,
                &names,
                || self.iter_cells(),
                style,
                output,
            )?;
        }
        output.flush()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.row_count() == 0
    }

    fn column_names(&self) -> Vec<&'static str> {
        let of_rows =
            |rows: &ReportRows| rows.shown_columns().iter().map(|(_, name)| *name).collect();
        self.report
            .rows
            .as_ref()
            .map_or_else(|| totals::TOTALS_COLUMNS.to_vec(), of_rows)
    }

    fn iter_cells(&self) -> Box<dyn Iterator<Item = Vec<TableCell<'a>>> + 'a> {
        match (&self.report.rows, &self.report.totals) {
            (Some(rows), _) => Box::new(rows.iter_cells()),
            (None, Some(summary)) => Box::new(summary.iter_cells()),
            (None, None) => Box::new(std::iter::empty()),
        }
    }

    /// The width of the terminal that the table goes to.
    fn table_width(&self) -> Option<usize> {
        let on_terminal = self.is_terminal && !self.options.is_file;
        on_terminal.then(host::terminal_width).flatten()
    }
}
