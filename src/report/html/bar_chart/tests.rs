//! Where bars, lines and letters stand, computed by hand: 180 pixels for the greatest tick, 100 %
//! for all bars together.

use chrono::{DateTime, Days};

use super::*;
use crate::record::deployment::Deployment;

/// Deployments of these customers on days counted from the first of November.
fn totals_of_days(deployments: &[(u64, &str)]) -> ReportTotals {
    let start = "2026-11-01T08:00:00Z"
        .parse::<DateTime<chrono::Utc>>()
        .expect("a time");
    let mut totals = ReportTotals::default();
    for (day, customer) in deployments {
        totals.add_deployment(&Deployment {
            deployed_at: start + Days::new(*day),
            customer: (*customer).to_owned(),
            ..Deployment::default()
        });
    }
    totals
}

fn render_with(draw: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
    let mut output = Vec::new();
    draw(&mut output).expect("a vector takes it");
    String::from_utf8(output).expect("text")
}

fn render_time_chart(deployments: &[(u64, &str)]) -> String {
    render_with(|output| write_time_chart(&totals_of_days(deployments), output))
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn few_bars_are_narrow_and_all_are_named() {
    let chart = render_time_chart(&[(0, "a"), (2, "a"), (2, "b"), (2, "b")]);
    assert_has(
        &chart,
        &[
            "<p class=\"note\">Per day; 3 in the busiest day</p>",
            "<text x=\"36\" y=\"180.00\" dy=\"4\" text-anchor=\"end\">0</text>\n\
             <text x=\"36\" y=\"120.00\"",
            "<line class=\"line\" x1=\"0\" x2=\"100%\" y1=\"60.00\" y2=\"60.00\"/>",
            "aria-label=\"4 deployments per day, as bars; ",
            "<title>Sun 1 Nov 2026: 1 deployment</title>\
             <rect class=\"place\" x=\"0.00%\" width=\"33.33%\" height=\"180\"/>\
         <rect class=\"bar\" x=\"15.16%\" width=\"3.00%\" y=\"120.00\" height=\"60.00\"/></g>",
            "<title>Mon 2 Nov 2026: 0 deployments</title>\
             <rect class=\"place\" x=\"33.33%\" width=\"33.33%\" height=\"180\"/></g>",
            "<rect class=\"bar\" x=\"81.83%\" width=\"3.00%\" y=\"0.00\" height=\"180.00\"/>",
            "<text x=\"16.66%\" y=\"200\" text-anchor=\"middle\">1 Nov 2026</text>\n\
         <text class=\"minor\" x=\"50.00%\" y=\"200\" text-anchor=\"middle\">2 Nov</text>\n\
         <text x=\"83.33%\" y=\"200\" text-anchor=\"middle\">3 Nov</text>",
            "<th scope=\"row\">Tue 3 Nov 2026</th><td class=\"number\">3</td></tr>",
        ],
    );
    assert_eq!(chart.matches("class=\"bar\"").count(), 2);
    assert_eq!(render_time_chart(&[]), "");
}

#[test]
fn from_27_bars_on_each_takes_four_fifths_of_its_slot() {
    assert_has(
        &render_time_chart(&[(0, "a"), (25, "a")]),
        &["<rect class=\"bar\" x=\"0.42%\" width=\"3.00%\""],
    );
    let chart = render_time_chart(&[(0, "a"), (26, "a")]);
    assert_has(
        &chart,
        &[
            "<rect class=\"bar\" x=\"0.37%\" width=\"2.96%\"",
            "<rect class=\"bar\" x=\"96.66%\" width=\"2.96%\"",
        ],
    );
    // Every fourth one, counted from the last.
    let names: Vec<&str> = chart
        .lines()
        .filter(|line| line.contains("y=\"200\""))
        .collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert_eq!(
        names[0],
        "<text x=\"9.25%\" y=\"200\" text-anchor=\"middle\">3 Nov 2026</text>"
    );
    assert_eq!(
        names[5],
        "<text class=\"minor\" x=\"83.33%\" y=\"200\" text-anchor=\"middle\">23 Nov</text>"
    );
    assert_eq!(
        names[6],
        "<text x=\"100.00%\" y=\"200\" text-anchor=\"end\">27 Nov</text>"
    );
}

#[test]
fn a_label_has_the_year_where_it_changes_and_the_last_label_stays_inside() {
    let chart = render_time_chart(&[(57, "a"), (64, "a")]);
    let names: Vec<&str> = chart
        .lines()
        .filter(|line| line.contains("y=\"200\""))
        .collect();
    assert_eq!(
        names[..2],
        [
            "<text class=\"minor\" x=\"18.75%\" y=\"200\" text-anchor=\"middle\">29 Dec 2026</text>",
            "<text x=\"43.75%\" y=\"200\" text-anchor=\"middle\">31 Dec</text>"
        ]
    );
    assert_eq!(
        names[2..],
        [
            "<text class=\"minor\" x=\"68.75%\" y=\"200\" text-anchor=\"middle\">2 Jan 2027</text>",
            "<text x=\"100.00%\" y=\"200\" text-anchor=\"end\">4 Jan</text>"
        ]
    );
    let seven = render_time_chart(&[(0, "a"), (6, "a")]);
    assert_has(
        &seven,
        &["<text x=\"92.85%\" y=\"200\" text-anchor=\"middle\">7 Nov</text>"],
    );
}

#[test]
fn the_others_share_a_bar_after_fifteen_customers() {
    let names: Vec<String> = (10..27).map(|number| format!("c{number}")).collect();
    let group = |count: usize| {
        let mut deployments = vec![(0, ""), (0, ""), (0, "<b>")];
        deployments.extend(names[..count].iter().map(|name| (0, name.as_str())));
        render_with(|output| {
            write_group_chart(&totals_of_days(&deployments), TotalsGroup::Customer, output)
        })
    };
    let three = group(1);
    assert_has(
        &three,
        &[
            "<caption class=\"unseen\">Deployments by customer</caption>",
            "<tr><th scope=\"row\"><i>not known</i></th><td>\
             <svg width=\"100%\" height=\"14\" aria-hidden=\"true\">\
         <rect class=\"bar\" width=\"100.00%\" height=\"14\"/></svg></td><td>\
          <data value=\"2\">2</data></td><td>50%</td></tr>",
            "<bdi title=\"&lt;b&gt;\">&lt;b&gt;</bdi>",
            "<rect class=\"bar\" width=\"50.00%\" height=\"14\"/></svg></td><td>\
             <data value=\"1\">1</data></td><td>25%</td>",
        ],
    );
    assert!(!group(13).contains("other"));
    assert_has(&group(14), &["<i>1 other</i>"]);
    assert_has(
        &group(17),
        &[
            "<i>4 others</i></th><td><svg width=\"100%\" height=\"14\" aria-hidden=\"true\">\
             <rect class=\"bar\" width=\"100.00%\"",
        ],
    );
}
