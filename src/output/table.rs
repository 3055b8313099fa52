//! Aligned columns for a terminal: numbers on the right, and `…` where a text does not fit.

use std::borrow::Cow;
use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::sanitize::sanitize;
use super::{RowSource, TableCell, TableStyle};

const COLUMN_GAP: usize = 2;
const MIN_COLUMN_WIDTH: usize = 5;

struct AlignedText {
    text: String,
    is_number: bool,
}

pub(super) fn write_table(
    names: &[&str],
    rows: RowSource<'_, '_>,
    style: TableStyle,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut widths = measure_columns(names, rows);
    if let Some(max_width) = style.max_width {
        shrink_columns(&mut widths, max_width);
    }

    let mut line = String::new();
    let header: Vec<AlignedText> = names.iter().map(|name| align_left(name)).collect();
    format_line(&mut line, &header, &widths);
    if style.is_bold {
        writeln!(output, "\u{1b}[1m{line}\u{1b}[0m")?;
    } else {
        writeln!(output, "{line}")?;
    }

    for cells in rows() {
        let cells: Vec<AlignedText> = cells.iter().map(align_cell).collect();
        format_line(&mut line, &cells, &widths);
        writeln!(output, "{line}")?;
    }
    Ok(())
}

fn align_left(text: &str) -> AlignedText {
    AlignedText {
        text: text.to_owned(),
        is_number: false,
    }
}

fn align_cell(cell: &TableCell<'_>) -> AlignedText {
    AlignedText {
        text: sanitize(&cell.to_text()).into_owned(),
        is_number: matches!(cell, TableCell::Count(_)),
    }
}

/// The width of the widest text in each column.
fn measure_columns(names: &[&str], rows: RowSource<'_, '_>) -> Vec<usize> {
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    for cells in rows() {
        for (width, cell) in widths.iter_mut().zip(&cells) {
            let text = cell.to_text();
            *width = (*width).max(sanitize(&text).width());
        }
    }
    widths
}

/// Narrows the widest columns until the table fits; each keeps at least [`MIN_COLUMN_WIDTH`].
pub(super) fn shrink_columns(widths: &mut [usize], max_width: usize) {
    let gaps = COLUMN_GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > max_width {
        match widths.iter_mut().max() {
            Some(widest) if *widest > MIN_COLUMN_WIDTH => *widest -= 1,
            _ => return,
        }
    }
}

fn format_line(line: &mut String, cells: &[AlignedText], widths: &[usize]) {
    line.clear();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let text = truncate_text(&cell.text, *width);
        let padding = " ".repeat(width.saturating_sub(text.width()));

        if index > 0 {
            line.push_str(&" ".repeat(COLUMN_GAP));
        }
        if cell.is_number {
            line.push_str(&padding);
            line.push_str(&text);
        } else {
            line.push_str(&text);
            line.push_str(&padding);
        }
    }
    line.truncate(line.trim_end().len());
}

pub(super) fn truncate_text(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }

    // Adds up the widths of characters: measuring the whole text for each one would take quadratic
    // time.
    let mut used_width = 0;
    let mut truncated = String::new();
    for c in text.chars() {
        used_width += c.width().unwrap_or_default();
        if used_width >= width {
            break;
        }
        truncated.push(c);
    }
    truncated.push('…');
    Cow::Owned(truncated)
}
