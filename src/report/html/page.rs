//! The page as a whole: the template, its style and script, and the tiles above the charts.
//!
//! Text from records is always escaped and never part of a script or a style; the page's policy
//! allows no other script. Numbers come from the totals only.

use std::io::{self, Write};

use chrono::{DateTime, Days, SecondsFormat, Utc};

use super::bar_chart::write_group_chart;
use super::bar_chart::write_time_chart;
use super::calendar::write_calendar;
use super::number_format::GroupedNumber;
use super::rows_table::{TableKind, select_rows, table_note, write_table_head, write_table_row};
use crate::digest::sha256_base64;
use crate::output::TableCell;
use crate::output::sanitize::{count_noun, escape_html};
use crate::report::totals::{GroupTotals, ReportTotals, TotalsGroup};

const PAGE_TEMPLATE: &str = include_str!("template.html");
const PAGE_STYLE: &str = include_str!("style.css");
const PAGE_SCRIPT: &str = include_str!("table.js");

/// A table with more columns is drawn over the full width of the window.
const MAX_NARROW_COLUMNS: usize = 8;

pub struct HtmlPage<'a, 'b> {
    pub bucket: &'a str,
    pub created_at: DateTime<Utc>,
    pub totals: &'a ReportTotals,
    pub column_names: &'a [&'a str],
    pub rows: &'b mut dyn Iterator<Item = Vec<TableCell<'a>>>,
    pub row_count: usize,
    /// Whether the user chose the order of the rows; otherwise the newest come first.
    pub is_sorted: bool,
    /// Records that could not be used.
    pub skipped_count: usize,
}

/// What the marks of the template stand for.
struct PageContent<'a> {
    bucket: &'a str,
    created_at: DateTime<Utc>,
    totals: &'a ReportTotals,
    column_names: &'a [&'a str],
    kind: TableKind,
    rows: Vec<Vec<TableCell<'a>>>,
    row_count: usize,
    is_sorted: bool,
    skipped_count: usize,
}

pub fn write_page(page: HtmlPage<'_, '_>, output: &mut dyn Write) -> io::Result<()> {
    let rows = page.rows;
    let kind = TableKind::from_columns(page.column_names);
    let content = PageContent {
        bucket: page.bucket,
        created_at: page.created_at,
        totals: page.totals,
        column_names: page.column_names,
        kind,
        rows: select_rows(rows, kind, page.is_sorted),
        row_count: page.row_count,
        is_sorted: page.is_sorted,
        skipped_count: page.skipped_count,
    };
    let is_empty = content.totals.is_empty();

    let mut parts = PAGE_TEMPLATE.split("{{");
    if let Some(beginning) = parts.next() {
        output.write_all(beginning.as_bytes())?;
    }

    let mut is_shown = true;
    for part in parts {
        let Some((mark, text)) = part.split_once("}}") else {
            continue;
        };
        match mark {
            "if none" => is_shown = is_empty,
            "if any" => is_shown = !is_empty,
            "end" => is_shown = true,
            _ if is_shown => content.write_mark(mark, output)?,
            _ => {}
        }
        if is_shown {
            output.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

impl PageContent<'_> {
    fn write_mark(&self, mark: &str, output: &mut dyn Write) -> io::Result<()> {
        match mark {
            "style" => write!(output, "{PAGE_STYLE}"),
            "script" => write!(output, "{PAGE_SCRIPT}"),
            "style hash" => write!(output, "{}", sha256_base64(PAGE_STYLE.as_bytes())),
            "script hash" => write!(output, "{}", sha256_base64(PAGE_SCRIPT.as_bytes())),
            "bucket" => write!(output, "{}", escape_html(self.bucket)),
            "made at" => write_time(self.created_at, "%Y-%m-%d %H:%M UTC", output),
            "version" => write!(output, "{}", env!("CARGO_PKG_VERSION")),
            "skipped notice" => write_skipped_notice(self.skipped_count, output),
            "tiles" => write_tiles(self.totals, self.created_at, output),
            "over time" => write_time_chart(self.totals, output),
            "by customer" => write_group_chart(self.totals, TotalsGroup::Customer, output),
            "by user" => write_group_chart(self.totals, TotalsGroup::User, output),
            "calendar" => write_calendar(self.totals, output),
            _ => self.write_table_mark(mark, output),
        }
    }

    fn write_table_mark(&self, mark: &str, output: &mut dyn Write) -> io::Result<()> {
        match mark {
            "table title" => write!(output, "{}", self.kind.title()),
            "table note" => {
                let note = table_note(self.kind, self.rows.len(), self.row_count);
                write!(output, "{note}")
            }
            "wide" if self.column_names.len() > MAX_NARROW_COLUMNS => {
                write!(output, " class=\"wide\"")
            }
            "table head" => {
                let first_row = self.rows.first();
                write_table_head(self.column_names, self.is_sorted, first_row, output)
            }
            "table body" => {
                for row in &self.rows {
                    write_table_row(row, output)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn write_time(at: DateTime<Utc>, format: &str, output: &mut dyn Write) -> io::Result<()> {
    let machine_readable = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let shown = at.format(format);
    write!(
        output,
        "<time datetime=\"{machine_readable}\">{shown}</time>"
    )
}

fn write_skipped_notice(count: usize, output: &mut dyn Write) -> io::Result<()> {
    let (are, them) = match count {
        0 => return Ok(()),
        1 => ("is", "it"),
        _ => ("are", "them"),
    };
    let records = count_noun(GroupedNumber(count as u64), "record");
    writeln!(
        output,
        "<p class=\"notice alert\" role=\"note\">\
         <strong>{records} could not be used</strong> and {are} not part of this page. \
         The messages of the run that made this page name {them}.</p>",
    )
}

/// A number above the charts.
struct PageTile {
    label: &'static str,
    number: u64,
    /// How much of it falls into the last 30 days.
    recent: Option<u64>,
}

fn write_tiles(
    totals: &ReportTotals,
    created_at: DateTime<Utc>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let Some(grand_total) = totals.grand_total() else {
        return Ok(());
    };

    for tile in count_tiles(totals, grand_total, created_at) {
        write_count_tile(&tile, output)?;
    }
    write_time_tile("First deployment", grand_total.first, output)?;
    write_time_tile("Last deployment", grand_total.last, output)
}

fn count_tiles(
    totals: &ReportTotals,
    grand_total: &GroupTotals,
    created_at: DateTime<Utc>,
) -> [PageTile; 4] {
    // Whole days, because deployments are counted by day; today is one of the 30.
    let today = created_at.date_naive();
    let since = today.checked_sub_days(Days::new(29)).unwrap_or_default();

    let recent_members = |group| {
        let members = totals.members_of(group);
        let recent = members.filter(|(_, totals)| totals.last.date_naive() >= since);
        recent.count() as u64
    };
    let recent_days = totals.deployments_per_day().range(since..);
    let recent_deployments = recent_days.map(|(_, count)| count).sum();

    [
        PageTile {
            label: "Deployments",
            number: grand_total.deployments,
            recent: Some(recent_deployments),
        },
        PageTile {
            label: "Customers",
            number: grand_total.customer_count() as u64,
            recent: Some(recent_members(TotalsGroup::Customer)),
        },
        PageTile {
            label: "Users",
            number: grand_total.user_count() as u64,
            recent: Some(recent_members(TotalsGroup::User)),
        },
        PageTile {
            label: "Different configs",
            number: grand_total.config_count() as u64,
            recent: None,
        },
    ]
}

fn write_count_tile(tile: &PageTile, output: &mut dyn Write) -> io::Result<()> {
    let (label, number) = (tile.label, tile.number);
    let shown = GroupedNumber(number);
    write!(
        output,
        "<div><dt>{label}</dt><dd><data value=\"{number}\">{shown}</data></dd>"
    )?;
    if let Some(recent) = tile.recent {
        let recent = GroupedNumber(recent);
        write!(output, "<dd>{recent} in the last 30 days</dd>")?;
    }
    writeln!(output, "</div>")
}

fn write_time_tile(label: &str, at: DateTime<Utc>, output: &mut dyn Write) -> io::Result<()> {
    write!(output, "<div><dt>{label}</dt><dd>")?;
    write_time(at, "%-d %b %Y", output)?;
    writeln!(output, "</dd><dd>{}</dd></div>", at.format("%H:%M:%S"))
}

#[cfg(test)]
mod tests;
