//! Text from records in the forms in which a report shows it: the same text in each, and harmless.

use config_backup::output::sanitize::{
    escape_formula, escape_html, escape_json, is_unsafe_for_display, sanitize,
};
use config_backup::output::{OutputFormat, TableCell, TableStyle, write_cells};

/// What starts a formula, as OWASP's "CSV Injection" has it, with the full-width forms that a spreadsheet takes for it.
const FORMULA: [char; 8] = [
    '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// Any four texts are two rows of two cells.
pub fn run(data: &[u8]) {
    let texts: [String; 4] = super::texts(data);
    for text in &texts {
        judge(text, &sanitize(text), &escape_formula(text));
        judge_html(text, &escape_html(text));
        let json = serde_json::to_string(text).expect("JSON");
        let escaped = escape_json(&json);
        assert!(!escaped.contains(is_unsafe_for_display), "{escaped}");
        assert_eq!(
            &serde_json::from_str::<String>(&escaped).expect("JSON"),
            text
        );
    }
    let table = |format, raw| {
        let rows = || -> Box<dyn Iterator<Item = Vec<TableCell<'_>>> + '_> {
            Box::new(texts.chunks(2).map(|row| {
                row.iter()
                    .map(|text| TableCell::Text(text.as_str().into()))
                    .collect()
            }))
        };
        let mut written = Vec::new();
        let style = TableStyle {
            is_raw: raw,
            max_width: Some(data.len() % 90),
            is_bold: false,
        };
        write_cells(format, &["a", "b"], rows, style, &mut written).expect("written");
        String::from_utf8(written).expect("UTF-8")
    };
    judge_csv(&texts, &table(OutputFormat::Csv, true));
    let shown: [String; 4] = texts
        .each_ref()
        .map(|text| escape_formula(text).into_owned());
    judge_csv(&shown, &table(OutputFormat::Csv, false));
    judge_ndjson(&texts, &table(OutputFormat::Ndjson, false));
    for (format, lines) in [
        (OutputFormat::Csv, None),
        (OutputFormat::Table, Some(3)),
        (OutputFormat::Markdown, Some(4)),
        (OutputFormat::Ndjson, Some(2)),
    ] {
        let written = table(format, false);
        assert!(
            !written.replace('\n', "").contains(is_unsafe_for_display),
            "{written:?}"
        );
        assert!(
            lines.is_none_or(|lines| written.matches('\n').count() == lines),
            "{written:?}"
        );
    }
}

/// Nothing that a terminal obeys or a spreadsheet runs, and otherwise the text.
pub fn judge(text: &str, plain: &str, cell: &str) {
    assert!(
        !plain.contains(is_unsafe_for_display) && !plain.contains(char::is_control),
        "{plain:?}"
    );
    assert_eq!(plain.chars().count(), text.chars().count());
    assert!(
        plain.chars().zip(text.chars()).all(|(shown, was)| shown == was || (shown == '\u{fffd}' && is_unsafe_for_display(was))),
        "{plain:?}"
    );
    let is_armed = plain.trim_start().starts_with(FORMULA);
    assert_eq!(
        cell,
        if is_armed {
            format!("'{plain}")
        } else {
            plain.to_owned()
        }
    );
}

/// No markup, and read back as a browser does it, the text.
pub fn judge_html(text: &str, html: &str) {
    assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
    let read = html
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    assert_eq!(read, sanitize(text));
}

/// CSV of two columns that another reader takes for these cells.
pub fn judge_csv(cells: &[String; 4], written: &str) {
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let read: Vec<String> = reader
        .records()
        .flat_map(|row| {
            row.expect("a row")
                .iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(read, cells);
}

/// Objects, one a line, that say exactly what the cells do.
pub fn judge_ndjson(cells: &[String; 4], written: &str) {
    let objects: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let read: Vec<&str> = objects
        .iter()
        .flat_map(|row| ["a", "b"].map(|name| row[name].as_str().expect("a text")))
        .collect();
    assert_eq!(read, cells);
}
