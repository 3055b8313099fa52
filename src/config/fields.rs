//! What `config.yaml` says about the deployment: a few values out of a file full of secrets.
//!
//! A message may name the keys that are listed here and the numbers of lines, but no value of the
//! file.

use crate::config::document::{ParsedYaml, YamlNode, parse_yaml};
use crate::config::yaml_limits::{MAX_YAML_BYTES, YamlError};

/// A section of the file and a key in it.
type FieldPath = (&'static str, &'static str);

const CUSTOMER_PATH: FieldPath = ("customer", "name");
const PROFILE_PATH: FieldPath = ("aws", "profile");
const PROJECT_PATH: FieldPath = ("mongodb", "project_name");
const CLUSTER_PATH: FieldPath = ("mongodb", "cluster_name");
const USERS_COUNT_PATH: FieldPath = ("mongodb", "additional_users_count");

/// How many duplicate keys and unknown tags are told one by one.
const MAX_NAMED_WARNINGS: usize = 3;

const SECTIONS: [&str; 3] = ["customer", "aws", "mongodb"];

/// The fields of one config. What is missing or unusable is `None`, and never an empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFields {
    pub customer: Option<String>,
    pub profile: Option<String>,
    pub project_name: Option<String>,
    pub cluster_name: Option<String>,
    pub additional_users_count: Option<u64>,
    /// What is wrong with the file, one phrase each, without any of its values.
    pub problems: Vec<String>,
}

/// Parses the fields out of a config's bytes. It always succeeds: see [`ConfigFields::problems`].
#[must_use]
pub fn parse_config_fields(bytes: &[u8]) -> ConfigFields {
    match parse_mapping(bytes) {
        Ok(parsed) => read_fields(&parsed),
        Err(problem) => salvage_fields(bytes, problem),
    }
}

fn parse_mapping(bytes: &[u8]) -> Result<ParsedYaml, YamlError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(YamlError::Empty);
    }
    let parsed = parse_yaml(bytes)?;
    match parsed.root.untagged() {
        YamlNode::Map(_) => Ok(parsed),
        _ => Err(YamlError::NotMapping),
    }
}

fn read_fields(parsed: &ParsedYaml) -> ConfigFields {
    let document = &parsed.root;
    let mut problems = Vec::new();
    for warning in parsed.warnings.iter().take(MAX_NAMED_WARNINGS) {
        problems.push(warning.to_string());
    }
    let others = parsed.warnings.len().saturating_sub(MAX_NAMED_WARNINGS);
    if others > 0 {
        problems.push(format!("it has {others} more keys or tags of this kind"));
    }
    for section in SECTIONS {
        // Nothing below a section is as good as no section.
        let node = document.get(section).map(YamlNode::untagged);
        if !matches!(node, None | Some(YamlNode::Map(_) | YamlNode::Null)) {
            problems.push(format!("its {section} is not a mapping of keys to values"));
        }
    }
    ConfigFields {
        customer: text_field(document, CUSTOMER_PATH, &mut problems),
        profile: text_field(document, PROFILE_PATH, &mut problems),
        project_name: text_field(document, PROJECT_PATH, &mut problems),
        cluster_name: text_field(document, CLUSTER_PATH, &mut problems),
        additional_users_count: count_field(document, USERS_COUNT_PATH, &mut problems),
        problems,
    }
}

/// A mistake anywhere must not hide the customer and the profile: without the profile, the config
/// could not even be backed up.
fn salvage_fields(bytes: &[u8], problem: YamlError) -> ConfigFields {
    let readable = &bytes[..bytes.len().min(MAX_YAML_BYTES)];
    let text = String::from_utf8_lossy(readable);
    ConfigFields {
        customer: salvage_plain_value(&text, CUSTOMER_PATH),
        profile: salvage_plain_value(&text, PROFILE_PATH),
        problems: vec![problem.to_string()],
        ..ConfigFields::default()
    }
}

/// Finds `key: name` in the lines below `section:`, and nothing that takes a parser to understand.
fn salvage_plain_value(text: &str, (section, key): FieldPath) -> Option<String> {
    let is_section = |line: &str| line.trim_end().strip_suffix(':') == Some(section);
    let is_below = |line: &str| line.starts_with([' ', '\t', '#']) || line.trim().is_empty();

    let mut lines = text.trim_start_matches('\u{feff}').lines();
    lines.find(|line| is_section(line))?;

    for line in lines {
        if !is_below(line) {
            return None;
        }
        let Some(rest) = line.trim().strip_prefix(key) else {
            continue;
        };
        if let Some(value) = rest.strip_prefix(':') {
            return plain_name(value);
        }
    }
    None
}

fn plain_name(value: &str) -> Option<String> {
    let name = value.trim().trim_matches(['"', '\'']);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return None;
    }
    Some(name.to_owned())
}

fn find_field(document: &YamlNode, (section, key): FieldPath) -> Option<&YamlNode> {
    document.get(section)?.get(key)
}

fn text_field(document: &YamlNode, path: FieldPath, problems: &mut Vec<String>) -> Option<String> {
    let (section, key) = path;
    match find_field(document, path)? {
        YamlNode::Null => None,
        YamlNode::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        YamlNode::Number(number) => Some(number.clone()),
        YamlNode::Bool(flag) => Some(flag.to_string()),
        _ => {
            problems.push(format!("its {section}.{key} is not a text"));
            None
        }
    }
}

fn count_field(document: &YamlNode, path: FieldPath, problems: &mut Vec<String>) -> Option<u64> {
    let (section, key) = path;
    let parsed = match find_field(document, path) {
        None | Some(YamlNode::Null) => return None,
        Some(YamlNode::Text(text) | YamlNode::Number(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    if parsed.is_none() {
        problems.push(format!("its {section}.{key} is not a whole number"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE_CONFIG: &[u8] = include_bytes!("../../terragrunt/airbnb/config.yaml");

    fn parse_text(text: &str) -> ConfigFields {
        parse_config_fields(text.as_bytes())
    }

    #[test]
    fn the_sample_has_all_fields() {
        let fields = parse_config_fields(SAMPLE_CONFIG);
        let expected = ConfigFields {
            customer: Some("airbnb".to_owned()),
            profile: Some("default".to_owned()),
            project_name: Some("airbnb-project".to_owned()),
            cluster_name: Some("arena-cluster".to_owned()),
            additional_users_count: Some(5),
            problems: Vec::new(),
        };
        assert_eq!(fields, expected);
    }

    #[test]
    fn names_a_mistyped_field_by_its_key_alone() {
        let fields = parse_text(
            "customer:\n  name: [s3cret]\n\
             mongodb:\n  additional_users_count: s3cret\n  project_name: 42\n",
        );
        assert_eq!(fields.customer, None);
        assert_eq!(fields.project_name.as_deref(), Some("42"));
        let expected = [
            "its customer.name is not a text",
            "its mongodb.additional_users_count is not a whole number",
        ];
        assert_eq!(fields.problems, expected);
        let blank = parse_text("customer: {name: ' '}\n");
        assert_eq!(blank.problems, ["its customer.name is not a text"]);
    }

    #[test]
    fn takes_numbers_and_booleans_for_the_text_that_they_look_like() {
        for (value, expected) in [
            ("true", "true"),
            ("-5", "-5"),
            ("1.5", "1.5"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("yes", "true"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("' acme '", " acme "),
            ("123456789012345678901", "123456789012345678901"),
            ("!!str 7", "7"),
            ("airbnb", "airbnb"),
        ] {
            let fields = parse_text(&format!("customer: {{name: {value}}}\n"));
            assert_eq!(fields.customer.as_deref(), Some(expected), "{value}");
            assert_eq!(fields.problems, Vec::<String>::new(), "{value}");
        }
        for value in ["[a]", "{a: b}", "!n a"] {
            let fields = parse_text(&format!("customer: {{name: {value}}}\n"));
            let problem = fields.problems.last().expect("a problem");
            assert_eq!(problem, "its customer.name is not a text", "{value}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_that_is_not_negative() {
        let parse =
            |value: &str| parse_text(&format!("mongodb: {{additional_users_count: {value}}}\n"));
        for (value, expected) in [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("0x5", Some(5)),
            ("' 5 '", Some(5)),
            ("~", None),
        ] {
            let fields = parse(value);
            assert_eq!(fields.additional_users_count, expected, "{value}");
            assert_eq!(fields.problems, Vec::<String>::new(), "{value}");
        }
        for value in ["-5", "1.5", "true", "[5]", "99999999999999999999"] {
            assert_eq!(parse(value).problems.len(), 1, "{value}");
        }
    }

    #[test]
    fn names_invalid_yaml_by_its_line_and_quotes_nothing() {
        let unclosed = parse_text("customer:\n  name: airbnb\n  password: \"s3cret\n");
        let [problem] = unclosed.problems.as_slice() else {
            panic!("one problem")
        };
        assert!(
            problem.starts_with("it is not valid YAML at line "),
            "{problem}"
        );
        assert!(!problem.contains("s3cret"), "{problem}");

        let twice = parse_text("s3cret: 1\ns3cret: 2\n").problems.concat();
        assert!(
            twice.starts_with("a key is there again at line 2"),
            "{twice}"
        );
        assert!(!twice.contains("s3cret"), "{twice}");
    }

    #[test]
    fn customer_and_profile_survive_a_mistake_elsewhere() {
        let broken = "customer:\n  # who\n  name: \"airbnb\"\n\n\
                      mongodb:\n  password: \"s3cret\n\n\
                      aws:\n  region: us-east-2\n  profile: team-a\n";
        for text in [broken.to_owned(), format!("\u{feff}{broken}")] {
            let fields = parse_text(&text);
            assert_eq!(fields.customer.as_deref(), Some("airbnb"));
            assert_eq!(fields.profile.as_deref(), Some("team-a"));
            assert_eq!(fields.problems.len(), 1);
        }
    }

    #[test]
    fn salvages_nothing_but_a_plain_name_in_its_section() {
        for odd in [
            "customer:\n  name: [airbnb\n",
            "customer:\nname: airbnb\n[",
            "other:\n  name: airbnb\n[",
            "customer:\n  name: a b\n[",
        ] {
            let fields = parse_text(odd);
            assert_eq!(fields.customer, None, "{odd}");
            assert_eq!(fields.problems.len(), 1, "{odd}");
        }
    }

    #[test]
    fn names_three_duplicate_keys_and_counts_the_others() {
        let problems = parse_text(&"name: x\n".repeat(8)).problems;
        assert_eq!(problems.len(), 4);
        assert_eq!(problems[3], "it has 4 more keys or tags of this kind");
    }

    #[test]
    fn names_a_section_that_is_not_a_mapping() {
        for text in ["customer: acme\n", "customer: [name, acme]\n"] {
            let problems = parse_text(text).problems;
            let problem = "its customer is not a mapping of keys to values";
            assert_eq!(problems, [problem], "{text}");
        }
        for text in ["customer:\n", "customer: {}\n", "x: y\n"] {
            assert_eq!(parse_text(text).problems, Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn names_what_is_not_a_mapping() {
        for (text, problem) in [
            ("", "it is empty"),
            ("just text", "it is not a mapping of keys to values"),
            ("[a]", "it is not a mapping of keys to values"),
            ("# a comment", "it is not a mapping of keys to values"),
        ] {
            let problems = parse_text(text).problems;
            assert_eq!(problems, [problem], "{text}");
        }
    }
}
