//! The report as one HTML page that asks nobody for anything: page.html with page.css, page.js and the numbers in it.
//!
//! Whatever a record says stands in the page as escaped text, never in a script or a style, and the page's policy lets
//! no other script run. Numbers come from the summary only. Pure apart from writing to the writer it is given.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Days, SecondsFormat, Utc};

use crate::digest::sha256_base64;
use crate::output::sanitize::escape_html;
use crate::output::table_formats::TableCell;
use crate::report::columns;
use crate::report::html::bar_chart;
use crate::report::html::calendar;
use crate::report::html::number_format::{GroupedNumber, count_grouped_noun};
use crate::report::totals::{ReportTotals, TotalsGroup};

const PAGE_TEMPLATE: &str = include_str!("template.html");
const PAGE_STYLE: &str = include_str!("style.css");
const PAGE_SCRIPT: &str = include_str!("table.js");

/// More rows than this make browsers slow.
const MAX_PAGE_ROWS: usize = 10_000;

/// What the page shows.
pub struct HtmlPage<'a, 'b> {
    /// The bucket.
    pub bucket: &'a str,
    /// When the report was made.
    pub created_at: DateTime<Utc>,
    /// The numbers.
    pub totals: &'a ReportTotals,
    /// The names of the table's columns.
    pub column_names: &'a [&'a str],
    /// The table's rows.
    pub rows: &'b mut dyn Iterator<Item = Vec<TableCell<'a>>>,
    /// How many rows there are.
    pub row_count: usize,
    /// Whether somebody asked for the order that the rows come in; otherwise the newest come first.
    pub is_sorted: bool,
    /// How many records could not be used.
    pub skipped_count: usize,
}

/// Writes the page.
pub fn write_page(page: HtmlPage<'_, '_>, output: &mut dyn Write) -> io::Result<()> {
    let HtmlPage {
        bucket,
        created_at: made_at,
        totals: summary,
        column_names: names,
        rows,
        row_count,
        is_sorted: ordered,
        skipped_count: left_out,
    } = page;
    let rows = select_rows(rows, names, ordered);
    let none = summary.is_empty();
    let mut parts = PAGE_TEMPLATE.split("{{");
    output.write_all(parts.next().unwrap_or_default().as_bytes())?;
    let mut shown = true;
    for (mark, text) in parts.filter_map(|part| part.split_once("}}")) {
        match mark {
            "if none" => shown = none,
            "if any" => shown = !none,
            "end" => shown = true,
            _ if !shown => {}
            "style" => output.write_all(PAGE_STYLE.as_bytes())?,
            "script" => output.write_all(PAGE_SCRIPT.as_bytes())?,
            "style hash" => output.write_all(sha256_base64(PAGE_STYLE.as_bytes()).as_bytes())?,
            "script hash" => output.write_all(sha256_base64(PAGE_SCRIPT.as_bytes()).as_bytes())?,
            "bucket" => output.write_all(escape_html(bucket).as_bytes())?,
            "made at" => write_time(made_at, "%Y-%m-%d %H:%M UTC", output)?,
            "version" => output.write_all(env!("CARGO_PKG_VERSION").as_bytes())?,
            "left out" => write_skipped_notice(left_out, output)?,
            "tiles" => write_tiles(summary, made_at, output)?,
            "over time" => bar_chart::write_time_chart(summary, output)?,
            "by customer" => bar_chart::write_group_chart(summary, TotalsGroup::Customer, output)?,
            "by user" => bar_chart::write_group_chart(summary, TotalsGroup::User, output)?,
            "calendar" => calendar::write_calendar(summary, output)?,
            "table title" => output.write_all(table_title(names).as_bytes())?,
            "table note" => {
                output.write_all(table_note(names, rows.len(), row_count).as_bytes())?;
            }
            "wide" if names.len() > 8 => output.write_all(b" class=\"wide\"")?,
            "table head" => write_table_head(names, ordered, rows.first(), output)?,
            "table body" => rows
                .iter()
                .try_for_each(|row| write_table_row(row, output))?,
            _ => {}
        }
        if shown {
            output.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// Whether the rows are deployments, and not totals.
fn has_timestamps(names: &[&str]) -> bool {
    names.first() == Some(&"timestamp")
}

/// The rows that the page shows: the newest, in the order in which they come if it was asked for; of totals the first.
fn select_rows<'a>(
    rows: &mut dyn Iterator<Item = Vec<TableCell<'a>>>,
    names: &[&str],
    ordered: bool,
) -> Vec<Vec<TableCell<'a>>> {
    if !has_timestamps(names) {
        return rows.take(MAX_PAGE_ROWS).collect();
    }
    let mut newest = BTreeMap::new();
    for (number, row) in rows.enumerate() {
        // Without the Z, a fraction of a second comes behind the whole second.
        let time = row
            .first()
            .map(|cell| cell.to_text().trim_end_matches('Z').to_owned())
            .unwrap_or_default();
        if newest.len() == MAX_PAGE_ROWS
            && newest
                .first_key_value()
                .is_some_and(|((oldest, _), _)| time < *oldest)
        {
            continue;
        }
        newest.insert((time, number), row);
        if newest.len() > MAX_PAGE_ROWS {
            newest.pop_first();
        }
    }
    let mut chosen: Vec<((String, usize), Vec<TableCell<'a>>)> = newest.into_iter().collect();
    if ordered {
        chosen.sort_unstable_by_key(|((_, number), _)| *number);
    } else {
        // Of one time, as they came: by customer and user.
        chosen.sort_by(|((a, _), _), ((b, _), _)| b.cmp(a));
    }
    chosen.into_iter().map(|(_, row)| row).collect()
}

fn write_time(at: DateTime<Utc>, format: &str, output: &mut dyn Write) -> io::Result<()> {
    write!(
        output,
        "<time datetime=\"{}\">{}</time>",
        at.to_rfc3339_opts(SecondsFormat::Secs, true),
        at.format(format)
    )
}

fn write_skipped_notice(number: usize, output: &mut dyn Write) -> io::Result<()> {
    if number == 0 {
        return Ok(());
    }
    let records = count_grouped_noun(number as u64, "record");
    let are = if number == 1 { "is" } else { "are" };
    writeln!(
        output,
        "<p class=\"notice alert\" role=\"note\"><strong>{records} could not be used</strong> and {are} left out of everything here. \
         The messages of the run that made this page name {them}.</p>",
        them = if number == 1 { "it" } else { "them" },
    )
}

fn write_tiles(
    summary: &ReportTotals,
    made_at: DateTime<Utc>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let Some(totals) = summary.grand_total() else {
        return Ok(());
    };
    // As whole days, for deployments are counted by day; today is one of the 30.
    let since = made_at
        .date_naive()
        .checked_sub_days(Days::new(29))
        .unwrap_or_default();
    let lately = |group| {
        summary
            .members_of(group)
            .filter(|(_, totals)| totals.last.date_naive() >= since)
            .count()
    };
    let of_lately = |number: u64| Some(format!("{} in the last 30 days", GroupedNumber(number)));
    for (label, number, more) in [
        (
            "Deployments",
            totals.deployments,
            of_lately(
                summary
                    .deployments_per_day()
                    .range(since..)
                    .map(|(_, count)| count)
                    .sum(),
            ),
        ),
        (
            "Customers",
            totals.customer_count() as u64,
            of_lately(lately(TotalsGroup::Customer) as u64),
        ),
        (
            "Users",
            totals.user_count() as u64,
            of_lately(lately(TotalsGroup::User) as u64),
        ),
        ("Different configs", totals.config_count() as u64, None),
    ] {
        write!(
            output,
            "<div><dt>{label}</dt><dd><data value=\"{number}\">{}</data></dd>",
            GroupedNumber(number)
        )?;
        more.map_or(Ok(()), |more| write!(output, "<dd>{more}</dd>"))?;
        writeln!(output, "</div>")?;
    }
    for (label, at) in [
        ("First deployment", totals.first),
        ("Last deployment", totals.last),
    ] {
        write!(output, "<div><dt>{label}</dt><dd>")?;
        write_time(at, "%-d %b %Y", output)?;
        writeln!(output, "</dd><dd>{}</dd></div>", at.format("%H:%M:%S"))?;
    }
    Ok(())
}

fn table_title(names: &[&str]) -> &'static str {
    match names.len() {
        _ if !has_timestamps(names) => "Totals",
        columns::DAY_COLUMN_COUNT => "Last deployments of each day",
        _ => "All deployments",
    }
}

fn table_note(names: &[&str], shown: usize, all: usize) -> String {
    let what = match names.len() {
        _ if !has_timestamps(names) => "One row in all and for each customer, user, month and week",
        columns::DAY_COLUMN_COUNT => "One row for each date, customer and user",
        _ => "One row for each deployment",
    };
    let which = if has_timestamps(names) {
        "newest"
    } else {
        "first"
    };
    let rows = count_grouped_noun(all as u64, "row");
    if shown < all {
        format!(
            "{what}: the {which} {} of {rows}. The other formats have all of them.",
            GroupedNumber(shown as u64)
        )
    } else {
        format!("{what}: {rows}.")
    }
}

fn write_table_head(
    names: &[&str],
    ordered: bool,
    first_row: Option<&Vec<TableCell<'_>>>,
    output: &mut dyn Write,
) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for (place, name) in names.iter().enumerate() {
        let kind = match first_row.and_then(|row| row.get(place)) {
            Some(TableCell::Count(_)) => "number",
            _ if matches!(*name, "timestamp" | "first" | "last") => "time",
            _ => "text",
        };
        let sorted = if *name == "timestamp" && !ordered {
            " aria-sort=\"descending\""
        } else {
            ""
        };
        write!(
            output,
            "<th scope=\"col\" class=\"{kind}\" data-kind=\"{kind}\"{sorted}>{}</th>",
            format_heading(name)
        )?;
    }
    output.write_all(b"</tr>\n")
}

/// A column's name as people write it: `git_commit` is `Git commit`, `ci_run_url` is `CI run URL`.
fn format_heading(name: &str) -> String {
    let words = name.split('_').enumerate().map(|(place, word)| match word {
        "arn" | "ci" | "id" | "url" => word.to_uppercase(),
        _ if place == 0 => word[..1].to_uppercase() + &word[1..],
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn write_table_row(cells: &[TableCell<'_>], output: &mut dyn Write) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for cell in cells {
        match cell {
            TableCell::Count(number) => write!(output, "<td class=\"number\">{number}</td>")?,
            // Only letters beyond ASCII run from right to left.
            TableCell::Text(text) if !text.is_ascii() => {
                write!(output, "<td><bdi>{}</bdi></td>", escape_html(text))?;
            }
            _ => write!(output, "<td>{}</td>", escape_html(&cell.to_text()))?,
        }
    }
    output.write_all(b"</tr>\n")
}

#[cfg(test)]
mod tests;
