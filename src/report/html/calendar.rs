//! The calendar of the page: a square for each day of the last 53 weeks, darker for more
//! deployments.

use std::io::{self, Write};

use chrono::{Datelike as _, Days, NaiveDate};

use super::bar_chart::write_numbers_table;
use super::chart_data::{count_ranges, week_start};
use super::number_format::{Fraction, GroupedNumber};
use crate::output::sanitize::count_noun;
use crate::report::totals::ReportTotals;

const CALENDAR_WEEKS: u64 = 53;
/// From the top of a square to the top of the one below.
const DAY_PITCH_PX: u64 = 18;
const TABLE_HEADINGS: [&str; 8] = ["week", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const TABLE_CAPTION: &str = "Deployments by day of the last 53 weeks";

/// The last 53 weeks up to the last deployment, as a drawing and as a table.
pub fn write_calendar(totals: &ReportTotals, output: &mut dyn Write) -> io::Result<()> {
    let Some(calendar) = DeploymentCalendar::from_totals(totals) else {
        return Ok(());
    };

    calendar.write_caption(output)?;
    writeln!(output, "<div class=\"chart\">")?;
    write_weekday_names(output)?;
    calendar.write_drawing(output)?;
    writeln!(output, "</div>")?;
    calendar.write_legend(output)?;
    write_numbers_table(
        TABLE_CAPTION,
        &TABLE_HEADINGS,
        &calendar.week_rows(),
        output,
    )
}

struct DayCount {
    day: NaiveDate,
    count: u64,
}

struct DeploymentCalendar {
    /// From a Monday to the day of the last deployment.
    days: Vec<DayCount>,
    /// The numbers that share a shade: the first and the last of each shade.
    shade_ranges: Vec<(u64, u64)>,
}

impl DeploymentCalendar {
    fn from_totals(totals: &ReportTotals) -> Option<Self> {
        let per_day = totals.deployments_per_day();
        let (last, _) = per_day.last_key_value()?;
        let first = week_start(*last).checked_sub_days(Days::new(7 * (CALENDAR_WEEKS - 1)))?;

        let mut days = Vec::new();
        for day in first.iter_days().take_while(|day| day <= last) {
            let count = per_day.get(&day).copied().unwrap_or_default();
            days.push(DayCount { day, count });
        }
        let counts = days.iter().map(|day| day.count);
        let shade_ranges = count_ranges(counts);
        Some(Self { days, shade_ranges })
    }

    /// `13 deployments`
    fn count_deployments(&self) -> String {
        let sum: u64 = self.days.iter().map(|day| day.count).sum();
        count_noun(GroupedNumber(sum), "deployment")
    }

    fn write_caption(&self, output: &mut dyn Write) -> io::Result<()> {
        let (Some(first), Some(last)) = (self.days.first(), self.days.last()) else {
            return Ok(());
        };
        let deployments = self.count_deployments();
        let from = first.day.format("%-d %b %Y");
        let to = last.day.format("%-d %b %Y");
        writeln!(
            output,
            "<p class=\"note\">{deployments} from {from} to {to}</p>"
        )
    }

    fn write_drawing(&self, output: &mut dyn Write) -> io::Result<()> {
        let deployments = self.count_deployments();
        writeln!(
            output,
            "<div class=\"scroll\" id=\"calendar\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Calendar\">\n\
             <svg class=\"calendar\" width=\"100%\" height=\"150\" role=\"img\" \
             aria-label=\"{deployments} by day, as a calendar; the numbers follow as a table\">"
        )?;
        self.write_month_names(output)?;
        for (index, day) in self.days.iter().enumerate() {
            self.write_day(index as u64, day, output)?;
        }
        writeln!(output, "</svg>\n</div>")
    }

    fn write_day(&self, index: u64, day: &DayCount, output: &mut dyn Write) -> io::Result<()> {
        let (week, row) = (index / 7, index % 7);
        let left = week_left(week);
        let top = 22 + row * DAY_PITCH_PX;
        let level = self.shade_level(day.count);
        let date = day.day.format("%a %-d %b %Y");
        let deployments = count_noun(GroupedNumber(day.count), "deployment");
        writeln!(
            output,
            "<rect class=\"day level-{level}\" x=\"{left}%\" y=\"{top}\" width=\"1.6%\" \
             height=\"15\" rx=\"2\"><title>{date}: {deployments}</title></rect>"
        )
    }

    /// Names a month above the week of its first day, and the first month above the first week if
    /// there is room.
    fn write_month_names(&self, output: &mut dyn Write) -> io::Result<()> {
        let mut weeks = Vec::new();
        for (index, day) in self.days.iter().enumerate() {
            if day.day.day() == 1 {
                weeks.push(index / 7);
            }
        }
        if let Some(first) = weeks.first()
            && *first > 2
        {
            weeks.insert(0, 0);
        }

        for week in weeks {
            // A name above the last week would leave the drawing.
            if week as u64 >= CALENDAR_WEEKS - 1 {
                continue;
            }
            let sunday = self.days.get(week * 7 + 6).or(self.days.last());
            let Some(sunday) = sunday else {
                continue;
            };
            let left = week_left(week as u64);
            let month = sunday.day.format("%b");
            writeln!(output, "<text x=\"{left}%\" y=\"12\">{month}</text>")?;
        }
        Ok(())
    }

    /// 0 for no deployments, up to 4 for the most.
    fn shade_level(&self, count: u64) -> usize {
        let in_range = |(first, last): &(u64, u64)| (*first..=*last).contains(&count);
        match self.shade_ranges.iter().position(in_range) {
            Some(position) => (position + 1) * 4 / self.shade_ranges.len(),
            None => 0,
        }
    }

    fn write_legend(&self, output: &mut dyn Write) -> io::Result<()> {
        writeln!(
            output,
            "<ul class=\"legend\" aria-label=\"Deployments a day\">"
        )?;
        self.write_legend_item(0, 0, output)?;
        for (first, last) in &self.shade_ranges {
            self.write_legend_item(*first, *last, output)?;
        }
        writeln!(output, "</ul>")
    }

    fn write_legend_item(&self, first: u64, last: u64, output: &mut dyn Write) -> io::Result<()> {
        let numbers = if first == last {
            GroupedNumber(first).to_string()
        } else {
            format!("{}–{}", GroupedNumber(first), GroupedNumber(last))
        };
        let level = self.shade_level(first);
        writeln!(
            output,
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\">\
             <rect class=\"day level-{level}\" width=\"14\" height=\"14\" rx=\"2\"/></svg> \
             {numbers}</li>"
        )
    }

    /// A row for each week: its name and the number of each day.
    fn week_rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for week in self.days.chunks(7) {
            let mut row = Vec::new();
            if let Some(monday) = week.first() {
                row.push(monday.day.format("%G-W%V").to_string());
            }
            for day in week {
                row.push(GroupedNumber(day.count).to_string());
            }
            rows.push(row);
        }
        rows
    }
}

fn week_left(week: u64) -> Fraction {
    Fraction {
        part: week,
        whole: CALENDAR_WEEKS,
        scale: 100,
    }
}

fn write_weekday_names(output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "<svg class=\"axis\" width=\"36\" height=\"150\" aria-hidden=\"true\">"
    )?;
    for row in [0, 2, 4] {
        let y = 33 + row * 18;
        let name = TABLE_HEADINGS[row + 1];
        writeln!(output, "<text x=\"0\" y=\"{y}\">{name}</text>")?;
    }
    writeln!(output, "</svg>")
}

#[cfg(test)]
mod tests;
