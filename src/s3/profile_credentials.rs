//! The credentials of a profile of the AWS config files.
//!
//! A role that the profile assumes gets a session name that stays the same, because the usage record
//! names the person by it. The SDK would make up another name for each deployment.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use crate::s3::aws_files::profile_chain::AwsProfile;
use crate::s3::aws_files::profiles::AwsFiles;
use crate::s3::aws_files::sdk_text::RoleChain;
use crate::s3::caller::user_name_from_arn;
use crate::s3::credential_process::run_credential_process;
use crate::system::env::user_at_host;

/// The name by which the SDK knows the credentials that the first role is assumed with.
const BASE_SOURCE: &str = "ConfigBackupBase";
/// The longest session name that STS accepts.
const MAX_SESSION_NAME_CHARS: usize = 64;

pub(super) struct ProfileCredentials {
    pub(super) files: AwsFiles,
    pub(super) profile: AwsProfile,
    /// `files` as the SDK understands them.
    pub(super) profile_files: EnvConfigFiles,
    pub(super) settings: ProviderConfig,
    /// For the request that asks who assumes the roles.
    pub(super) sts_config: SdkConfig,
    pub(super) max_identity_time: Duration,
}

/// The text of a config file, in place of the files.
pub(super) fn sdk_files(text: String) -> EnvConfigFiles {
    let files = EnvConfigFiles::builder();
    files.with_contents(EnvConfigFileKind::Config, text).build()
}

impl ProfileCredentials {
    async fn load(&self) -> provider::Result {
        let needs_session_name = self.profile.needs_session_name(&self.files);
        let base = if let Some(process) = self.profile.credential_process(&self.files) {
            // The SDK would not end it with all that it started.
            run_credential_process(process).await?
        } else if needs_session_name {
            let base_text = self.profile.base_sdk_text(&self.files);
            let base = self.provider(sdk_files(base_text)).build();
            base.provide_credentials().await?
        } else {
            let provider = self.provider(self.profile_files.clone());
            return provider.build().provide_credentials().await;
        };
        if !self.profile.assumes_role(&self.files) {
            return Ok(base);
        }
        let session_name = if needs_session_name {
            self.find_session_name(&base).await
        } else {
            String::new()
        };
        let roles = RoleChain {
            base_source: BASE_SOURCE,
            session_name: &session_name,
        };
        let text = self.profile.role_sdk_text(&self.files, roles);
        let provider = self.provider(sdk_files(text));
        let provider = provider.with_custom_provider(BASE_SOURCE, base);
        provider.build().provide_credentials().await
    }

    fn provider(&self, files: EnvConfigFiles) -> aws_config::profile::credentials::Builder {
        ProfileFileCredentialsProvider::builder()
            .configure(&self.settings)
            .profile_files(files)
            .profile_name(self.profile.sdk_name())
    }

    /// Who assumes the role, or `user@host` if STS does not tell in time.
    async fn find_session_name(&self, base: &Credentials) -> String {
        let credentials = SharedCredentialsProvider::new(base.clone());
        let config = self.sts_config.to_builder();
        let config = config.credentials_provider(credentials).build();
        let sts = aws_sdk_sts::Client::new(&config);
        let request = sts.get_caller_identity().send();
        let answer = tokio::time::timeout(self.max_identity_time, request).await;
        let arn = match answer {
            Ok(Ok(identity)) => identity.arn,
            Ok(Err(_)) | Err(_) => None,
        };
        let name = match &arn {
            Some(arn) => user_name_from_arn(arn).to_owned(),
            None => user_at_host(),
        };
        to_session_name(&name)
    }
}

impl ProvideCredentials for ProfileCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

/// Without the secrets of the files.
impl fmt::Debug for ProfileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileCredentials")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A name in the characters that STS accepts, of 2 to 64 of them.
fn to_session_name(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let mut session_name = String::new();
    for character in name.chars().take(MAX_SESSION_NAME_CHARS) {
        session_name.push(if is_allowed(character) {
            character
        } else {
            '-'
        });
    }
    while session_name.len() < 2 {
        session_name.push('-');
    }
    session_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_have_the_characters_of_sts() {
        for (name, session_name) in [
            ("john.doe", "john.doe"),
            ("jane@laptop", "jane@laptop"),
            ("Jörg Müller", "J-rg-M-ller"),
            ("x", "x-"),
        ] {
            assert_eq!(to_session_name(name), session_name);
        }
        assert_eq!(to_session_name(&"x".repeat(80)).len(), 64);
    }
}
