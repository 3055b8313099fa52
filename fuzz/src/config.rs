//! A customer's `config.yaml`: whatever is in it, facts come out, and nothing but facts.

use config_backup::config::fields::{self, ConfigFields};
use config_backup::config::file::ConfigFile;
use config_backup::deployment::protocol::ModuleQuery;
use config_backup::deployment::subject::{DeploymentSubject, resolve_subject};
use config_backup::digest::compute_digests;

/// All that is ever said about a config.
const PHRASES: [&str; 30] = [
    "it is empty",
    "it has # bytes, and at most # are parsed",
    "it is not valid UTF-8 at line #",
    "it is nested deeper than # levels",
    "it is UTF-16, and Terraform reads UTF-8 only",
    "it has too many lines that begin with `%`",
    "its `%YAML` at line # is not 1.1, and Terraform refuses that",
    "an alias at line # is inside of what it stands for",
    "the alias at line # stands for nothing above it",
    "a second document begins at line #, and only one is allowed",
    "a key at line # is not a text",
    "what `<<` merges at line # is not a mapping",
    "a value at line # is not what its tag says, or not a number",
    "its key `…` is there again at line #, and the last one counts",
    "a key is there again at line #, and the last one counts",
    "it has a tag at line # that Terraform refuses",
    "it has # more keys or tags of this kind",
    "its aliases stand for too much data",
    "it is not valid YAML at line #, column #",
    "it is not valid YAML",
    "it is not a mapping of keys to values",
    "its customer is not a mapping of keys to values",
    "its aws is not a mapping of keys to values",
    "its mongodb is not a mapping of keys to values",
    "its customer.name is not a text",
    "its aws.profile is not a text",
    "its mongodb.project_name is not a text",
    "its mongodb.cluster_name is not a text",
    "its mongodb.additional_users_count is not a whole number",
    "it names no customer",
];

/// Any bytes are a config.
pub fn run(data: &[u8]) {
    let facts = fields::parse_config_fields(data);
    judge(data, &facts);
    // An editor of another system writes the same file with other line ends.
    if facts.problems.is_empty() && !data.contains(&b'\r') {
        let crlf = String::from_utf8_lossy(data).replace('\n', "\r\n");
        assert_eq!(
            fields::parse_config_fields(crlf.as_bytes()),
            facts,
            "with CR LF"
        );
    }
    let query = ModuleQuery::read(&b"{\"config_file_path\":\"/deployments/acme/config.yaml\"}"[..])
        .expect("a query");
    let config = ConfigFile {
        bytes: data.to_vec(),
        digests: compute_digests(data),
        read_at: chrono::DateTime::default(),
    };
    judge_subject(&facts, &resolve_subject(&query, Some(&config)));
}

/// What is said fits one of the phrases, whose numbers are places in the file; the facts are what a line can hold.
pub fn judge(data: &[u8], facts: &ConfigFields) {
    phrase(&facts.problems, data.len());
    assert!(facts.problems.len() <= 12, "{:?}", facts.problems);
    let texts = [
        &facts.customer,
        &facts.profile,
        &facts.project_name,
        &facts.cluster_name,
    ];
    for text in texts.into_iter().flatten() {
        assert!(!text.trim().is_empty());
    }
}

fn phrase(problems: &[String], length: usize) {
    let problems: Vec<String> = problems
        .iter()
        .map(|problem| hide_plain_key(problem))
        .collect();
    // The limits of the reader and the line behind the last one are numbers, too.
    super::phrase::only_these(&problems, &PHRASES, (length as u64 + 1).max(1 << 20));
}

/// A key that stands there twice is named if it is a plain word.
fn hide_plain_key(problem: &str) -> String {
    let start = "its key `";
    match problem
        .strip_prefix(start)
        .and_then(|rest| rest.split_once('`'))
    {
        Some((key, rest)) => {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || b"_-".contains(&byte);
            assert!(key.len() <= 40 && key.bytes().all(is_plain), "{problem}");
            format!("{start}…`{rest}")
        }
        None => problem.to_owned(),
    }
}

/// There is always a customer, and nothing is added to what the file says.
pub fn judge_subject(facts: &ConfigFields, subject: &DeploymentSubject) {
    assert_eq!(
        subject.customer,
        facts.customer.as_deref().unwrap_or("acme")
    );
    for (text, fact) in [
        (&subject.profile, &facts.profile),
        (&subject.project_name, &facts.project_name),
        (&subject.cluster_name, &facts.cluster_name),
    ] {
        assert_eq!(text, fact.as_deref().unwrap_or_default());
    }
    assert_eq!(subject.problems, facts.problems);
    assert_eq!(
        Some(subject.additional_users_count),
        facts.additional_users_count.or(Some(0))
    );
}
