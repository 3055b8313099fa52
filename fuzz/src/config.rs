//! A customer's `config.yaml`: whatever is in it, facts come out, and nothing but facts.

use config_backup::config::fields::{self, ConfigFields};
use config_backup::config::file::ConfigFile;
use config_backup::deployment::protocol::ModuleQuery;
use config_backup::deployment::subject::{DeploymentSubject, resolve_subject};
use config_backup::digest::compute_digests;

/// All that is ever said about a config.
const PHRASES: [&str; 15] = [
    "it is empty",
    "it has # bytes, and at most # are parsed",
    "it is not valid UTF-8 at line #",
    "it is nested deeper than # levels",
    "it has too many brackets for its size",
    "its aliases stand for too much data",
    "it is not valid YAML at line #, column #",
    "it is not valid YAML",
    "it is not a mapping of keys to values",
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
    assert!(facts.problems.len() <= 5, "{:?}", facts.problems);
    let texts = [
        &facts.customer,
        &facts.profile,
        &facts.project_name,
        &facts.cluster_name,
    ];
    for text in texts.into_iter().flatten() {
        assert!(!text.is_empty());
        assert_eq!(text.trim(), text);
    }
}

fn phrase(problems: &[String], length: usize) {
    // The limits of the reader and the line behind the last one are numbers, too.
    super::phrase::only_these(problems, &PHRASES, (length as u64 + 1).max(1 << 20));
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
