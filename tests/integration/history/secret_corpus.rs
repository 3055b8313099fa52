//! The published corpus of secrets and of harmless values: what is masked, and that the documentation
//! says so.

use std::fs;

use config_backup::config::document::parse_document;
use config_backup::redaction::render::RedactionMode;
use test_support::project_dir;

/// Ordinary words, which only their place marks as secrets.
const WORDS: [&str; 2] = ["canary-one", "canary-two"];

fn read_lines(path: &str) -> Vec<String> {
    let text = fs::read_to_string(project_dir().join(path)).expect(path);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// What `diff` and `history` show of a change.
fn render(before: &str, after: &str) -> String {
    let [before, after] = [before, after].map(|text| parse_document(text.as_bytes()).expect(text));
    let lines = RedactionMode::Redact(None).render_changes(&before, &after);
    let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
    lines.join("\n")
}

/// Whether a secret is masked where it changes, and where it goes.
fn is_masked(config: &str, secrets: [&str; 2]) -> bool {
    let [first, second] = secrets.map(|secret| config.replace("SECRET", secret));
    let shown = render(&first, &second) + &render(&second, "name: x\n");
    !secrets.iter().any(|secret| shown.contains(secret))
}

#[test]
fn the_share_of_masked_secrets_is_the_documented_one() {
    let mut open = Vec::new();
    let shapes = read_lines("tests/golden/secret_shapes.tsv");
    for shape in &shapes {
        let columns: Vec<&str> = shape.split('\t').collect();
        let (config, secrets) = match columns[..] {
            [_, config] => (config, WORDS),
            [_, config, first, second] => (config, [first, second]),
            _ => panic!("two or four columns: {shape}"),
        };
        let config = config.replace("\\n", "\n");
        assert!(config.contains("SECRET"), "{shape}");
        if !is_masked(&config, secrets) {
            open.push(shape.as_str());
        }
    }
    let unmarked = |shape: &&&str| !shape.starts_with("without a mark\t");
    let missed: Vec<_> = open.iter().filter(unmarked).collect();
    assert_eq!(missed.len(), 0, "not masked: {missed:#?}");

    let total = shapes.len();
    let masked = total - open.len();
    assert!(total >= 120, "{total} shapes");
    let page = fs::read_to_string(project_dir().join("docs/security.md")).expect("a page");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let share = format!("{masked} of {total} shapes");
    assert!(
        page.contains(&share),
        "docs/security.md does not say `{share}`"
    );
}

#[test]
fn harmless_values_stay_visible() {
    let lines = read_lines("tests/golden/harmless_values.txt");
    for line in &lines {
        let shown = render("other: x\n", &format!("{line}\nother: x\n"));
        assert!(shown.starts_with("+ "), "{line}: {shown}");
        assert!(!shown.contains("masked"), "{line}: {shown}");
    }
    assert!(lines.len() >= 80, "{} lines", lines.len());
    let page = fs::read_to_string(project_dir().join("docs/security.md")).expect("a page");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = format!("{} harmless values", lines.len());
    assert!(
        page.contains(&count),
        "docs/security.md does not say `{count}`"
    );
}
