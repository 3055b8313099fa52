//! The rows of the report as a table of the page.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::number_format::GroupedNumber;
use crate::output::TableCell;
use crate::output::sanitize::{count_noun, escape_html};
use crate::report::columns::DAY_COLUMN_COUNT;

/// Browsers become slow with more rows than this.
pub(super) const MAX_PAGE_ROWS: usize = 10_000;

/// What the rows of the table stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableKind {
    DayRows,
    Deployments,
    Totals,
}

impl TableKind {
    pub(super) fn from_columns(names: &[&str]) -> Self {
        if names.first() != Some(&"timestamp") {
            Self::Totals
        } else if names.len() == DAY_COLUMN_COUNT {
            Self::DayRows
        } else {
            Self::Deployments
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::DayRows => "Last deployments of each day",
            Self::Deployments => "All deployments",
            Self::Totals => "Totals",
        }
    }

    fn describe_rows(self) -> &'static str {
        match self {
            Self::DayRows => "One row for each date, customer and user",
            Self::Deployments => "One row for each deployment",
            Self::Totals => "One row in all and for each customer, user, month and week",
        }
    }
}

/// Selects at most [`MAX_PAGE_ROWS`]: the newest deployments, or the first totals.
///
/// The newest row comes first, unless the user chose the order.
pub(super) fn select_rows<'a>(
    rows: &mut dyn Iterator<Item = Vec<TableCell<'a>>>,
    kind: TableKind,
    is_sorted: bool,
) -> Vec<Vec<TableCell<'a>>> {
    if kind == TableKind::Totals {
        return rows.take(MAX_PAGE_ROWS).collect();
    }

    // By time and, of one time, by the order in which the rows come.
    let mut newest: BTreeMap<(String, usize), Vec<TableCell<'a>>> = BTreeMap::new();
    for (index, row) in rows.enumerate() {
        let time = sortable_time(&row);
        if newest.len() == MAX_PAGE_ROWS
            && let Some(((oldest, _), _)) = newest.first_key_value()
            && time < *oldest
        {
            continue;
        }
        newest.insert((time, index), row);
        if newest.len() > MAX_PAGE_ROWS {
            newest.pop_first();
        }
    }

    let mut selected: Vec<_> = newest.into_iter().collect();
    if is_sorted {
        selected.sort_unstable_by_key(|((_, index), _)| *index);
    } else {
        // A stable sort: rows of one time keep their order by customer and user.
        selected.sort_by(|((a, _), _), ((b, _), _)| b.cmp(a));
    }
    selected.into_iter().map(|(_, row)| row).collect()
}

/// Without the `Z`, a fraction of a second sorts after the whole second.
fn sortable_time(row: &[TableCell<'_>]) -> String {
    let Some(timestamp) = row.first() else {
        return String::new();
    };
    timestamp.to_text().trim_end_matches('Z').to_owned()
}

pub(super) fn table_note(kind: TableKind, shown_count: usize, row_count: usize) -> String {
    let description = kind.describe_rows();
    let rows = count_noun(GroupedNumber(row_count as u64), "row");
    if shown_count >= row_count {
        return format!("{description}: {rows}.");
    }

    let which = match kind {
        TableKind::Totals => "first",
        TableKind::DayRows | TableKind::Deployments => "newest",
    };
    let shown = GroupedNumber(shown_count as u64);
    format!("{description}: the {which} {shown} of {rows}. The other formats have all of them.")
}

pub(super) fn write_table_head(
    names: &[&str],
    is_sorted: bool,
    first_row: Option<&Vec<TableCell<'_>>>,
    output: &mut dyn Write,
) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for (index, name) in names.iter().enumerate() {
        let first_cell = first_row.and_then(|row| row.get(index));
        let kind = column_kind(name, first_cell);
        let sort = if *name == "timestamp" && !is_sorted {
            " aria-sort=\"descending\""
        } else {
            ""
        };
        let heading = format_heading(name);
        write!(
            output,
            "<th scope=\"col\" class=\"{kind}\" data-kind=\"{kind}\"{sort}>{heading}</th>"
        )?;
    }
    output.write_all(b"</tr>\n")
}

/// The script of the page sorts the column accordingly.
fn column_kind(name: &str, first_cell: Option<&TableCell<'_>>) -> &'static str {
    match (first_cell, name) {
        (Some(TableCell::Count(_)), _) => "number",
        (_, "timestamp" | "first" | "last") => "time",
        _ => "text",
    }
}

/// `git_commit` becomes `Git commit`, `ci_run_url` becomes `CI run URL`.
pub(super) fn format_heading(name: &str) -> String {
    let mut words = Vec::new();
    for (index, word) in name.split('_').enumerate() {
        let word = match word {
            "arn" | "ci" | "id" | "url" => word.to_uppercase(),
            _ if index == 0 => word[..1].to_uppercase() + &word[1..],
            _ => word.to_owned(),
        };
        words.push(word);
    }
    words.join(" ")
}

pub(super) fn write_table_row(cells: &[TableCell<'_>], output: &mut dyn Write) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for cell in cells {
        match cell {
            TableCell::Count(number) => write!(output, "<td class=\"number\">{number}</td>")?,
            // ASCII needs no isolation because it has no letters that run from right to left.
            TableCell::Text(text) if !text.is_ascii() => {
                write!(output, "<td><bdi>{}</bdi></td>", escape_html(text))?;
            }
            _ => write!(output, "<td>{}</td>", escape_html(&cell.to_text()))?,
        }
    }
    output.write_all(b"</tr>\n")
}
