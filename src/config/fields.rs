//! What `config.yaml` says about the deployment: a handful of scalars out of a file full of secrets.
//!
//! Pure. Must never put a value of the file into a message: only the names of keys we know, and line numbers.

use crate::config::yaml_lookup::{self, FieldValue};

/// The most that is parsed, in bytes; a larger file is backed up all the same, without its facts.
const MAX_PARSED_CONFIG_BYTES: usize = 1 << 20;
/// Where the facts are.
const FIELD_PATHS: [(&str, &str); 5] = [
    ("customer", "name"),
    ("aws", "profile"),
    ("mongodb", "project_name"),
    ("mongodb", "cluster_name"),
    ("mongodb", "additional_users_count"),
];

/// The facts of one config; what is missing is empty, and what is unusable is named in `problems` as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFields {
    /// `customer.name`
    pub customer: String,
    /// `aws.profile`
    pub profile: String,
    /// `mongodb.project_name`
    pub project_name: String,
    /// `mongodb.cluster_name`
    pub cluster_name: String,
    /// `mongodb.additional_users_count`
    pub additional_users_count: Option<u64>,
    /// What is wrong with the file, one phrase each, without any of its values.
    pub problems: Vec<String>,
}

/// Reads the facts out of a config's bytes; never fails, see [`Facts::problems`].
#[must_use]
pub fn parse_config_fields(bytes: &[u8]) -> ConfigFields {
    let mut facts = ConfigFields::default();
    let values = match look_up_fields(bytes) {
        Ok(values) => values,
        Err(problem) => {
            facts.problems.push(problem);
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_PARSED_CONFIG_BYTES)]);
            facts.customer = salvage_plain_value(&text, "customer", "name").unwrap_or_default();
            facts.profile = salvage_plain_value(&text, "aws", "profile").unwrap_or_default();
            return facts;
        }
    };
    let problems = &mut facts.problems;
    let [
        customer,
        profile,
        project_name,
        cluster_name,
        additional_users_count,
    ] = values;
    facts.customer = text_field(customer, FIELD_PATHS[0], problems);
    facts.profile = text_field(profile, FIELD_PATHS[1], problems);
    facts.project_name = text_field(project_name, FIELD_PATHS[2], problems);
    facts.cluster_name = text_field(cluster_name, FIELD_PATHS[3], problems);
    facts.additional_users_count = count_field(&additional_users_count, FIELD_PATHS[4], problems);
    facts
}

fn look_up_fields(bytes: &[u8]) -> Result<[FieldValue; 5], String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    if bytes.len() > MAX_PARSED_CONFIG_BYTES {
        return Err(format!(
            "it has {} bytes, and at most {MAX_PARSED_CONFIG_BYTES} are read for the usage record",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()]
            .split(|byte| *byte == b'\n')
            .count();
        format!("it is not valid UTF-8 at line {line}")
    })?;
    yaml_lookup::look_up_values(text, FIELD_PATHS)
}

/// A plain name out of a file that is no YAML as a whole: without the profile it could not even be backed up.
/// Takes `key: name` in the lines below `section:`, and nothing that needs a parser to be understood.
fn salvage_plain_value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .skip_while(|line| line.trim_end().strip_suffix(':') != Some(section))
        .skip(1);
    let mut value = lines
        .by_ref()
        .take_while(|line| line.starts_with([' ', '\t', '#']) || line.trim().is_empty());
    let value = value
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'))?
        .trim();
    let plain = value.trim_matches(['"', '\'']);
    let is_plain = !plain.is_empty()
        && plain
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_plain.then(|| plain.to_owned())
}

fn text_field(
    found: FieldValue,
    (section, key): (&str, &str),
    problems: &mut Vec<String>,
) -> String {
    match found {
        FieldValue::Text(text) if !text.trim().is_empty() => return text.trim().to_owned(),
        FieldValue::Number(number) => return number.to_string(),
        FieldValue::LargeInteger(number) => return number,
        FieldValue::Bool(flag) => return flag.to_string(),
        FieldValue::Absent => {}
        FieldValue::Text(_) | FieldValue::NotScalar => {
            problems.push(format!("its {section}.{key} is no text"));
        }
    }
    String::new()
}

fn count_field(
    found: &FieldValue,
    (section, key): (&str, &str),
    problems: &mut Vec<String>,
) -> Option<u64> {
    let number = match found {
        FieldValue::Absent => return None,
        FieldValue::Number(number) => number.as_u64(),
        FieldValue::Text(text) => text.trim().parse().ok(),
        FieldValue::LargeInteger(_) | FieldValue::Bool(_) | FieldValue::NotScalar => None,
    };
    if number.is_none() {
        problems.push(format!("its {section}.{key} is no whole number"));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE_CONFIG: &[u8] = include_bytes!("../../terragrunt/airbnb/config.yaml");

    #[test]
    fn the_sample_gives_its_facts() {
        let facts = parse_config_fields(SAMPLE_CONFIG);
        assert_eq!(facts.problems, Vec::<String>::new());
        assert_eq!(
            (facts.customer.as_str(), facts.profile.as_str()),
            ("airbnb", "default")
        );
        assert_eq!(
            (facts.project_name.as_str(), facts.cluster_name.as_str()),
            ("airbnb-project", "arena-cluster")
        );
        assert_eq!(facts.additional_users_count, Some(5));
    }

    #[test]
    fn what_is_mistyped_is_named_by_its_key_only() {
        let facts = parse_config_fields(b"customer:\n  name: [s3cret]\nmongodb:\n  additional_users_count: s3cret\n  project_name: 42\n");
        assert_eq!(
            (facts.customer.as_str(), facts.project_name.as_str()),
            ("", "42")
        );
        assert_eq!(
            parse_config_fields(b"customer: {name: ' '}\n").problems,
            ["its customer.name is no text"]
        );
        let problems = facts.problems.join("; ");
        assert_eq!(
            problems,
            "its customer.name is no text; its mongodb.additional_users_count is no whole number"
        );
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_none_above_it() {
        let config = |bytes: usize| {
            parse_config_fields(
                format!("customer: {{name: a}}\n#{}", "x".repeat(bytes - 21)).as_bytes(),
            )
        };
        assert_eq!(
            config(MAX_PARSED_CONFIG_BYTES).problems,
            Vec::<String>::new()
        );
        for bytes in [MAX_PARSED_CONFIG_BYTES + 1, MAX_PARSED_CONFIG_BYTES + 2] {
            let problem =
                format!("it has {bytes} bytes, and at most 1048576 are read for the usage record");
            assert_eq!(config(bytes).problems, [problem]);
        }
    }

    #[test]
    fn invalid_yaml_is_named_by_its_line_and_quotes_nothing() {
        let facts = parse_config_fields(b"customer:\n  name: airbnb\n  password: \"s3cret\n");
        assert_eq!(facts.problems.len(), 1);
        assert!(
            facts.problems[0].starts_with("it is not valid YAML at line "),
            "{:?}",
            facts.problems
        );
        assert!(!facts.problems[0].contains("s3cret"));
        let twice = parse_config_fields(b"s3cret: 1\ns3cret: 2\n")
            .problems
            .join("");
        assert!(
            twice.starts_with("it is not valid YAML") && !twice.contains("s3cret"),
            "{twice}"
        );
    }

    #[test]
    fn customer_and_profile_survive_a_mistake_elsewhere() {
        let broken = "customer:\n  # who\n  name: \"airbnb\"\n\nmongodb:\n  password: \"s3cret\n\naws:\n  region: us-east-2\n  profile: team-a\n";
        let facts = parse_config_fields(broken.as_bytes());
        assert_eq!(
            (
                facts.customer.as_str(),
                facts.profile.as_str(),
                facts.problems.len()
            ),
            ("airbnb", "team-a", 1)
        );
        assert_eq!(
            parse_config_fields(format!("\u{feff}{broken}").as_bytes()).customer,
            "airbnb",
            "a byte order mark is no part of the first key"
        );
        for odd in [
            "customer:\n  name: [airbnb\n",
            "customer:\nname: airbnb\n[",
            "other:\n  name: airbnb\n[",
            "customer:\n  name: a b\n[",
        ] {
            let facts = parse_config_fields(odd.as_bytes());
            assert_eq!(
                (facts.customer.as_str(), facts.problems.len()),
                ("", 1),
                "{odd}"
            );
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_parsed() {
        let brackets = format!("a: 1\nb: {}", "[".repeat(64_000));
        assert_eq!(
            parse_config_fields(brackets.as_bytes()).problems,
            ["it is nested deeper than 64 levels at line 2"]
        );
        assert_eq!(
            parse_config_fields("- ".repeat(65).as_bytes()).problems,
            ["it is nested deeper than 64 levels at line 1"]
        );
        let steps = (0..70)
            .map(|level| " ".repeat(level))
            .collect::<Vec<_>>()
            .join("k:\n")
            + "k:\n";
        assert_eq!(
            parse_config_fields(steps.as_bytes()).problems,
            ["it is nested deeper than 64 levels at line 65"]
        );
    }

    #[test]
    fn what_is_no_mapping_is_said_to_be_none() {
        for (bytes, problem) in [
            (&b""[..], "it is empty"),
            (b"just text", "it is no mapping of keys to values at line 1"),
            (b"a: 1\nb: \xff", "it is not valid UTF-8 at line 2"),
        ] {
            assert_eq!(parse_config_fields(bytes).problems, [problem]);
        }
    }
}
