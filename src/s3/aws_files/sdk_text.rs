//! The files as the SDK understands them: one config file with the merged profiles.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::s3::aws_files::ini::IniProperty;
use crate::s3::aws_files::profile_chain::{AwsProfile, assumes_role};
use crate::s3::aws_files::profiles::{AwsFiles, ProfileSection};

/// How the roles of a chain are assumed.
#[derive(Debug, Clone, Copy)]
pub struct RoleChain<'a> {
    /// The name that the SDK knows the provider of the first credentials by.
    pub base_source: &'a str,
    /// The session name of the roles that have none.
    pub session_name: &'a str,
}

impl AwsProfile {
    /// The name of the profile in the text for the SDK.
    #[must_use]
    pub fn sdk_name(&self) -> Cow<'_, str> {
        sdk_name(&self.name)
    }

    /// Whether the profile assumes a role whose session has no name of its own.
    #[must_use]
    pub fn needs_session_name(&self, files: &AwsFiles) -> bool {
        let mut links = self.links(files);
        links.any(|(profile, is_first)| {
            assumes_role(profile, is_first) && !profile.has("role_session_name")
        })
    }

    /// Whether the profile, or one that it takes its credentials from, assumes a role.
    #[must_use]
    pub fn assumes_role(&self, files: &AwsFiles) -> bool {
        let mut links = self.links(files);
        links.any(|(profile, is_first)| assumes_role(profile, is_first))
    }

    /// The `credential_process` that the first credentials come from. The sources that precede it
    /// are those that the SDK knows.
    #[must_use]
    pub fn credential_process<'a>(&'a self, files: &'a AwsFiles) -> Option<&'a str> {
        const EARLIER_SOURCES: [&str; 8] = [
            "credential_source",
            "web_identity_token_file",
            "sso_session",
            "sso_account_id",
            "sso_role_name",
            "sso_start_url",
            "sso_region",
            "login_session",
        ];
        let (profile, is_first) = self.links(files).last()?;
        if EARLIER_SOURCES.iter().any(|name| profile.has(name))
            || is_left_out(files, profile, "credential_process", is_first)
        {
            return None;
        }
        profile.get("credential_process")
    }

    fn links<'a>(
        &'a self,
        files: &'a AwsFiles,
    ) -> impl Iterator<Item = (&'a ProfileSection, bool)> {
        let profiles = self
            .chain
            .iter()
            .filter_map(|name| files.find_profile(name));
        profiles
            .enumerate()
            .map(|(index, profile)| (profile, index == 0))
    }

    /// All profiles, as a config file for the SDK.
    #[must_use]
    pub fn to_sdk_text(&self, files: &AwsFiles) -> String {
        let mut text = SdkText::default();
        for profile in &files.profiles {
            let is_first = self.chain.first() == Some(&profile.name);
            let is_kept = |name: &str| !is_left_out(files, profile, name, is_first);
            text.add_profile(&sdk_name(&profile.name), profile, is_kept);
        }
        text.add_shared_sections(files);
        text.0
    }

    /// The last profile of the chain without its role, as a config file in which it is the profile
    /// that [`AwsProfile::sdk_name`] names.
    #[must_use]
    pub fn base_sdk_text(&self, files: &AwsFiles) -> String {
        let mut text = SdkText::default();
        let Some((profile, is_first)) = self.links(files).last() else {
            return text.0;
        };
        let keeps_role = profile.has("web_identity_token_file");
        let is_kept = |name: &str| {
            let is_role = matches!(name, "role_arn" | "source_profile");
            (keeps_role || !is_role) && !is_left_out(files, profile, name, is_first)
        };
        text.add_profile(&self.sdk_name(), profile, is_kept);
        text.add_shared_sections(files);
        text.0
    }

    /// The chain as a config file whose first credentials come from `roles.base_source`.
    #[must_use]
    pub fn role_sdk_text(&self, files: &AwsFiles, roles: RoleChain<'_>) -> String {
        let mut text = SdkText::default();
        let count = self.chain.len();
        for (index, (profile, is_first)) in self.links(files).enumerate() {
            text.start_section("profile", &sdk_name(&profile.name));
            let is_last = index + 1 == count;
            if assumes_role(profile, is_first) {
                for name in ["role_arn", "external_id"] {
                    text.add(name, profile.get(name).unwrap_or_default());
                }
                let session_name = profile.get("role_session_name");
                text.add(
                    "role_session_name",
                    session_name.unwrap_or(roles.session_name),
                );
            }
            if is_last {
                text.add("credential_source", roles.base_source);
            } else if let Some(next) = self.chain.get(index + 1) {
                text.add("source_profile", &sdk_name(next));
            }
        }
        text.0
    }
}

/// Whether the SDK must not see a property, so that it decides as other tools do.
fn is_left_out(files: &AwsFiles, profile: &ProfileSection, name: &str, is_first: bool) -> bool {
    let has_key_in_credentials_file =
        profile.has_access_key() && profile.in_credentials_file.contains("aws_access_key_id");
    match name {
        "role_arn" => !is_first && profile.has_access_key(),
        "credential_process" => has_key_in_credentials_file,
        "sso_start_url" | "sso_region" => match profile.get("sso_session") {
            Some(session) => files.find_sso_session(session).is_some(),
            None => false,
        },
        _ => false,
    }
}

/// The SDK ignores profiles whose names have other characters than these, so they get another name.
fn sdk_name(name: &str) -> Cow<'_, str> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c);
    if name.chars().all(is_known) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("hex:{}", hex::encode(name)))
    }
}

#[derive(Default)]
struct SdkText(String);

impl SdkText {
    fn add_profile(
        &mut self,
        name: &str,
        profile: &ProfileSection,
        is_kept: impl Fn(&str) -> bool,
    ) {
        self.start_section("profile", name);
        for property in profile.properties.values() {
            if is_kept(&property.name) {
                self.add_property(property);
            }
        }
    }

    fn add_shared_sections(&mut self, files: &AwsFiles) {
        for section in &files.shared {
            self.start_section(section.kind, &section.name);
            for property in &section.properties {
                self.add_property(property);
            }
        }
    }

    fn start_section(&mut self, kind: &str, name: &str) {
        let _ = writeln!(self.0, "[{kind} {name}]");
    }

    /// The SDK takes an empty value for a value.
    fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.0, "{name} = {value}");
        }
    }

    fn add_property(&mut self, property: &IniProperty) {
        let IniProperty {
            name,
            value,
            nested,
        } = property;
        if name == "source_profile" {
            self.add(name, &sdk_name(value));
        } else {
            self.add(name, value);
        }
        if value.is_empty() && !nested.is_empty() {
            let _ = writeln!(self.0, "{name} =");
            for (name, value) in nested {
                let _ = writeln!(self.0, "  {name} = {value}");
            }
        }
    }
}
