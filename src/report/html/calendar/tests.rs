//! Where the squares and the months' names stand, by the calendar (`cal`) and 53 columns of 7 days.

use chrono::{DateTime, Utc};

use super::*;
use crate::record::deployment::Deployment;

fn render_calendar(days: &[(&str, usize)]) -> String {
    let mut totals = ReportTotals::default();
    for (day, count) in days {
        let at = format!("{day}T08:00:00Z")
            .parse::<DateTime<Utc>>()
            .expect("a time");
        (0..*count).for_each(|_| {
            totals.add_deployment(&Deployment {
                deployed_at: at,
                ..Deployment::default()
            });
        });
    }
    let mut output = Vec::new();
    write_calendar(&totals, &mut output).expect("a vector takes it");
    String::from_utf8(output).expect("text")
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

/// The months' names with their places.
fn month_labels(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            line.strip_prefix("<text x=\"")?
                .split_once("\" y=\"12\">")?
                .1
                .strip_suffix("</text>")
        })
        .collect()
}

#[test]
fn each_day_of_53_weeks_has_its_square_up_to_the_last_deployment() {
    // 2026-11-24 is a Tuesday; the Monday 52 weeks before its week is 2025-11-24.
    let calendar = render_calendar(&[
        ("2025-11-23", 7),
        ("2025-11-24", 1),
        ("2026-11-22", 9),
        ("2026-11-24", 3),
    ]);
    assert_has(
        &calendar,
        &[
            "<p class=\"note\">13 deployments from 24 Nov 2025 to 24 Nov 2026</p>",
            "<text x=\"0\" y=\"33\">Mon</text>\n<text x=\"0\" y=\"69\">Wed</text>\n\
             <text x=\"0\" y=\"105\">Fri</text>",
            "aria-label=\"13 deployments by day, as a calendar; ",
            "x=\"0.00%\" y=\"22\" width=\"1.6%\" height=\"15\" rx=\"2\">\
             <title>Mon 24 Nov 2025: 1 deployment</title>",
            "x=\"96.22%\" y=\"130\" width=\"1.6%\" height=\"15\" rx=\"2\">\
             <title>Sun 22 Nov 2026: 9 deployments</title>",
            "x=\"98.11%\" y=\"40\" width=\"1.6%\" height=\"15\" rx=\"2\">\
             <title>Tue 24 Nov 2026: 3 deployments</title>",
        ],
    );
    assert_eq!(calendar.matches("<title>").count(), 52 * 7 + 2);
    assert_has(&calendar, &["<th scope=\"row\">2026-W48</th>"]);
    assert_eq!(render_calendar(&[]), "");
}

#[test]
fn more_deployments_are_darker_and_the_legend_has_the_numbers() {
    let calendar = render_calendar(&[
        ("2026-11-02", 1),
        ("2026-11-03", 1),
        ("2026-11-04", 1),
        ("2026-11-05", 9),
    ]);
    let level = |title: &str| {
        let line = calendar
            .lines()
            .find(|line| line.contains(title))
            .expect(title);
        line.split_once("level-").expect(line).1[..1].to_owned()
    };
    assert_eq!(
        ["Mon 2 Nov 2026", "Thu 5 Nov 2026", "Sun 1 Nov 2026"].map(level),
        ["2", "4", "0"]
    );
    let legend: Vec<String> = calendar
        .lines()
        .filter(|line| line.starts_with("<li>"))
        .map(|line| line.replace("</li>", ""))
        .collect();
    let labels: Vec<(&str, &str)> = legend
        .iter()
        .map(|line| {
            (
                &line.split_once("level-").expect(line).1[..1],
                line.rsplit_once(' ').expect(line).1,
            )
        })
        .collect();
    assert_eq!(labels, [("0", "0"), ("2", "1"), ("4", "2–9")]);
}

#[test]
fn a_month_is_named_above_the_week_of_its_first_day() {
    // The first of December 2025 is a Monday: the second week of the first calendar, the fourth of
    // the second one.
    let first = render_calendar(&[("2026-11-24", 1)]);
    assert_eq!(
        month_labels(&first),
        [
            "Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"
        ]
    );
    assert_has(&first, &["<text x=\"1.88%\" y=\"12\">Dec</text>"]);
    let second = render_calendar(&[("2026-11-10", 1)]);
    assert_eq!(
        month_labels(&second)[..2],
        ["Nov", "Dec"],
        "there is room for the first one"
    );
    assert_has(
        &second,
        &["<text x=\"0.00%\" y=\"12\">Nov</text>\n<text x=\"5.66%\" y=\"12\">Dec</text>"],
    );
    let third = render_calendar(&[("2026-11-17", 1)]);
    assert_eq!(month_labels(&third)[0], "Dec", "and none within two weeks");
    // 2026-12-01 is in the last column, where a name would leave the drawing.
    assert_eq!(
        month_labels(&render_calendar(&[("2026-12-01", 1)])).last(),
        Some(&"Nov")
    );
}
