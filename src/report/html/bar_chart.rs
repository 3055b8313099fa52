//! The page's bar charts: over time as SVG with its numbers in a table beside it, by group as a table with SVG in it.
//!
//! Pure apart from writing to the writer it is given. Widths are shares of 100 %, heights are pixels: what is drawn fits any
//! screen, and the lettering keeps its size.

use std::io::{self, Write};

use chrono::Datelike as _;

use crate::output::sanitize::escape_html;
use crate::report::html::chart_data::{self, ChartBar, TimeUnit};
use crate::report::html::number_format::{
    AbbreviatedCount, Fraction, GroupedNumber, WholePercent, count_grouped_noun,
};
use crate::report::totals::{ReportTotals, TotalsGroup};

/// How many customers and users have a bar of their own.
const MAX_GROUP_BARS: usize = 15;
/// The height of the greatest bar over time, in pixels.
const PLOT_HEIGHT_PX: u64 = 180;
/// The axis below the bars has at most this many labels; half as many on narrow screens.
const MAX_AXIS_LABELS: usize = 7;
/// With fewer bars than this, each is 3 % wide and no wider.
const MIN_BARS_FOR_FULL_WIDTH: usize = 27;

/// One bar for each day, week or month.
pub fn write_time_chart(summary: &ReportTotals, output: &mut dyn Write) -> io::Result<()> {
    let Some((unit, bars)) = chart_data::bars_over_time(summary.deployments_per_day()) else {
        return Ok(());
    };
    let (name, greatest) = (
        unit.as_str(),
        bars.iter().map(|bar| bar.count).max().unwrap_or_default(),
    );
    let ticks = chart_data::axis_ticks(greatest);
    let top = ticks.last().copied().unwrap_or(1);
    let down = |count: u64| Fraction {
        part: top - count.min(top),
        whole: top,
        scale: PLOT_HEIGHT_PX,
    };

    writeln!(
        output,
        "<p class=\"note\">Per {name}; {} in the busiest {name}</p>",
        GroupedNumber(greatest)
    )?;
    writeln!(
        output,
        "<div class=\"chart\">\n<svg class=\"axis\" width=\"44\" height=\"216\" aria-hidden=\"true\"><g transform=\"translate(0 8)\">"
    )?;
    for tick in &ticks {
        writeln!(
            output,
            "<text x=\"36\" y=\"{}\" dy=\"4\" text-anchor=\"end\">{}</text>",
            down(*tick),
            AbbreviatedCount(*tick)
        )?;
    }
    let label = format!(
        "{} per {name}, as bars; the numbers follow as a table",
        count_grouped_noun(summary.deployments_per_day().values().sum(), "deployment")
    );
    writeln!(
        output,
        "</g></svg>\n<svg class=\"plot\" width=\"100%\" height=\"216\" role=\"img\" aria-label=\"{label}\"><g transform=\"translate(0 8)\">"
    )?;
    for tick in &ticks {
        writeln!(
            output,
            "<line class=\"line\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>",
            down(*tick)
        )?;
    }
    for (place, bar) in bars.iter().enumerate() {
        let (left, slot) = (percent_of(place, bars.len()), percent_of(1, bars.len()));
        let title = format!(
            "{}: {}",
            unit.full_label(bar.first_day),
            count_grouped_noun(bar.count, "deployment")
        );
        write!(
            output,
            "<g class=\"slot\"><title>{title}</title><rect class=\"place\" x=\"{left}%\" width=\"{slot}%\" height=\"{PLOT_HEIGHT_PX}\"/>"
        )?;
        if bar.count > 0 {
            let (left, width) = bar_position(place, bars.len());
            let height = Fraction {
                part: bar.count,
                whole: top,
                scale: PLOT_HEIGHT_PX,
            };
            write!(
                output,
                "<rect class=\"bar\" x=\"{left}%\" width=\"{width}%\" y=\"{}\" height=\"{height}\"/>",
                down(bar.count)
            )?;
        }
        writeln!(output, "</g>")?;
    }
    write_axis_labels(unit, &bars, output)?;
    writeln!(output, "</g></svg>\n</div>")?;
    let rows = bars.iter().map(|bar| {
        vec![
            unit.full_label(bar.first_day),
            GroupedNumber(bar.count).to_string(),
        ]
    });
    write_numbers_table(
        &format!("Deployments per {name}"),
        &[name, "deployments"],
        rows,
        output,
    )
}

fn percent_of(part: usize, whole: usize) -> Fraction {
    Fraction {
        part: part as u64,
        whole: whole as u64,
        scale: 100,
    }
}

/// A bar's left edge and its width: the middle four fifths of its place, or 3 % of everything where there are few.
fn bar_position(place: usize, bars: usize) -> (Fraction, Fraction) {
    if bars < MIN_BARS_FOR_FULL_WIDTH {
        (
            percent_of(200 * place + 100 - 3 * bars, 200 * bars),
            percent_of(3, 100),
        )
    } else {
        (
            percent_of(10 * place + 1, 10 * bars),
            percent_of(8, 10 * bars),
        )
    }
}

/// The names of some bars, evenly spread and counted from the last one.
fn write_axis_labels(unit: TimeUnit, bars: &[ChartBar], output: &mut dyn Write) -> io::Result<()> {
    let step = bars.len().div_ceil(MAX_AXIS_LABELS).max(1);
    let mut year = None;
    for (place, bar) in bars.iter().enumerate() {
        let behind = bars.len() - 1 - place;
        if !behind.is_multiple_of(step) {
            continue;
        }
        let text = unit.axis_label(bar.first_day, year != Some(bar.first_day.year()));
        year = Some(bar.first_day.year());
        let class = if (behind / step).is_multiple_of(2) {
            ""
        } else {
            " class=\"minor\""
        };
        // Below a slim bar at the right edge, half of the label would leave the drawing.
        let (x, anchor) = if behind == 0 && bars.len() > MAX_AXIS_LABELS {
            (percent_of(1, 1), "end")
        } else {
            (percent_of(2 * place + 1, 2 * bars.len()), "middle")
        };
        writeln!(
            output,
            "<text{class} x=\"{x}%\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
            PLOT_HEIGHT_PX + 20
        )?;
    }
    Ok(())
}

/// One bar for each of the largest members of a group, and one for all others.
pub fn write_group_chart(
    summary: &ReportTotals,
    group: TotalsGroup,
    output: &mut dyn Write,
) -> io::Result<()> {
    let chart_data::LargestMembers { members, others } =
        chart_data::find_largest(summary, group, MAX_GROUP_BARS);
    let whole = summary.grand_total().map_or(0, |totals| totals.deployments);
    let greatest = members
        .iter()
        .map(|(_, count)| *count)
        .chain(others.map(|(_, count)| count))
        .max()
        .unwrap_or_default();
    let name = group.as_str();
    write!(
        output,
        "<table class=\"bars\"><caption class=\"unseen\">Deployments by {name}</caption>\n<thead><tr>"
    )?;
    for head in [name, "as a bar", "deployments", "share"] {
        write!(
            output,
            "<th scope=\"col\"><span class=\"unseen\">{head}</span></th>"
        )?;
    }
    writeln!(output, "</tr></thead>\n<tbody>")?;
    for (name, count) in members {
        let name = if name.is_empty() {
            "<i>not known</i>".to_owned()
        } else {
            format!("<bdi title=\"{0}\">{0}</bdi>", escape_html(name))
        };
        write_group_bar(&name, count, greatest, whole, output)?;
    }
    if let Some((number, count)) = others {
        let name = format!(
            "<i>{} other{}</i>",
            GroupedNumber(number as u64),
            if number == 1 { "" } else { "s" }
        );
        write_group_bar(&name, count, greatest, whole, output)?;
    }
    writeln!(output, "</tbody></table>")
}

fn write_group_bar(
    name: &str,
    count: u64,
    greatest: u64,
    whole: u64,
    output: &mut dyn Write,
) -> io::Result<()> {
    let width = Fraction {
        part: count,
        whole: greatest,
        scale: 100,
    };
    let share = WholePercent { part: count, whole }.to_string();
    writeln!(
        output,
        "<tr><th scope=\"row\">{name}</th><td><svg width=\"100%\" height=\"14\" aria-hidden=\"true\">\
         <rect class=\"bar\" width=\"{width}%\" height=\"14\"/></svg></td>\
         <td><data value=\"{count}\">{}</data></td><td>{}</td></tr>",
        GroupedNumber(count),
        escape_html(&share),
    )
}

/// A chart's numbers for those who do not see it or want them exactly, folded away.
pub fn write_numbers_table(
    caption: &str,
    names: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    output: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        output,
        "<details><summary>The numbers</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table><caption class=\"unseen\">{caption}</caption>\n<thead><tr>"
    )?;
    for name in names {
        write!(output, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(output, "</tr></thead>\n<tbody>")?;
    for row in rows {
        let mut cells = row.iter();
        write!(
            output,
            "<tr><th scope=\"row\">{}</th>",
            cells.next().map_or("", String::as_str)
        )?;
        cells.try_for_each(|cell| write!(output, "<td class=\"number\">{cell}</td>"))?;
        writeln!(output, "</tr>")?;
    }
    writeln!(output, "</tbody></table>\n</div></details>")
}

#[cfg(test)]
mod tests;
