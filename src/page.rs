//! The report as one HTML page.

use std::io::{self, Write};

use chrono::{DateTime, Utc};

use crate::formats::Cell;
use crate::summary::Summary;

/// What the page shows.
pub struct Page<'a, 'b> {
    /// The bucket.
    pub bucket: &'a str,
    /// When the report was made.
    pub made_at: DateTime<Utc>,
    /// The numbers.
    pub summary: &'a Summary,
    /// The names of the table's columns.
    pub names: &'a [&'a str],
    /// The table's rows.
    pub rows: &'b mut dyn Iterator<Item = Vec<Cell<'a>>>,
    /// How many rows there are.
    pub row_count: usize,
    /// How many records could not be used.
    pub left_out: usize,
}

/// Writes the page.
pub fn write(page: Page<'_, '_>, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "<!DOCTYPE html><title>{}</title>", page.bucket)
}
