//! Writes a collected report in the requested format, to a file or to stdout.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::output::{self, OutputFormat, RowIterator, TableStyle};
use crate::report::collector::ReportContent;
use crate::report::html::page::{self, HtmlPage};
use crate::report::totals::{ReportTotals, TOTALS_COLUMNS};
use crate::system::atomic_file::AtomicFile;
use crate::system::env::{env_var, terminal_width};

#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    pub format: OutputFormat,
    /// Whether the user named columns to sort by.
    pub is_sorted: bool,
    /// Whether CSV keeps text that a spreadsheet would run as a formula.
    pub is_raw: bool,
    /// Whether the report goes to a file instead of stdout.
    pub is_file: bool,
}

#[derive(Debug)]
pub struct ReportWriter<'a> {
    pub options: RenderOptions,
    pub content: &'a ReportContent,
    /// The bucket's name.
    pub bucket: &'a str,
    pub created_at: DateTime<Utc>,
    /// Whether stdout is a terminal.
    pub is_terminal: bool,
}

impl<'a> ReportWriter<'a> {
    #[must_use]
    pub fn row_count(&self) -> usize {
        match (&self.content.rows, &self.content.totals) {
            (Some(rows), _) => rows.len(),
            (None, Some(totals)) => totals.len(),
            (None, None) => 0,
        }
    }

    /// The file gets the whole report, or stays as it is.
    pub fn write_to_file(&self, path: &Path) -> io::Result<()> {
        let mut file = AtomicFile::create_for_user(path)?;
        self.write_to_output(&mut BufWriter::new(&mut file))?;
        file.commit()?;
        Ok(())
    }

    pub fn write_to_output(&self, output: &mut dyn Write) -> io::Result<()> {
        match self.options.format {
            OutputFormat::Html => self.write_page(output)?,
            format => {
                let names = self.column_names();
                let rows = || self.iter_cells();
                output::write_cells(format, &names, rows, self.table_style(), output)?;
            }
        }
        output.flush()
    }

    fn write_page(&self, output: &mut dyn Write) -> io::Result<()> {
        let no_totals = ReportTotals::default();
        let page = HtmlPage {
            bucket: self.bucket,
            created_at: self.created_at,
            totals: self.content.totals.as_ref().unwrap_or(&no_totals),
            column_names: &self.column_names(),
            rows: &mut self.iter_cells(),
            row_count: self.row_count(),
            is_sorted: self.options.is_sorted,
            skipped_count: self.content.problems.skipped.len(),
        };
        page::write_page(page, output)
    }

    fn table_style(&self) -> TableStyle {
        let is_shown_on_terminal = self.is_terminal && !self.options.is_file;
        let max_width = if is_shown_on_terminal {
            terminal_width()
        } else {
            None
        };
        TableStyle {
            is_raw: self.options.is_raw && !self.is_terminal,
            max_width,
            is_bold: is_shown_on_terminal && env_var("NO_COLOR").is_none(),
        }
    }

    fn column_names(&self) -> Vec<&'static str> {
        match &self.content.rows {
            Some(rows) => {
                let columns = rows.shown_columns().iter();
                columns.map(|(_, name)| *name).collect()
            }
            None => TOTALS_COLUMNS.to_vec(),
        }
    }

    fn iter_cells(&self) -> RowIterator<'a> {
        match (&self.content.rows, &self.content.totals) {
            (Some(rows), _) => Box::new(rows.iter_cells()),
            (None, Some(totals)) => Box::new(totals.iter_cells()),
            (None, None) => Box::new(std::iter::empty()),
        }
    }
}
