//! The AWS profiles of this machine, as far as the SDK does not tell: whether one exists, and single settings of it.
//!
//! Must never hold what is secret in these files.

use std::path::{Path, PathBuf};

use crate::system::host;

/// Whether a profile stands in the AWS config or credentials file. One that cannot be read has no profile.
#[must_use]
pub fn profile_exists(profile: &str) -> bool {
    files().any(|text| section(&text, profile).is_some())
}

/// Settings of which one says where a profile's credentials come from.
const SOURCES: [&str; 8] = [
    "aws_access_key_id",
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "source_profile",
];

/// Whether a profile says where its credentials come from; one of a region alone, as CI often has it, does not.
#[must_use]
pub fn has_credential_source(profile: &str) -> bool {
    files().any(|text| section(&text, profile).is_some_and(has_source))
}

fn has_source(section: &str) -> bool {
    SOURCES.iter().any(|key| value(section, key).is_some())
}

/// A setting of a profile; `None` where it has none.
#[must_use]
pub fn profile_setting(profile: &str, key: &str) -> Option<String> {
    files().find_map(|text| value(section(&text, profile)?, key))
}

/// The profile whose settings count where none is named.
#[must_use]
pub fn default_profile() -> String {
    host::env_var("AWS_PROFILE").unwrap_or_else(|| "default".to_owned())
}

/// The contents of the AWS config and credentials files.
fn files() -> impl Iterator<Item = String> {
    let home = host::env_var("HOME").unwrap_or_default();
    let file = |name: &str, default: &str| {
        host::env_var(name).map_or_else(|| Path::new(&home).join(default), PathBuf::from)
    };
    let paths = [
        file("AWS_CONFIG_FILE", ".aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ];
    paths
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
}

/// The lines of a profile, behind its head.
fn section<'a>(text: &'a str, profile: &str) -> Option<&'a str> {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, tail) = rest.split_once('\n').unwrap_or((rest, ""));
        if head(line).is_some_and(|name| name == profile) {
            return Some(tail);
        }
        rest = tail;
    }
    None
}

/// The profile whose section a line begins, if it begins one.
fn head(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('[')?.split_once(']')?.0.trim();
    Some(
        name.strip_prefix("profile")
            .filter(|rest| rest.starts_with([' ', '\t']))
            .map_or(name, str::trim),
    )
}

fn value(section: &str, key: &str) -> Option<String> {
    let lines = section
        .lines()
        .take_while(|line| !line.trim_start().starts_with('['));
    // Indented lines belong to a nested setting.
    let mut pairs = lines
        .filter(|line| !line.starts_with([' ', '\t']))
        .filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = x\n[profile  field-team]\nmfa_serial=arn:aws:iam::1:mfa/jane\ns3 =\n  ca_bundle = nested\n\
                          ca_bundle = /etc/corp.pem\n[ sso-session corp ]\n[team] # comment\nca_bundle=\n";

    #[test]
    fn profiles_are_found_in_both_spellings() {
        for (profile, found) in [
            ("default", true),
            ("field-team", true),
            ("team", true),
            ("corp", false),
            ("field", false),
            ("profile", false),
        ] {
            assert_eq!(section(CONFIG, profile).is_some(), found, "{profile}");
        }
    }

    #[test]
    fn a_profile_may_be_of_settings_alone() {
        for (text, brings) in [
            (
                "[ci]\nregion = eu-west-1\noutput=json\n[other]\naws_access_key_id = AKIA\n",
                false,
            ),
            ("[ci]\n aws_access_key_id = indented\n", false),
            (
                "[profile ci]\nregion = eu-west-1\naws_access_key_id = AKIA\n",
                true,
            ),
            ("[profile ci]\nsso_session = corp\n", true),
            (
                "[profile ci]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = base\n",
                true,
            ),
        ] {
            assert_eq!(
                has_source(section(text, "ci").expect("a profile")),
                brings,
                "{text}"
            );
        }
    }

    #[test]
    fn a_setting_is_the_profiles_own() {
        let setting = |profile, key| value(section(CONFIG, profile).expect("a profile"), key);
        assert_eq!(
            setting("field-team", "mfa_serial").as_deref(),
            Some("arn:aws:iam::1:mfa/jane")
        );
        assert_eq!(
            setting("field-team", "ca_bundle").as_deref(),
            Some("/etc/corp.pem")
        );
        assert_eq!(
            (
                setting("default", "mfa_serial"),
                setting("team", "ca_bundle"),
                setting("team", "region")
            ),
            (None, None, None)
        );
    }
}
