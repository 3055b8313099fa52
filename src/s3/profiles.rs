//! What the AWS config and credentials files say about a profile, beyond what the SDK reports.
//!
//! Must not hold the secrets in these files.

use std::path::PathBuf;

use aws_config::profile::{self, ProfileFileLoadError, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::{Error, ErrorKind};

/// A profile with one of these settings says where its credentials come from.
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

/// The profile that was asked for by name, or the default profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AwsProfile {
    /// `None` for the default profile.
    pub(crate) name: Option<String>,
    pub(crate) is_defined: bool,
    /// A profile that only sets a region, as CI often has it, has none.
    pub(crate) has_credential_source: bool,
    pub(crate) has_mfa_serial: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
}

impl AwsProfile {
    /// Reads the AWS config files. An empty `name` stands for the default profile.
    ///
    /// # Errors
    /// The files cannot be parsed and a profile is named. Without a name the environment may
    /// have credentials, so the SDK decides.
    pub(crate) async fn load(name: &str) -> Result<Self, Error> {
        let profiles = load_profiles(&Fs::real(), &Env::real()).await;
        match profiles {
            Ok(profiles) => Ok(Self::find(&profiles, name)),
            Err(_) if name.is_empty() => Ok(Self::default()),
            Err(error) => {
                let message = format!("cannot read the AWS profile `{name}`: {error}");
                let hint = "correct the AWS config or credentials file";
                Err(Error::new(ErrorKind::Credentials, message, hint))
            }
        }
    }

    fn find(profiles: &ProfileSet, name: &str) -> Self {
        let is_named = !name.is_empty();
        let name = if is_named {
            name
        } else {
            profiles.selected_profile()
        };
        let mut found = Self {
            name: is_named.then(|| name.to_owned()),
            ..Self::default()
        };
        let Some(profile) = profiles.get_profile(name) else {
            return found;
        };

        let is_set = |key: &str| profile.get(key).is_some_and(|value| !value.is_empty());
        found.is_defined = true;
        found.has_credential_source = CREDENTIAL_SOURCES.iter().any(|key| is_set(key));
        found.has_mfa_serial = is_set("mfa_serial");
        if is_set("ca_bundle") {
            found.ca_bundle = profile.get("ca_bundle").map(PathBuf::from);
        }
        found
    }

    /// Whether to use the credentials of this profile, or those of the environment.
    ///
    /// A CI runner has credentials in its environment, but none of the profiles that people
    /// name in their configs.
    ///
    /// # Errors
    /// There are neither.
    pub(crate) fn provides_credentials(&self) -> Result<bool, Error> {
        let Some(name) = &self.name else {
            return Ok(false);
        };
        let has_env_credentials = crate::system::env::has_env_credentials();
        if self.is_defined {
            return Ok(self.has_credential_source || !has_env_credentials);
        }
        if name == "default" || has_env_credentials {
            return Ok(false);
        }
        let message = format!(
            "cannot find the AWS profile `{name}`: it is not in the AWS config or credentials file"
        );
        let hint = format!(
            "create it, as with `aws configure sso --profile {name}`, \
             or correct aws.profile in config.yaml"
        );
        Err(Error::new(ErrorKind::Credentials, message, hint))
    }
}

#[allow(clippy::default_trait_access)] // the type's crate is not a direct dependency
async fn load_profiles(fs: &Fs, env: &Env) -> Result<ProfileSet, ProfileFileLoadError> {
    profile::load(fs, env, &Default::default(), None).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::runtime::block_on;

    fn find_in(config: &str, credentials: &str, name: &str) -> AwsProfile {
        let fs = Fs::from_slice(&[("config", config), ("credentials", credentials)]);
        let env = Env::from_slice(&[
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ]);
        let profiles = block_on(load_profiles(&fs, &env)).expect("a runtime");
        AwsProfile::find(&profiles.expect("profiles"), name)
    }

    const CONFIG: &str = "[default]\nregion = x\n\
        [profile  field-team]\nmfa_serial=arn:aws:iam::1:mfa/jane\n\
        s3 =\n  ca_bundle = nested\nca_bundle = /etc/corp.pem\n\
        [sso-session corp]\nsso_region = x\n\
        [profile team] # comment\nca_bundle=\n";

    #[test]
    fn profiles_are_found_in_both_files() {
        let credentials = "[jane]\naws_access_key_id = AKIA\n";
        for (name, is_defined) in [
            ("", true),
            ("default", true),
            ("field-team", true),
            ("team", true),
            ("jane", true),
            ("corp", false),
            ("field", false),
            ("profile", false),
        ] {
            let profile = find_in(CONFIG, credentials, name);
            assert_eq!(profile.is_defined, is_defined, "{name}");
            assert_eq!(profile.name.is_some(), !name.is_empty());
        }
    }

    #[test]
    fn a_profile_may_have_no_credential_source() {
        for (config, has_source) in [
            (
                "[profile ci]\nregion = eu-west-1\noutput=json\n\
                 [profile other]\naws_access_key_id = AKIA\n",
                false,
            ),
            ("[profile ci]\naws_access_key_id =\n", false),
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
            let profile = find_in(config, "", "ci");
            assert!(profile.is_defined);
            assert_eq!(profile.has_credential_source, has_source, "{config}");
        }
    }

    #[test]
    fn settings_are_those_of_the_profile_itself() {
        let profile = find_in(CONFIG, "", "field-team");
        assert!(profile.has_mfa_serial);
        assert_eq!(profile.ca_bundle, Some("/etc/corp.pem".into()));

        for name in ["", "team"] {
            let profile = find_in(CONFIG, "", name);
            assert!(!profile.has_mfa_serial);
            assert_eq!(profile.ca_bundle, None, "{name}");
        }
    }
}
