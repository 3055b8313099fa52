//! The bar charts of the page: over time as SVG with a table of its numbers, by group as a table
//! with SVG in it.
//!
//! Widths are shares of 100 % and heights are pixels: a drawing fits any screen, and its texts keep
//! their size.

use std::io::{self, Write};

use chrono::Datelike as _;

use super::chart_data::{ChartBar, LargestMembers, TimeUnit};
use super::chart_data::{axis_ticks, bars_over_time, find_largest};
use super::number_format::{AbbreviatedCount, Fraction, GroupedNumber, WholePercent};
use crate::output::sanitize::{count_noun, escape_html};
use crate::report::totals::{ReportTotals, TotalsGroup};

/// This many customers and users have bars of their own.
const MAX_GROUP_BARS: usize = 15;
/// The height of the greatest bar over time.
const PLOT_HEIGHT_PX: u64 = 180;
/// Half as many are shown on narrow screens.
const MAX_AXIS_LABELS: usize = 7;
/// With fewer bars, each is 3 % wide.
const MIN_BARS_FOR_FULL_WIDTH: usize = 27;

/// One bar for each day, week or month.
pub fn write_time_chart(totals: &ReportTotals, output: &mut dyn Write) -> io::Result<()> {
    let Some((unit, bars)) = bars_over_time(totals.deployments_per_day()) else {
        return Ok(());
    };
    let counts = bars.iter().map(|bar| bar.count);
    let max_count = counts.max().unwrap_or_default();
    let ticks = axis_ticks(max_count);
    let chart = TimeChart {
        unit,
        bars,
        max_tick: ticks.last().copied().unwrap_or(1),
        ticks,
    };

    let name = unit.as_str();
    let busiest = GroupedNumber(max_count);
    writeln!(
        output,
        "<p class=\"note\">Per {name}; {busiest} in the busiest {name}</p>"
    )?;
    writeln!(output, "<div class=\"chart\">")?;
    chart.write_axis(output)?;
    chart.write_plot(totals.deployments_per_day().values().sum(), output)?;
    writeln!(output, "</div>")?;
    chart.write_numbers(output)
}

struct TimeChart {
    unit: TimeUnit,
    bars: Vec<ChartBar>,
    ticks: Vec<u64>,
    /// The number at the upper edge of the plot.
    max_tick: u64,
}

impl TimeChart {
    /// From the upper edge of the plot down to `count`.
    fn top_of(&self, count: u64) -> Fraction {
        Fraction {
            part: self.max_tick - count.min(self.max_tick),
            whole: self.max_tick,
            scale: PLOT_HEIGHT_PX,
        }
    }

    fn height_of(&self, count: u64) -> Fraction {
        Fraction {
            part: count,
            whole: self.max_tick,
            scale: PLOT_HEIGHT_PX,
        }
    }

    fn write_axis(&self, output: &mut dyn Write) -> io::Result<()> {
        writeln!(
            output,
            "<svg class=\"axis\" width=\"44\" height=\"216\" aria-hidden=\"true\">\
             <g transform=\"translate(0 8)\">"
        )?;
        for tick in &self.ticks {
            let y = self.top_of(*tick);
            let number = AbbreviatedCount(*tick);
            writeln!(
                output,
                "<text x=\"36\" y=\"{y}\" dy=\"4\" text-anchor=\"end\">{number}</text>"
            )?;
        }
        writeln!(output, "</g></svg>")
    }

    fn write_plot(&self, deployment_count: u64, output: &mut dyn Write) -> io::Result<()> {
        let name = self.unit.as_str();
        let deployments = count_noun(GroupedNumber(deployment_count), "deployment");
        let label = format!("{deployments} per {name}, as bars; the numbers follow as a table");
        writeln!(
            output,
            "<svg class=\"plot\" width=\"100%\" height=\"216\" role=\"img\" aria-label=\"{label}\">\
             <g transform=\"translate(0 8)\">"
        )?;
        for tick in &self.ticks {
            let y = self.top_of(*tick);
            writeln!(
                output,
                "<line class=\"line\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>"
            )?;
        }
        for (index, bar) in self.bars.iter().enumerate() {
            self.write_bar(index, bar, output)?;
        }
        self.write_axis_labels(output)?;
        writeln!(output, "</g></svg>")
    }

    fn write_bar(&self, index: usize, bar: &ChartBar, output: &mut dyn Write) -> io::Result<()> {
        let bar_count = self.bars.len();
        let (slot_left, slot_width) = (percent_of(index, bar_count), percent_of(1, bar_count));
        let name = self.unit.full_label(bar.first_day);
        let deployments = count_noun(GroupedNumber(bar.count), "deployment");
        write!(
            output,
            "<g class=\"slot\"><title>{name}: {deployments}</title>\
             <rect class=\"place\" x=\"{slot_left}%\" width=\"{slot_width}%\" \
             height=\"{PLOT_HEIGHT_PX}\"/>"
        )?;
        if bar.count > 0 {
            let (left, width) = bar_position(index, bar_count);
            let (y, height) = (self.top_of(bar.count), self.height_of(bar.count));
            write!(
                output,
                "<rect class=\"bar\" x=\"{left}%\" width=\"{width}%\" \
                 y=\"{y}\" height=\"{height}\"/>"
            )?;
        }
        writeln!(output, "</g>")
    }

    /// Names some bars, evenly spread and counted from the last one.
    fn write_axis_labels(&self, output: &mut dyn Write) -> io::Result<()> {
        let bar_count = self.bars.len();
        let step = bar_count.div_ceil(MAX_AXIS_LABELS).max(1);
        let y = PLOT_HEIGHT_PX + 20;
        let mut shown_year = None;

        for (index, bar) in self.bars.iter().enumerate() {
            let bars_behind = bar_count - 1 - index;
            if !bars_behind.is_multiple_of(step) {
                continue;
            }

            let year = bar.first_day.year();
            let label = self
                .unit
                .axis_label(bar.first_day, shown_year != Some(year));
            shown_year = Some(year);

            let is_minor = !(bars_behind / step).is_multiple_of(2);
            let class = if is_minor { " class=\"minor\"" } else { "" };

            // Half of a centered label would leave the drawing below a narrow last bar.
            let (x, anchor) = if bars_behind == 0 && bar_count > MAX_AXIS_LABELS {
                (percent_of(1, 1), "end")
            } else {
                (percent_of(2 * index + 1, 2 * bar_count), "middle")
            };
            writeln!(
                output,
                "<text{class} x=\"{x}%\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>"
            )?;
        }
        Ok(())
    }

    fn write_numbers(&self, output: &mut dyn Write) -> io::Result<()> {
        let name = self.unit.as_str();
        let mut rows = Vec::new();
        for bar in &self.bars {
            let count = GroupedNumber(bar.count).to_string();
            rows.push(vec![self.unit.full_label(bar.first_day), count]);
        }
        let caption = format!("Deployments per {name}");
        write_numbers_table(&caption, &[name, "deployments"], &rows, output)
    }
}

fn percent_of(part: usize, whole: usize) -> Fraction {
    Fraction {
        part: part as u64,
        whole: whole as u64,
        scale: 100,
    }
}

/// A bar's left edge and its width: the middle four fifths of its slot, or 3 % of the plot if there
/// are few bars.
fn bar_position(index: usize, bar_count: usize) -> (Fraction, Fraction) {
    if bar_count < MIN_BARS_FOR_FULL_WIDTH {
        let left = percent_of(200 * index + 100 - 3 * bar_count, 200 * bar_count);
        (left, percent_of(3, 100))
    } else {
        let left = percent_of(10 * index + 1, 10 * bar_count);
        (left, percent_of(8, 10 * bar_count))
    }
}

/// One bar for each of the largest members of a group, and one for all others.
pub fn write_group_chart(
    totals: &ReportTotals,
    group: TotalsGroup,
    output: &mut dyn Write,
) -> io::Result<()> {
    let LargestMembers { members, others } = find_largest(totals, group, MAX_GROUP_BARS);
    let mut max_count = others.map_or(0, |(_, count)| count);
    for (_, count) in &members {
        max_count = max_count.max(*count);
    }
    let scale = GroupScale {
        max_count,
        total_count: totals.grand_total().map_or(0, |totals| totals.deployments),
    };

    write_group_head(group.as_str(), output)?;
    for (name, count) in members {
        let name = if name.is_empty() {
            "<i>not known</i>".to_owned()
        } else {
            format!("<bdi title=\"{0}\">{0}</bdi>", escape_html(name))
        };
        scale.write_bar(&name, count, output)?;
    }
    if let Some((number, count)) = others {
        let others = count_noun(GroupedNumber(number as u64), "other");
        scale.write_bar(&format!("<i>{others}</i>"), count, output)?;
    }
    writeln!(output, "</tbody></table>")
}

fn write_group_head(group: &str, output: &mut dyn Write) -> io::Result<()> {
    write!(
        output,
        "<table class=\"bars\">\
         <caption class=\"unseen\">Deployments by {group}</caption>\n<thead><tr>"
    )?;
    for heading in [group, "as a bar", "deployments", "share"] {
        write!(
            output,
            "<th scope=\"col\"><span class=\"unseen\">{heading}</span></th>"
        )?;
    }
    writeln!(output, "</tr></thead>\n<tbody>")
}

struct GroupScale {
    /// The number that a bar of full width stands for.
    max_count: u64,
    total_count: u64,
}

impl GroupScale {
    /// `name` is HTML already.
    fn write_bar(&self, name: &str, count: u64, output: &mut dyn Write) -> io::Result<()> {
        let width = Fraction {
            part: count,
            whole: self.max_count,
            scale: 100,
        };
        let share = WholePercent {
            part: count,
            whole: self.total_count,
        };
        let share = share.to_string();
        let share = escape_html(&share);
        let shown = GroupedNumber(count);
        writeln!(
            output,
            "<tr><th scope=\"row\">{name}</th>\
             <td><svg width=\"100%\" height=\"14\" aria-hidden=\"true\">\
             <rect class=\"bar\" width=\"{width}%\" height=\"14\"/></svg></td>\
             <td><data value=\"{count}\">{shown}</data></td><td>{share}</td></tr>",
        )
    }
}

/// The numbers of a chart as a folded table: screen readers read them, and they are exact.
pub fn write_numbers_table(
    caption: &str,
    names: &[&str],
    rows: &[Vec<String>],
    output: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        output,
        "<details><summary>The numbers</summary>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n\
         <table><caption class=\"unseen\">{caption}</caption>\n<thead><tr>"
    )?;
    for name in names {
        write!(output, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(output, "</tr></thead>\n<tbody>")?;

    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                write!(output, "<tr><th scope=\"row\">{cell}</th>")?;
            } else {
                write!(output, "<td class=\"number\">{cell}</td>")?;
            }
        }
        writeln!(output, "</tr>")?;
    }
    writeln!(output, "</tbody></table>\n</div></details>")
}

#[cfg(test)]
mod tests;
