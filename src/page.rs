//! The report as one HTML page that asks nobody for anything: page.html with page.css, page.js and the numbers in it.
//!
//! Whatever a record says stands in the page as escaped text, never in a script or a style, and the page's policy lets
//! no other script run. Numbers come from the summary only. Pure apart from writing to the writer it is given.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Days, SecondsFormat, Utc};

use crate::digest::sha256_base64;
use crate::figures::{Grouped, count};
use crate::formats::Cell;
use crate::summary::{Group, Summary};
use crate::text::escape_html;
use crate::{calendar, charts, columns};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// More rows than this make browsers slow.
const MOST_ROWS: usize = 10_000;

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
    /// Whether somebody asked for the order that the rows come in; otherwise the newest come first.
    pub ordered: bool,
    /// How many records could not be used.
    pub left_out: usize,
}

/// Writes the page.
pub fn write(page: Page<'_, '_>, output: &mut dyn Write) -> io::Result<()> {
    let Page { bucket, made_at, summary, names, rows, row_count, ordered, left_out } = page;
    let rows = choose(rows, names, ordered);
    let none = summary.is_empty();
    let mut parts = TEMPLATE.split("{{");
    output.write_all(parts.next().unwrap_or_default().as_bytes())?;
    let mut shown = true;
    for (mark, text) in parts.filter_map(|part| part.split_once("}}")) {
        match mark {
            "if none" => shown = none,
            "if any" => shown = !none,
            "end" => shown = true,
            _ if !shown => {}
            "style" => output.write_all(STYLE.as_bytes())?,
            "script" => output.write_all(SCRIPT.as_bytes())?,
            "style hash" => output.write_all(sha256_base64(STYLE.as_bytes()).as_bytes())?,
            "script hash" => output.write_all(sha256_base64(SCRIPT.as_bytes()).as_bytes())?,
            "bucket" => output.write_all(escape_html(bucket).as_bytes())?,
            "made at" => time(made_at, "%Y-%m-%d %H:%M UTC", output)?,
            "version" => output.write_all(env!("CARGO_PKG_VERSION").as_bytes())?,
            "left out" => notice(left_out, output)?,
            "tiles" => tiles(summary, made_at, output)?,
            "over time" => charts::over_time(summary, output)?,
            "by customer" => charts::by_group(summary, Group::Customer, output)?,
            "by user" => charts::by_group(summary, Group::User, output)?,
            "calendar" => calendar::write(summary, output)?,
            "table title" => output.write_all(title(names).as_bytes())?,
            "table note" => output.write_all(note(names, rows.len(), row_count).as_bytes())?,
            "wide" if names.len() > 8 => output.write_all(b" class=\"wide\"")?,
            "table head" => head(names, ordered, rows.first(), output)?,
            "table body" => rows.iter().try_for_each(|row| body_row(row, output))?,
            _ => {}
        }
        if shown {
            output.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// Whether the rows are deployments, and not totals.
fn has_times(names: &[&str]) -> bool {
    names.first() == Some(&"timestamp")
}

/// The rows that the page shows: the newest, in the order in which they come if it was asked for; of totals the first.
fn choose<'a>(rows: &mut dyn Iterator<Item = Vec<Cell<'a>>>, names: &[&str], ordered: bool) -> Vec<Vec<Cell<'a>>> {
    if !has_times(names) {
        return rows.take(MOST_ROWS).collect();
    }
    let mut newest = BTreeMap::new();
    for (number, row) in rows.enumerate() {
        // Without the Z, a fraction of a second comes behind the whole second.
        let time = row.first().map(|cell| cell.words().trim_end_matches('Z').to_owned()).unwrap_or_default();
        if newest.len() == MOST_ROWS && newest.first_key_value().is_some_and(|((oldest, _), _)| time < *oldest) {
            continue;
        }
        newest.insert((time, number), row);
        if newest.len() > MOST_ROWS {
            newest.pop_first();
        }
    }
    let mut chosen: Vec<((String, usize), Vec<Cell<'a>>)> = newest.into_iter().collect();
    if ordered {
        chosen.sort_unstable_by_key(|((_, number), _)| *number);
    } else {
        // Of one time, as they came: by customer and user.
        chosen.sort_by(|((a, _), _), ((b, _), _)| b.cmp(a));
    }
    chosen.into_iter().map(|(_, row)| row).collect()
}

fn time(at: DateTime<Utc>, format: &str, output: &mut dyn Write) -> io::Result<()> {
    write!(output, "<time datetime=\"{}\">{}</time>", at.to_rfc3339_opts(SecondsFormat::Secs, true), at.format(format))
}

fn notice(number: usize, output: &mut dyn Write) -> io::Result<()> {
    if number == 0 {
        return Ok(());
    }
    let records = count(number as u64, "record");
    let are = if number == 1 { "is" } else { "are" };
    writeln!(
        output,
        "<p class=\"notice alert\" role=\"note\"><strong>{records} could not be used</strong> and {are} left out of everything here. \
         The messages of the run that made this page name {them}.</p>",
        them = if number == 1 { "it" } else { "them" },
    )
}

fn tiles(summary: &Summary, made_at: DateTime<Utc>, output: &mut dyn Write) -> io::Result<()> {
    let Some(totals) = summary.total() else { return Ok(()) };
    // As whole days, for deployments are counted by day; today is one of the 30.
    let since = made_at.date_naive().checked_sub_days(Days::new(29)).unwrap_or_default();
    let lately = |group| summary.of(group).filter(|(_, totals)| totals.last.date_naive() >= since).count();
    let of_lately = |number: u64| Some(format!("{} in the last 30 days", Grouped(number)));
    for (label, number, more) in [
        ("Deployments", totals.deployments, of_lately(summary.days().range(since..).map(|(_, count)| count).sum())),
        ("Customers", totals.customers() as u64, of_lately(lately(Group::Customer) as u64)),
        ("Users", totals.users() as u64, of_lately(lately(Group::User) as u64)),
        ("Different configs", totals.configs() as u64, None),
    ] {
        write!(output, "<div><dt>{label}</dt><dd><data value=\"{number}\">{}</data></dd>", Grouped(number))?;
        more.map_or(Ok(()), |more| write!(output, "<dd>{more}</dd>"))?;
        writeln!(output, "</div>")?;
    }
    for (label, at) in [("First deployment", totals.first), ("Last deployment", totals.last)] {
        write!(output, "<div><dt>{label}</dt><dd>")?;
        time(at, "%-d %b %Y", output)?;
        writeln!(output, "</dd><dd>{}</dd></div>", at.format("%H:%M:%S"))?;
    }
    Ok(())
}

fn title(names: &[&str]) -> &'static str {
    match names.len() {
        _ if !has_times(names) => "Totals",
        columns::OF_DAYS => "Last deployments of each day",
        _ => "All deployments",
    }
}

fn note(names: &[&str], shown: usize, all: usize) -> String {
    let what = match names.len() {
        _ if !has_times(names) => "One row in all and for each customer, user, month and week",
        columns::OF_DAYS => "One row for each date, customer and user",
        _ => "One row for each deployment",
    };
    let which = if has_times(names) { "newest" } else { "first" };
    let rows = count(all as u64, "row");
    if shown < all {
        format!("{what}: the {which} {} of {rows}. The other formats have all of them.", Grouped(shown as u64))
    } else {
        format!("{what}: {rows}.")
    }
}

fn head(names: &[&str], ordered: bool, first_row: Option<&Vec<Cell<'_>>>, output: &mut dyn Write) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for (place, name) in names.iter().enumerate() {
        let kind = match first_row.and_then(|row| row.get(place)) {
            Some(Cell::Count(_)) => "number",
            _ if matches!(*name, "timestamp" | "first" | "last") => "time",
            _ => "text",
        };
        let sorted = if *name == "timestamp" && !ordered { " aria-sort=\"descending\"" } else { "" };
        write!(output, "<th scope=\"col\" class=\"{kind}\" data-kind=\"{kind}\"{sorted}>{}</th>", heading(name))?;
    }
    output.write_all(b"</tr>\n")
}

/// A column's name as people write it: `git_commit` is `Git commit`, `ci_run_url` is `CI run URL`.
fn heading(name: &str) -> String {
    let words = name.split('_').enumerate().map(|(place, word)| match word {
        "arn" | "ci" | "id" | "url" => word.to_uppercase(),
        _ if place == 0 => word[..1].to_uppercase() + &word[1..],
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn body_row(cells: &[Cell<'_>], output: &mut dyn Write) -> io::Result<()> {
    output.write_all(b"<tr>")?;
    for cell in cells {
        match cell {
            Cell::Count(number) => write!(output, "<td class=\"number\">{number}</td>")?,
            // Only letters beyond ASCII run from right to left.
            Cell::Text(text) if !text.is_ascii() => write!(output, "<td><bdi>{}</bdi></td>", escape_html(text))?,
            _ => write!(output, "<td>{}</td>", escape_html(&cell.words()))?,
        }
    }
    output.write_all(b"</tr>\n")
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
