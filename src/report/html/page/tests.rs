//! The page as a whole, and which rows it shows in which order.

use super::*;
use crate::record::deployment::Deployment;
use crate::record::parse::ParsedRecord;
use crate::report::html::rows_table::{MAX_PAGE_ROWS, format_heading};

fn parse_time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// The page of deployments of these customers at these times, with two rows of these columns.
fn render_page(
    deployments: &[(&str, &str)],
    names: &[&str],
    is_sorted: bool,
    skipped_count: usize,
) -> String {
    let mut totals = ReportTotals::default();
    for (time, customer) in deployments {
        let record = ParsedRecord {
            user: "jane".to_owned(),
            config_hash: "a".repeat(32),
            ..ParsedRecord::default()
        };
        totals.add_deployment(&Deployment {
            deployed_at: parse_time(time),
            customer: (*customer).to_owned(),
            record,
            ..Deployment::default()
        });
    }
    let row = |text: &'static str, count| {
        let others = names.iter().skip(2).map(|_| TableCell::Text("株".into()));
        [TableCell::Text(text.into()), TableCell::Count(count)]
            .into_iter()
            .chain(others)
            .collect::<Vec<_>>()
    };
    let rows = [row("2026-11-23", 5), row("2026-11-24<", 1000)];
    let page = HtmlPage {
        bucket: "<b>&",
        created_at: parse_time("2026-11-24T12:34:56Z"),
        totals: &totals,
        column_names: names,
        rows: &mut rows.into_iter(),
        row_count: 2,
        is_sorted,
        skipped_count,
    };
    let mut output = Vec::new();
    write_page(page, &mut output).expect("a vector takes it");
    String::from_utf8(output).expect("text")
}

const SOME_DEPLOYMENTS: [(&str, &str); 3] = [
    ("2026-10-25T23:59:59Z", "old"),
    ("2026-10-26T00:00:00Z", "acme"),
    ("2026-11-23T08:00:09Z", "acme"),
];

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

fn text_between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start)
        .and_then(|(_, tail)| tail.split_once(end))
        .expect(start)
        .0
}

#[test]
fn the_page_allows_only_its_own_script_and_style() {
    let page = render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], false, 0);
    for (kind, end) in [("style", "</style>"), ("script", "</script>")] {
        let hash = sha256_base64(text_between(&page, &format!("<{kind}>"), end).as_bytes());
        assert_has(&page, &[&format!("{kind}-src 'sha256-{hash}'")]);
    }
    assert_has(
        &page,
        &[
            "<title>Deployments in &lt;b&gt;&amp;</title>",
            "<p class=\"note\">Per day; 1 in the busiest day</p>",
            "Deployments by customer</caption>",
            "Deployments by user</caption>",
            "aria-label=\"Calendar\"",
            "Made <time datetime=\"2026-11-24T12:34:56Z\">2026-11-24 12:34 UTC</time>.",
            concat!("Made by config-backup ", env!("CARGO_PKG_VERSION"), " from"),
        ],
    );
    assert!(
        !page.contains("{{") && !page.contains("<p class=\"notice") && page.ends_with("</html>\n"),
        "{page}"
    );
}

#[test]
fn tiles_count_all_deployments_and_those_of_the_last_30_days() {
    // From 26 October to 24 November there are thirty days.
    assert_has(
        &render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], false, 0),
        &[
            "<div><dt>Deployments</dt><dd><data value=\"3\">3</data></dd>\
             <dd>2 in the last 30 days</dd></div>",
            "<div><dt>Customers</dt><dd><data value=\"2\">2</data></dd>\
             <dd>1 in the last 30 days</dd></div>",
            "<div><dt>Users</dt><dd><data value=\"1\">1</data></dd><dd>1 in the last 30 days</dd>\
             </div>",
            "<div><dt>Different configs</dt><dd><data value=\"1\">1</data></dd></div>",
            "<dt>First deployment</dt><dd>\
             <time datetime=\"2026-10-25T23:59:59Z\">25 Oct 2026</time></dd><dd>23:59:59</dd>\
             </div>",
            "<dt>Last deployment</dt><dd>\
             <time datetime=\"2026-11-23T08:00:09Z\">23 Nov 2026</time></dd><dd>08:00:09</dd>\
             </div>",
        ],
    );
}

#[test]
fn the_table_has_a_title_column_kinds_and_the_newest_rows_first() {
    let page = render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], false, 0);
    assert_has(
        &page,
        &[
            "<table id=\"rows\">\n<caption class=\"unseen\">All deployments</caption>",
            "<p class=\"note\">One row for each deployment: 2 rows.</p>",
            "<tr><th scope=\"col\" class=\"time\" data-kind=\"time\" aria-sort=\"descending\">Timestamp</th>\
         <th scope=\"col\" class=\"number\" data-kind=\"number\">N</th></tr>",
            "<tr><td>2026-11-24&lt;</td><td class=\"number\">1000</td></tr>\n<tr>\
             <td>2026-11-23</td><td class=\"number\">5</td></tr>",
        ],
    );
    let ordered = render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], true, 0);
    assert_has(
        &ordered,
        &[
            "data-kind=\"time\">Timestamp</th>",
            "<td>2026-11-23</td><td class=\"number\">5</td></tr>\n<tr><td>2026-11-24",
        ],
    );
}

#[test]
fn the_number_of_columns_decides_what_a_row_is() {
    let days = render_page(
        &SOME_DEPLOYMENTS,
        &["timestamp", "n", "a", "b", "c", "last"],
        false,
        0,
    );
    assert_has(
        &days,
        &[
            "Last deployments of each day",
            "One row for each date, customer and user: 2 rows.",
            "<td><bdi>株</bdi></td>",
        ],
    );
    assert_has(
        &days,
        &["class=\"text\" data-kind=\"text\">C</th>\
             <th scope=\"col\" class=\"time\" data-kind=\"time\">Last</th>"],
    );
    let totals = render_page(
        &SOME_DEPLOYMENTS,
        &["group", "n", "a", "b", "c", "d", "first", "last"],
        false,
        0,
    );
    assert_has(
        &totals,
        &[
            ">Totals</h2>",
            "One row in all and for each customer, user, month and week: 2 rows.",
            "<table id=\"rows\">",
        ],
    );
    assert!(
        totals.find("2026-11-23</td>") < totals.find("2026-11-24&lt;</td>"),
        "as they come"
    );
    assert_has(
        &render_page(
            &SOME_DEPLOYMENTS,
            &["timestamp", "n", "c", "d", "e", "f", "g", "h", "i"],
            false,
            0,
        ),
        &["<table id=\"rows\" class=\"wide\">"],
    );
}

#[test]
fn reports_skipped_records_and_that_there_are_no_deployments() {
    let one = "<strong>1 record could not be used</strong> and is not part of this page. \
               The messages of the run that made this page name it.</p>";
    assert_has(
        &render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], false, 1),
        &[one],
    );
    assert_has(
        &render_page(&SOME_DEPLOYMENTS, &["timestamp", "n"], false, 2),
        &[
            "2 records could not be used</strong> and are not part",
            "page name them.</p>",
        ],
    );
    let none = render_page(&[], &["timestamp", "n"], false, 0);
    assert_has(
        &none,
        &[
            "<p class=\"notice\">There are no deployments in this report.</p>",
            "<footer>",
        ],
    );
    assert!(
        !none.contains("<table") && !none.contains("<dl") && !none.contains("2026-11-23"),
        "{none}"
    );
}

#[test]
fn shows_the_first_totals_if_there_are_too_many() {
    let mut rows = (0..MAX_PAGE_ROWS + 5).map(|number| vec![TableCell::Count(number as u64)]);
    let chosen = select_rows(&mut rows, TableKind::Totals, false);
    assert_eq!(
        (chosen.len(), chosen.last()),
        (MAX_PAGE_ROWS, Some(&vec![TableCell::Count(9_999)]))
    );
    assert_eq!(
        table_note(TableKind::Totals, 10_000, 10_005),
        "One row in all and for each customer, user, month and week: \
         the first 10,000 of 10,005 rows. \
         The other formats have all of them."
    );
    assert!(table_note(TableKind::Deployments, 1, 1).ends_with("deployment: 1 row."));
}

fn select_numbers(count: usize, is_sorted: bool) -> Vec<String> {
    // Every other row is of the first half of the time.
    let time = |number: usize| {
        format!(
            "2026-01-01T00:00:00.{:06}Z",
            if number.is_multiple_of(2) {
                number / 2
            } else {
                number + 500_000
            }
        )
    };
    let mut rows = (0..count).map(|number| {
        vec![
            TableCell::Text(time(number).into()),
            TableCell::Count(number as u64),
        ]
    });
    select_rows(&mut rows, TableKind::Deployments, is_sorted)
        .iter()
        .map(|row| row[1].to_text().into_owned())
        .collect()
}

#[test]
fn shows_the_newest_rows_if_there_are_too_many() {
    let newest = select_numbers(20_002, false);
    assert_eq!(
        (newest.len(), &*newest[0], &*newest[9_999]),
        (MAX_PAGE_ROWS, "20001", "3")
    );
    let ordered = select_numbers(20_002, true);
    assert_eq!(
        (ordered.len(), &*ordered[0], &*ordered[9_999]),
        (MAX_PAGE_ROWS, "3", "20001")
    );
    assert_eq!(select_numbers(3, true), ["0", "1", "2"]);
    let mut falling = ["c", "b", "a"]
        .into_iter()
        .map(|time| vec![TableCell::Text(time.into())]);
    assert_eq!(
        select_rows(&mut falling, TableKind::Deployments, true).len(),
        3
    );
    assert!(
        table_note(TableKind::Deployments, MAX_PAGE_ROWS, 500_000)
            .contains("the newest 10,000 of 500,000 rows")
    );
}

#[test]
fn headings_are_words() {
    assert_eq!(
        ["timestamp", "git_commit", "ci_run_url", "arn"].map(format_heading),
        ["Timestamp", "Git commit", "CI run URL", "ARN"]
    );
}
