//! The requests to S3 that only `doctor` makes: what a deployment does, and the bucket's settings.
//!
//! Must not judge the answers: `s3_results` and `bucket_settings` do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::types::{DefaultRetention, PublicAccessBlockConfiguration};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, ErrorKind};
use crate::s3::client::SdkSession;
use crate::s3::error::from_credentials_error;
use crate::s3::store::{ObjectStore, PutCondition, PutOutcome};
use crate::system::host;

/// What a request to list came to.
#[derive(Debug)]
pub(crate) struct ListProbe {
    pub(crate) result: Result<(), Error>,
    /// How far this machine's clock is ahead of S3's; known even if the answer is an error.
    pub(crate) clock_ahead: Option<TimeDelta>,
}

/// What a PUT came to, with what its answer says of the bucket.
#[derive(Debug, Clone)]
pub(crate) struct PutProbe {
    pub(crate) outcome: PutOutcome,
    /// `None` if the bucket keeps no versions.
    pub(crate) version_id: Option<String>,
    /// `None` if the answer does not say it.
    pub(crate) encryption: Option<String>,
}

/// Compares the date of each answer with this machine's clock, whatever the answer is.
#[derive(Debug, Clone, Default)]
struct DateInterceptor(Arc<Mutex<Option<TimeDelta>>>);

impl DateInterceptor {
    fn clock_ahead(&self) -> Option<TimeDelta> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateInterceptor {
    fn name(&self) -> &'static str {
        "the answer's date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(date) = context.response().headers().get("date") else {
            return Ok(());
        };
        if let Ok(date) = DateTime::parse_from_rfc2822(date) {
            let ahead = host::utc_now().signed_duration_since(date);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}

impl ObjectStore {
    /// Fetches the credentials, and returns when they expire.
    ///
    /// All requests use them, because a `credential_process` may be slow.
    pub(crate) async fn resolve_credentials(self) -> Result<(Self, Option<DateTime<Utc>>), Error> {
        let Some(provider) = self.session.config.credentials_provider() else {
            return Err(Error::new(
                ErrorKind::Credentials,
                "cannot fetch the credentials: no AWS credentials found",
                "log in, or set AWS_PROFILE",
            ));
        };
        let context = self.request_context("fetch the credentials", "");
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| from_credentials_error(&error, &context))?;
        let expiry = credentials.expiry().map(DateTime::<Utc>::from);

        let Self {
            target, session, ..
        } = self;
        let config = session
            .config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let session = SdkSession { config, ..session };
        Ok((Self::from_session(target, session), expiry))
    }

    /// The region that an answer named, or else the configured one.
    pub(crate) fn bucket_region(&self) -> String {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match client.config().region() {
            Some(region) => region.to_string(),
            None => String::new(),
        }
    }

    /// Lists one key below a prefix, if the bucket is of the account `owner`.
    pub(crate) async fn probe_list(&self, prefix: &str, owner: Option<String>) -> ListProbe {
        let interceptor = DateInterceptor::default();
        let action = format!("list `{}`", self.object_uri(prefix));
        let answer = self.send_request(&action, "s3:ListBucket", |s3| {
            s3.list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(prefix)
                .max_keys(1)
                .set_expected_bucket_owner(owner.clone())
                .customize()
                .interceptor(interceptor.clone())
                .send()
        });
        let result = match answer.await {
            Ok(list) if list.name.is_some() => Ok(()),
            // A captive portal answers 200 to everything.
            Ok(_) => Err(Error::unexpected_response(format!(
                "{action}: an answer that is not S3's"
            ))),
            Err(error) => Err(error),
        };
        ListProbe {
            result,
            clock_ahead: interceptor.clock_ahead(),
        }
    }

    /// Puts an object, and reads what the answer says of the bucket.
    pub(crate) async fn probe_put(
        &self,
        key: &str,
        body: &[u8],
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutProbe, Error> {
        let (outcome, answer) = self
            .put_object_with_output(key, body, "text/plain", metadata, condition)
            .await?;
        let mut probe = PutProbe {
            outcome,
            version_id: None,
            encryption: None,
        };
        if let Some(answer) = answer {
            let version_id = answer.version_id().filter(|id| *id != "null");
            let encryption = answer.server_side_encryption();
            probe.version_id = version_id.map(str::to_owned);
            probe.encryption = encryption.map(|algorithm| algorithm.as_str().to_owned());
        }
        Ok(probe)
    }

    /// Deletes an object, and returns whether a delete marker took its place.
    pub(crate) async fn delete_object(&self, key: &str) -> Result<bool, Error> {
        let action = format!("delete `{}`", self.object_uri(key));
        let answer = self.send_request(&action, "s3:DeleteObject", |s3| {
            s3.delete_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        Ok(answer.await?.delete_marker == Some(true))
    }

    /// Returns `Enabled` or `Suspended`, or `None` if versioning was never on.
    pub(crate) async fn get_versioning(&self) -> Result<Option<String>, Error> {
        let action = self.describe_settings_request("versioning");
        let answer = self.send_request(&action, "s3:GetBucketVersioning", |s3| {
            s3.get_bucket_versioning()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let status = answer.await?.status;
        Ok(status.map(|status| status.as_str().to_owned()))
    }

    /// Returns the default algorithm, such as `AES256` or `aws:kms`.
    pub(crate) async fn get_default_encryption(&self) -> Result<Option<String>, Error> {
        let action = self.describe_settings_request("encryption");
        let answer = self.send_request(&action, "s3:GetEncryptionConfiguration", |s3| {
            s3.get_bucket_encryption()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let code = "ServerSideEncryptionConfigurationNotFoundError";
        let Some(answer) = none_if_not_configured(answer.await, code)? else {
            return Ok(None);
        };
        let Some(configuration) = answer.server_side_encryption_configuration else {
            return Ok(None);
        };
        for rule in configuration.rules {
            if let Some(default) = rule.apply_server_side_encryption_by_default {
                return Ok(Some(default.sse_algorithm.as_str().to_owned()));
            }
        }
        Ok(None)
    }

    /// Returns whether all four blocks are on; `None` if there are none.
    pub(crate) async fn is_public_access_blocked(&self) -> Result<Option<bool>, Error> {
        let action = self.describe_settings_request("public access block");
        let answer = self.send_request(&action, "s3:GetBucketPublicAccessBlock", |s3| {
            s3.get_public_access_block()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let code = "NoSuchPublicAccessBlockConfiguration";
        let answer = none_if_not_configured(answer.await, code)?;
        let blocks = answer.and_then(|answer| answer.public_access_block_configuration);
        Ok(blocks.as_ref().map(has_all_blocks))
    }

    /// Returns the bucket's policy as JSON.
    pub(crate) async fn get_bucket_policy(&self) -> Result<Option<String>, Error> {
        let action = self.describe_settings_request("policy");
        let answer = self.send_request(&action, "s3:GetBucketPolicy", |s3| {
            s3.get_bucket_policy()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let answer = none_if_not_configured(answer.await, "NoSuchBucketPolicy")?;
        Ok(answer.and_then(|answer| answer.policy))
    }

    /// Returns the default retention, such as `GOVERNANCE, 30 days`; `None` without Object Lock.
    pub(crate) async fn describe_object_lock(&self) -> Result<Option<String>, Error> {
        let action = self.describe_settings_request("Object Lock");
        let answer = self.send_request(&action, "s3:GetBucketObjectLockConfiguration", |s3| {
            s3.get_object_lock_configuration()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let code = "ObjectLockConfigurationNotFoundError";
        let answer = none_if_not_configured(answer.await, code)?;
        let Some(lock) = answer.and_then(|answer| answer.object_lock_configuration) else {
            return Ok(None);
        };
        if lock.object_lock_enabled.is_none() {
            return Ok(None);
        }
        let retention = lock.rule.and_then(|rule| rule.default_retention);
        Ok(Some(match retention {
            Some(retention) => describe_retention(&retention),
            None => "no default retention".to_owned(),
        }))
    }

    fn describe_settings_request(&self, settings: &str) -> String {
        format!("ask for the {settings} of `{}`", self.target.bucket)
    }
}

fn has_all_blocks(blocks: &PublicAccessBlockConfiguration) -> bool {
    let blocks = [
        blocks.block_public_acls,
        blocks.ignore_public_acls,
        blocks.block_public_policy,
        blocks.restrict_public_buckets,
    ];
    blocks == [Some(true); 4]
}

fn describe_retention(retention: &DefaultRetention) -> String {
    let mode = match &retention.mode {
        Some(mode) => mode.as_str(),
        None => "",
    };
    match (retention.days, retention.years) {
        (Some(days), _) => format!("{mode}, {days} days"),
        (None, Some(years)) => format!("{mode}, {years} years"),
        (None, None) => mode.to_owned(),
    }
}

/// The answer, or `None` if S3's error `code` says that there is no such setting.
fn none_if_not_configured<T>(answer: Result<T, Error>, code: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code == code => Ok(None),
        Err(error) => Err(error),
    }
}
