//! Which credentials a request was made with, so that a late upload never names another person.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use serde::{Deserialize, Serialize};

use crate::digest::{SHORT_DIGEST_HEX_DIGITS, short_digest};
use crate::system::env::env_var;

/// The start of the SHA-256 of an access key's id, in hex. The id itself names an account and is
/// not for plans and states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialsId(String);

impl CredentialsId {
    fn of_access_key(access_key_id: &str) -> Self {
        Self(short_digest(access_key_id.as_bytes()))
    }

    /// Parses what [`CredentialsId::as_str`] returned; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id =
            text.len() == SHORT_DIGEST_HEX_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The access key of the environment, if there is one.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        let access_key_id = env_var("AWS_ACCESS_KEY_ID")?;
        Some(Self::of_access_key(&access_key_id))
    }
}

/// The id of the credentials that the SDK loaded last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObservedCredentialsId(Arc<Mutex<Option<CredentialsId>>>);

impl ObservedCredentialsId {
    /// `None` if no credentials were loaded.
    pub(crate) fn get(&self) -> Option<CredentialsId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, id: CredentialsId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }
}

/// Provides the credentials of another provider and notes which ones.
pub(crate) struct ObservedCredentials {
    provider: SharedCredentialsProvider,
    observed: ObservedCredentialsId,
}

impl ObservedCredentials {
    pub(crate) fn new(
        provider: SharedCredentialsProvider,
        observed: ObservedCredentialsId,
    ) -> Self {
        Self { provider, observed }
    }

    async fn load(&self) -> provider::Result {
        let credentials = self.provider.provide_credentials().await?;
        let id = CredentialsId::of_access_key(credentials.access_key_id());
        self.observed.set(id);
        Ok(credentials)
    }
}

impl ProvideCredentials for ObservedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl fmt::Debug for ObservedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedCredentials")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_access_keys_apart_and_does_not_contain_them() {
        let id = CredentialsId::of_access_key("AKIAIOSFODNN7EXAMPLE");
        // printf AKIAIOSFODNN7EXAMPLE | sha256sum
        assert_eq!(id.as_str(), "1a5d44a2dca19669");
        assert_ne!(id, CredentialsId::of_access_key("AKIAIOSFODNN7EXAMPLF"));
        assert_eq!(CredentialsId::parse(id.as_str()), Some(id));
        for text in ["", "AKIAIOSFODNN7EXA", "0123456789abcdef0"] {
            assert_eq!(CredentialsId::parse(text), None);
        }
    }
}
