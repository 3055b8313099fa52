//! The page's calendar: a square for each of the last 53 weeks' days, Monday first, the darker the more deployments.
//!
//! Pure apart from writing to the writer it is given.

use std::io::{self, Write};

use chrono::{Datelike as _, Days, NaiveDate};

use crate::charts::numbers;
use crate::figures::{Grouped, Share, count};
use crate::series::{self, monday};
use crate::summary::Summary;

const WEEKS: u64 = 53;
/// From a square's top to that of the one below, in pixels.
const PITCH: u64 = 18;
const NAMES: [&str; 8] = ["week", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The last 53 weeks up to the last deployment, as a drawing and as a table.
pub fn write(summary: &Summary, output: &mut dyn Write) -> io::Result<()> {
    let Some((last, _)) = summary.days().last_key_value() else { return Ok(()) };
    let Some(first) = monday(*last).checked_sub_days(Days::new(7 * (WEEKS - 1))) else { return Ok(()) };
    let on = |day: NaiveDate| summary.days().get(&day).copied().unwrap_or_default();
    let ranges = series::ranges(summary.days().range(first..).map(|(_, count)| *count));
    let days: Vec<NaiveDate> = first.iter_days().take_while(|day| day <= last).collect();
    let sum = days.iter().map(|day| on(*day)).sum();
    let words = |day: &NaiveDate| day.format("%-d %b %Y").to_string();

    writeln!(output, "<p class=\"note\">{} from {} to {}</p>", count(sum, "deployment"), words(&first), words(last))?;
    writeln!(output, "<div class=\"chart\">\n<svg class=\"axis\" width=\"36\" height=\"150\" aria-hidden=\"true\">")?;
    for row in [0, 2, 4] {
        writeln!(output, "<text x=\"0\" y=\"{}\">{}</text>", 33 + row * 18, NAMES[row + 1])?;
    }
    writeln!(
        output,
        "</svg>\n<div class=\"scroll\" id=\"calendar\" tabindex=\"0\" role=\"region\" aria-label=\"Calendar\">\n\
         <svg class=\"calendar\" width=\"100%\" height=\"150\" role=\"img\" aria-label=\"{} by day, as a calendar; the numbers follow as a table\">",
        count(sum, "deployment"),
    )?;
    months(&days, output)?;
    for (place, day) in days.iter().enumerate() {
        let (week, row) = (place as u64 / 7, place as u64 % 7);
        let title = format!("{}: {}", day.format("%a %-d %b %Y"), count(on(*day), "deployment"));
        let left = Share { part: week, whole: WEEKS, of: 100 };
        let (top, level) = (22 + row * PITCH, level(&ranges, on(*day)));
        writeln!(
            output,
            "<rect class=\"day level-{level}\" x=\"{left}%\" y=\"{top}\" width=\"1.6%\" height=\"15\" rx=\"2\"><title>{title}</title></rect>"
        )?;
    }
    writeln!(output, "</svg>\n</div>\n</div>")?;
    legend(&ranges, output)?;
    let weeks = days.chunks(7).map(|week| {
        let name = week.first().map(|day| day.format("%G-W%V").to_string());
        name.into_iter().chain(week.iter().map(|day| Grouped(on(*day)).to_string())).collect()
    });
    numbers("Deployments by day of the last 53 weeks", &NAMES, weeks, output)
}

/// The month's name above the week that has its first day, and above the first week if there is room.
fn months(days: &[NaiveDate], output: &mut dyn Write) -> io::Result<()> {
    let starts: Vec<usize> = (0..days.len()).filter(|place| days[*place].day() == 1).map(|place| place / 7).collect();
    let head = starts.first().is_some_and(|week| *week > 2).then_some(0);
    // In the last column a name would leave the drawing.
    for week in head.into_iter().chain(starts.iter().copied().filter(|week| *week < 52)) {
        let left = Share { part: week as u64, whole: WEEKS, of: 100 };
        let month = days.get(week * 7 + 6).or(days.last()).map(|day| day.format("%b").to_string()).unwrap_or_default();
        writeln!(output, "<text x=\"{left}%\" y=\"12\">{month}</text>")?;
    }
    Ok(())
}

/// 0 for no deployments, up to 4 for the most.
fn level(ranges: &[(u64, u64)], count: u64) -> usize {
    let place = ranges.iter().position(|(first, last)| (*first..=*last).contains(&count));
    place.map_or(0, |place| (place + 1) * 4 / ranges.len())
}

fn legend(ranges: &[(u64, u64)], output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "<ul class=\"legend\" aria-label=\"Deployments a day\">")?;
    for (first, last) in std::iter::once(&(0, 0)).chain(ranges) {
        let words = if first == last { Grouped(*first).to_string() } else { format!("{}–{}", Grouped(*first), Grouped(*last)) };
        let level = level(ranges, *first);
        writeln!(
            output,
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"day level-{level}\" width=\"14\" height=\"14\" rx=\"2\"/></svg> {words}</li>"
        )?;
    }
    writeln!(output, "</ul>")
}

#[cfg(test)]
#[path = "calendar/tests.rs"]
mod tests;
