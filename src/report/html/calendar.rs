//! The page's calendar: a square for each of the last 53 weeks' days, Monday first, the darker the more deployments.
//!
//! Pure apart from writing to the writer it is given.

use std::io::{self, Write};

use chrono::{Datelike as _, Days, NaiveDate};

use crate::report::html::bar_chart::write_numbers_table;
use crate::report::html::chart_data::{self, week_start};
use crate::report::html::number_format::{Fraction, GroupedNumber, count_grouped_noun};
use crate::report::totals::ReportTotals;

const CALENDAR_WEEKS: u64 = 53;
/// From a square's top to that of the one below, in pixels.
const DAY_PITCH_PX: u64 = 18;
const TABLE_HEADINGS: [&str; 8] = ["week", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The last 53 weeks up to the last deployment, as a drawing and as a table.
pub fn write_calendar(summary: &ReportTotals, output: &mut dyn Write) -> io::Result<()> {
    let Some((last, _)) = summary.deployments_per_day().last_key_value() else {
        return Ok(());
    };
    let Some(first) = week_start(*last).checked_sub_days(Days::new(7 * (CALENDAR_WEEKS - 1)))
    else {
        return Ok(());
    };
    let on = |day: NaiveDate| {
        summary
            .deployments_per_day()
            .get(&day)
            .copied()
            .unwrap_or_default()
    };
    let ranges = chart_data::count_ranges(
        summary
            .deployments_per_day()
            .range(first..)
            .map(|(_, count)| *count),
    );
    let days: Vec<NaiveDate> = first.iter_days().take_while(|day| day <= last).collect();
    let sum = days.iter().map(|day| on(*day)).sum();
    let words = |day: &NaiveDate| day.format("%-d %b %Y").to_string();

    writeln!(
        output,
        "<p class=\"note\">{} from {} to {}</p>",
        count_grouped_noun(sum, "deployment"),
        words(&first),
        words(last)
    )?;
    writeln!(
        output,
        "<div class=\"chart\">\n<svg class=\"axis\" width=\"36\" height=\"150\" aria-hidden=\"true\">"
    )?;
    for row in [0, 2, 4] {
        writeln!(
            output,
            "<text x=\"0\" y=\"{}\">{}</text>",
            33 + row * 18,
            TABLE_HEADINGS[row + 1]
        )?;
    }
    writeln!(
        output,
        "</svg>\n<div class=\"scroll\" id=\"calendar\" tabindex=\"0\" role=\"region\" aria-label=\"Calendar\">\n\
         <svg class=\"calendar\" width=\"100%\" height=\"150\" role=\"img\" aria-label=\"{} by day, as a calendar; the numbers follow as a table\">",
        count_grouped_noun(sum, "deployment"),
    )?;
    write_month_names(&days, output)?;
    for (place, day) in days.iter().enumerate() {
        let (week, row) = (place as u64 / 7, place as u64 % 7);
        let title = format!(
            "{}: {}",
            day.format("%a %-d %b %Y"),
            count_grouped_noun(on(*day), "deployment")
        );
        let left = Fraction {
            part: week,
            whole: CALENDAR_WEEKS,
            scale: 100,
        };
        let (top, level) = (22 + row * DAY_PITCH_PX, shade_level(&ranges, on(*day)));
        writeln!(
            output,
            "<rect class=\"day level-{level}\" x=\"{left}%\" y=\"{top}\" width=\"1.6%\" height=\"15\" rx=\"2\"><title>{title}</title></rect>"
        )?;
    }
    writeln!(output, "</svg>\n</div>\n</div>")?;
    write_legend(&ranges, output)?;
    let weeks = days.chunks(7).map(|week| {
        let name = week.first().map(|day| day.format("%G-W%V").to_string());
        name.into_iter()
            .chain(week.iter().map(|day| GroupedNumber(on(*day)).to_string()))
            .collect()
    });
    write_numbers_table(
        "Deployments by day of the last 53 weeks",
        &TABLE_HEADINGS,
        weeks,
        output,
    )
}

/// The month's name above the week that has its first day, and above the first week if there is room.
fn write_month_names(days: &[NaiveDate], output: &mut dyn Write) -> io::Result<()> {
    let starts: Vec<usize> = (0..days.len())
        .filter(|place| days[*place].day() == 1)
        .map(|place| place / 7)
        .collect();
    let head = starts.first().is_some_and(|week| *week > 2).then_some(0);
    // In the last column a name would leave the drawing.
    for week in head
        .into_iter()
        .chain(starts.iter().copied().filter(|week| *week < 52))
    {
        let left = Fraction {
            part: week as u64,
            whole: CALENDAR_WEEKS,
            scale: 100,
        };
        let month = days
            .get(week * 7 + 6)
            .or(days.last())
            .map(|day| day.format("%b").to_string())
            .unwrap_or_default();
        writeln!(output, "<text x=\"{left}%\" y=\"12\">{month}</text>")?;
    }
    Ok(())
}

/// 0 for no deployments, up to 4 for the most.
fn shade_level(ranges: &[(u64, u64)], count: u64) -> usize {
    let place = ranges
        .iter()
        .position(|(first, last)| (*first..=*last).contains(&count));
    place.map_or(0, |place| (place + 1) * 4 / ranges.len())
}

fn write_legend(ranges: &[(u64, u64)], output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "<ul class=\"legend\" aria-label=\"Deployments a day\">"
    )?;
    for (first, last) in std::iter::once(&(0, 0)).chain(ranges) {
        let words = if first == last {
            GroupedNumber(*first).to_string()
        } else {
            format!("{}–{}", GroupedNumber(*first), GroupedNumber(*last))
        };
        let level = shade_level(ranges, *first);
        writeln!(
            output,
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"day level-{level}\" width=\"14\" height=\"14\" rx=\"2\"/></svg> {words}</li>"
        )?;
    }
    writeln!(output, "</ul>")
}

#[cfg(test)]
mod tests;
