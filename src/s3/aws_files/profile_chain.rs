//! The profile that is used, and the profiles that it takes its credentials from.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind};
use crate::s3::aws_files::note::{AwsFileLine, AwsFileNote};
use crate::s3::aws_files::profiles::{AwsFiles, ProfileSection};
use crate::s3::aws_files::section::DEFAULT_PROFILE;

/// A profile with one of these properties says where its credentials come from.
const CREDENTIAL_SOURCES: [&str; 8] = [
    "aws_access_key_id",
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "source_profile",
];
const VARIABLES_NOTE: &str = "AWS_PROFILE and AWS_DEFAULT_PROFILE differ: the aws CLI takes the latter, \
                              Terraform and config-backup the former";
const NAMED_SOURCES: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];

/// What the AWS files say about a profile, without its secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsProfile {
    pub name: String,
    /// Whether the profile was asked for by name. Otherwise it is that of `AWS_PROFILE`, or the
    /// default.
    pub is_requested: bool,
    pub content: ProfileContent,
    /// Whether a role of its chain asks for a second factor.
    pub has_mfa_serial: bool,
    /// Whether its chain begins with an access key in the files.
    pub access_key: FileAccessKey,
    pub ca_bundle: Option<PathBuf>,
    pub region: Option<String>,
    /// The names of the profiles that its credentials come from: itself first.
    pub(super) chain: Vec<String>,
    /// Why the chain is broken.
    pub(super) problem: Option<ChainProblem>,
    /// The lines at which other tools refuse a file.
    file_notes: Vec<AwsFileNote>,
    /// The lines of the chain that other tools read otherwise.
    chain_notes: Vec<AwsFileNote>,
    /// Whether the two variables that name a profile differ.
    variables_note: Option<String>,
    /// Where the files have something like this profile, if it is not defined.
    near_miss: Option<AwsFileNote>,
}

/// How much of a profile the AWS files have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProfileContent {
    #[default]
    NotDefined,
    /// It only sets a region, for example, as CI often has it.
    OnlySettings,
    /// It says where its credentials come from.
    CredentialSource,
}

/// The access key that a chain of profiles begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileAccessKey {
    #[default]
    None,
    /// Beside something that may take its place: a program, a login or a service.
    WithOtherSource,
    Only,
}

/// What is wrong with a profile of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainProblem {
    profile: String,
    line: AwsFileLine,
    /// A clause about the profile.
    text: String,
}

impl AwsProfile {
    /// Looks a profile up. An empty `requested` stands for the first of `environment_profiles`, the
    /// profiles that the environment names, or for the default.
    #[must_use]
    pub fn find(files: &AwsFiles, requested: &str, environment_profiles: &[String]) -> Self {
        let is_requested = !requested.is_empty();
        let name = match environment_profiles.first() {
            _ if is_requested => requested,
            Some(name) => name,
            None => DEFAULT_PROFILE,
        };
        let is_ambiguous = !is_requested && environment_profiles.iter().any(|other| other != name);
        let mut found = Self {
            name: name.to_owned(),
            is_requested,
            file_notes: files.notes.clone(),
            variables_note: is_ambiguous.then(|| VARIABLES_NOTE.to_owned()),
            ..Self::default()
        };
        let Some(profile) = files.find_profile(name) else {
            found.near_miss = files.explain_missing_profile(name);
            return found;
        };

        let has_source = has_credential_source(profile);
        found.content = if has_source {
            ProfileContent::CredentialSource
        } else {
            ProfileContent::OnlySettings
        };
        found.ca_bundle = profile.get("ca_bundle").map(PathBuf::from);
        found.region = profile.get("region").map(str::to_owned);
        let (chain, problem) = follow_chain(files, profile);
        found.access_key = chain
            .last()
            .map_or(FileAccessKey::None, |base| find_access_key(base));
        for link in chain {
            found.chain.push(link.name.clone());
            found.has_mfa_serial |= link.has("mfa_serial") && link.has("role_arn");
            found.chain_notes.extend(link.notes.iter().cloned());
            found.chain_notes.extend(ambiguity_note(link));
        }
        if has_source {
            found.problem = problem;
        }
        found
    }

    /// Whether its credentials are those of roles, which STS issues.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.chain.len() > 1
    }

    /// Whether to use the credentials of this profile, or those of the environment.
    ///
    /// A CI runner has credentials in its environment, but none of the profiles that people
    /// name in their configs.
    ///
    /// # Errors
    /// There are neither, or the profile's chain is broken.
    pub fn provides_credentials(&self, has_env_credentials: bool) -> Result<bool, Error> {
        let has_source = self.content == ProfileContent::CredentialSource;
        if has_env_credentials && (!self.is_requested || !has_source) {
            return Ok(false);
        }
        if let Some(problem) = &self.problem {
            return Err(self.chain_error(problem));
        }
        match self.content {
            ProfileContent::CredentialSource => return Ok(true),
            ProfileContent::OnlySettings => return Ok(self.is_requested),
            ProfileContent::NotDefined if self.name == DEFAULT_PROFILE => return Ok(false),
            ProfileContent::NotDefined => {}
        }
        Err(self.not_defined_error())
    }

    /// A line of the chain that other tools read otherwise: the likely cause if AWS does not know
    /// the credentials.
    #[must_use]
    pub fn suspect(&self) -> Option<&AwsFileNote> {
        self.chain_notes.first()
    }

    /// What other tools read otherwise, one clause for each line.
    #[must_use]
    pub fn describe_notes(&self) -> Vec<String> {
        let notes = self.file_notes.iter().chain(&self.chain_notes);
        let mut clauses: Vec<String> = notes.map(ToString::to_string).collect();
        clauses.extend(self.variables_note.clone());
        clauses
    }

    fn chain_error(&self, problem: &ChainProblem) -> Error {
        let ChainProblem {
            profile,
            line,
            text,
        } = problem;
        let through = if *profile == self.name {
            String::new()
        } else {
            format!(", which `{}` takes its credentials from", self.name)
        };
        let message = format!("cannot use the AWS profile `{profile}`{through}: {text}");
        let hint = match self.suspect().or(self.file_notes.first()) {
            Some(note) => format!("correct {line}; {note}"),
            None => format!("correct {line}"),
        };
        Error::new(ErrorKind::Credentials, message, hint)
    }

    fn not_defined_error(&self) -> Error {
        let name = &self.name;
        let origin = if self.is_requested {
            ""
        } else {
            " that AWS_PROFILE names"
        };
        let message = format!(
            "cannot find the AWS profile `{name}`{origin}: \
             it is not in the AWS config or credentials file"
        );
        let hint = match &self.near_miss {
            Some(note) => note.to_string(),
            None => format!(
                "create it, as with `aws configure sso --profile {name}`, \
                 or correct aws.profile in config.yaml"
            ),
        };
        Error::new(ErrorKind::Credentials, message, hint)
    }
}

fn has_credential_source(profile: &ProfileSection) -> bool {
    CREDENTIAL_SOURCES.iter().any(|name| profile.has(name))
}

fn find_access_key(profile: &ProfileSection) -> FileAccessKey {
    const OTHER_SOURCES: [&str; 7] = [
        "credential_process",
        "credential_source",
        "login_session",
        "sso_account_id",
        "sso_role_name",
        "sso_session",
        "web_identity_token_file",
    ];
    let has_other_source = OTHER_SOURCES.iter().any(|name| profile.has(name));
    match (profile.has_access_key(), has_other_source) {
        (false, _) => FileAccessKey::None,
        (true, true) => FileAccessKey::WithOtherSource,
        (true, false) => FileAccessKey::Only,
    }
}

/// Whether a profile of a chain assumes its role. The aws CLI and Terraform take the access key of
/// a source profile, even if that has a role, too.
pub(super) fn assumes_role(profile: &ProfileSection, is_first: bool) -> bool {
    let is_chained = profile.has("role_arn") && !profile.has("web_identity_token_file");
    is_chained && (is_first || !profile.has_access_key())
}

/// The profiles that the credentials of `first` come from, and what is wrong with the last of them.
fn follow_chain<'a>(
    files: &'a AwsFiles,
    first: &'a ProfileSection,
) -> (Vec<&'a ProfileSection>, Option<ChainProblem>) {
    let mut chain = vec![first];
    loop {
        let profile = chain[chain.len() - 1];
        let is_first = chain.len() == 1;
        if !assumes_role(profile, is_first) {
            let problem = base_problem(files, profile, is_first);
            return (chain, problem);
        }
        let next = match find_source(files, profile) {
            Ok(Some(next)) => next,
            Ok(None) => return (chain, None),
            Err(text) => return (chain, Some(problem_of(profile, text))),
        };
        if chain.iter().any(|link| link.name == next.name) {
            let text = format!("its source_profile `{}` leads back to itself", next.name);
            return (chain, Some(problem_of(profile, text)));
        }
        chain.push(next);
    }
}

/// The profile whose credentials assume the role of `profile`; `None` if `profile` has them itself.
fn find_source<'a>(
    files: &'a AwsFiles,
    profile: &'a ProfileSection,
) -> Result<Option<&'a ProfileSection>, String> {
    match (
        profile.get("source_profile"),
        profile.get("credential_source"),
    ) {
        (Some(_), Some(_)) => Err(
            "it has source_profile and credential_source, of which there may be only one".into(),
        ),
        (None, None) => {
            Err("it has a role_arn, but neither source_profile nor credential_source".into())
        }
        (None, Some(source)) if NAMED_SOURCES.contains(&source) => Ok(None),
        (None, Some(_)) => Err(format!(
            "its credential_source is none of {}",
            NAMED_SOURCES.join(", ")
        )),
        (Some(name), None) if name == profile.name => {
            if has_base_credentials(profile) {
                Ok(None)
            } else {
                Err("it is its own source_profile, but has no credentials".into())
            }
        }
        (Some(name), None) => match files.find_profile(name) {
            Some(next) => Ok(Some(next)),
            None => Err(match files.explain_missing_profile(name) {
                Some(note) => format!("its source_profile `{name}` does not exist: {note}"),
                None => format!("its source_profile `{name}` does not exist"),
            }),
        },
    }
}

fn has_base_credentials(profile: &ProfileSection) -> bool {
    const BASE_SOURCES: [&str; 5] = [
        "aws_access_key_id",
        "credential_process",
        "login_session",
        "sso_account_id",
        "sso_session",
    ];
    BASE_SOURCES.iter().any(|name| profile.has(name))
}

/// What is wrong with the end of a chain.
fn base_problem(
    files: &AwsFiles,
    profile: &ProfileSection,
    is_first: bool,
) -> Option<ChainProblem> {
    let text = if profile.has("web_identity_token_file") {
        (!profile.has("role_arn")).then(|| "it has web_identity_token_file, but no role_arn".into())
    } else if profile.has("aws_access_key_id") != profile.has("aws_secret_access_key") {
        Some("it has only one of aws_access_key_id and aws_secret_access_key".into())
    } else if is_sso_profile(profile) {
        sso_problem(files, profile)
    } else if !is_first && !has_credential_source(profile) {
        Some("it has no credentials".into())
    } else {
        None
    };
    text.map(|text| problem_of(profile, text))
}

fn is_sso_profile(profile: &ProfileSection) -> bool {
    profile.has("sso_session") || profile.has("sso_account_id") || profile.has("sso_role_name")
}

fn sso_problem(files: &AwsFiles, profile: &ProfileSection) -> Option<String> {
    let mut missing = vec!["sso_account_id", "sso_role_name"];
    if let Some(name) = profile.get("sso_session") {
        let Some(session) = files.find_sso_session(name) else {
            return Some(format!("there is no [sso-session {name}]"));
        };
        for setting in ["sso_start_url", "sso_region"] {
            let Some(value) = session.get(setting) else {
                return Some(format!("its [sso-session {name}] has no {setting}"));
            };
            if profile.get(setting).is_some_and(|own| own != value) {
                return Some(format!("its {setting} is not that of [sso-session {name}]"));
            }
        }
    } else {
        missing.extend(["sso_start_url", "sso_region"]);
    }
    missing.retain(|name| !profile.has(name));
    let first = missing.first()?;
    Some(format!("it logs in with SSO, but has no {first}"))
}

/// Names a profile whose credentials depend on the tool that reads it.
fn ambiguity_note(profile: &ProfileSection) -> Option<AwsFileNote> {
    if !profile.has_access_key() {
        return None;
    }
    let is_in_credentials = |name: &str| profile.in_credentials_file.contains(name);
    if is_in_credentials("aws_access_key_id") != is_in_credentials("aws_secret_access_key") {
        let text = "has one half of an access key whose other half is in the other file, \
                    which the aws CLI refuses";
        return Some(AwsFileNote::new(profile.line.clone(), text));
    }
    let is_in_config = !is_in_credentials("aws_access_key_id");
    let other = if is_sso_profile(profile) {
        "SSO"
    } else if profile.has("web_identity_token_file") {
        "a web identity"
    } else if profile.has("credential_source") {
        "credential_source"
    } else if profile.has("credential_process") && is_in_config {
        "credential_process"
    } else {
        return None;
    };
    let name = &profile.name;
    let text = format!(
        "gives the profile `{name}` an access key beside {other}: \
         Terraform takes the access key, the aws CLI and config-backup the other"
    );
    Some(AwsFileNote::new(profile.line.clone(), text))
}

fn problem_of(profile: &ProfileSection, text: String) -> ChainProblem {
    ChainProblem {
        profile: profile.name.clone(),
        line: profile.line.clone(),
        text,
    }
}
