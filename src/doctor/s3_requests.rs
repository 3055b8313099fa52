//! Requests to S3 that only `doctor` sends: they try what a deployment does, and read the
//! bucket's settings.
//!
//! Returns the answers. `s3_results.rs` interprets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::types::ObjectLockConfiguration;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::s3::client::SdkSession;
use crate::s3::error::from_credentials_error;
use crate::s3::list_answer::EntryCounter;
use crate::s3::listing::{ListRequest, parse_list_page};
use crate::s3::store::{ObjectStore, PutCondition, PutOutcome};
use crate::system::clock::utc_now;

/// The answer to a first listing.
#[derive(Debug)]
pub(crate) struct ListProbe {
    pub(crate) result: Result<(), Error>,
    /// How far this machine's clock is ahead of the answer's, whatever the answer was.
    pub(crate) clock_ahead: Option<TimeDelta>,
}

/// The answer to a PUT, with what it says about the bucket.
#[derive(Debug, Clone)]
pub(crate) struct PutProbe {
    pub(crate) outcome: PutOutcome,
    /// `None` if the bucket does not version its objects.
    pub(crate) version_id: Option<String>,
    pub(crate) encryption: Option<String>,
}

/// Compares this machine's clock with that of each answer, even of one with an error.
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
            let ahead = utc_now().signed_duration_since(date);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}

impl ObjectStore {
    /// Loads the credentials once for all requests, because a `credential_process` may be slow.
    /// Returns when they expire, too.
    ///
    /// # Errors
    /// There are no credentials.
    pub(crate) async fn resolve_credentials(self) -> Result<(Self, Option<DateTime<Utc>>), Error> {
        let context = self.request_context("load the credentials", "");
        let Some(provider) = self.session.config.credentials_provider() else {
            return Err(context.no_credentials());
        };
        let credentials = match provider.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(error) => return Err(from_credentials_error(&error, &context)),
        };

        let expires_at = credentials.expiry().map(DateTime::<Utc>::from);
        let provider = SharedCredentialsProvider::new(credentials);
        let builder = self.session.config.into_builder();
        let config = builder.credentials_provider(provider).build();
        let session = SdkSession {
            config,
            ..self.session
        };
        Ok((Self::from_session(self.target, session), expires_at))
    }

    /// Lists one key below a prefix, if the bucket belongs to the account `owner`.
    pub(crate) async fn probe_list(&self, prefix: &str, owner: Option<String>) -> ListProbe {
        let interceptor = DateInterceptor::default();
        let counter = EntryCounter::default();
        let request = ListRequest {
            prefix: prefix.to_owned(),
            ..ListRequest::default()
        };
        let action = format!("list `{}`", self.object_uri(prefix));
        let answer = self.send_request(&action, "s3:ListBucket", |s3| {
            s3.list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(prefix)
                .max_keys(1)
                .set_expected_bucket_owner(owner.clone())
                .customize()
                .interceptor(interceptor.clone())
                .interceptor(counter.clone())
                .send()
        });
        let result = match answer.await {
            Ok(list) => {
                let counts = counter.counts();
                let page = counts.and_then(|counts| parse_list_page(list, counts, &request));
                page.map(drop)
                    .map_err(|cause| self.listing_error(prefix, &cause))
            }
            Err(error) => Err(error),
        };
        ListProbe {
            result,
            clock_ahead: interceptor.clock_ahead(),
        }
    }

    /// Writes an object and returns what the answer says about the bucket.
    pub(crate) async fn probe_put(
        &self,
        key: &str,
        body: &[u8],
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutProbe, Error> {
        let put = self.put_object_with_output(key, body, "text/plain", metadata, condition);
        let (outcome, answer) = put.await?;
        let mut probe = PutProbe {
            outcome,
            version_id: None,
            encryption: None,
        };
        if let Some(answer) = answer {
            probe.encryption = answer.server_side_encryption.map(|it| it.to_string());
            probe.version_id = answer.version_id.filter(|id| id != "null");
        }
        Ok(probe)
    }

    /// Returns whether the object became a delete marker, so that its versions remain.
    pub(crate) async fn delete_object(&self, key: &str) -> Result<bool, Error> {
        let action = format!("delete `{}`", self.object_uri(key));
        let answer = self.send_request(&action, "s3:DeleteObject", |s3| {
            s3.delete_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let answer = answer.await?;
        Ok(answer.delete_marker == Some(true))
    }

    /// `Enabled`, `Suspended`, or `None`.
    pub(crate) async fn get_versioning(&self) -> Result<Option<String>, Error> {
        let action = self.settings_action("versioning");
        let answer = self.send_request(&action, "s3:GetBucketVersioning", |s3| {
            s3.get_bucket_versioning()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let answer = answer.await?;
        Ok(answer.status.map(|status| status.to_string()))
    }

    /// The encryption of objects that are uploaded without one: `AES256`, `aws:kms`.
    pub(crate) async fn get_default_encryption(&self) -> Result<Option<String>, Error> {
        let action = self.settings_action("encryption");
        let answer = self.send_request(&action, "s3:GetEncryptionConfiguration", |s3| {
            s3.get_bucket_encryption()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let missing = "ServerSideEncryptionConfigurationNotFoundError";
        let Some(answer) = none_if_not_configured(answer.await, missing)? else {
            return Ok(None);
        };
        let Some(encryption) = answer.server_side_encryption_configuration else {
            return Ok(None);
        };
        for rule in encryption.rules {
            if let Some(default) = rule.apply_server_side_encryption_by_default {
                return Ok(Some(default.sse_algorithm.to_string()));
            }
        }
        Ok(None)
    }

    /// Whether all four public access blocks are on; `None` if none is configured.
    pub(crate) async fn is_public_access_blocked(&self) -> Result<Option<bool>, Error> {
        let action = self.settings_action("public access block");
        let answer = self.send_request(&action, "s3:GetBucketPublicAccessBlock", |s3| {
            s3.get_public_access_block()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let missing = "NoSuchPublicAccessBlockConfiguration";
        let Some(answer) = none_if_not_configured(answer.await, missing)? else {
            return Ok(None);
        };
        let Some(blocks) = answer.public_access_block_configuration else {
            return Ok(None);
        };
        let is_blocked = [
            blocks.block_public_acls,
            blocks.ignore_public_acls,
            blocks.block_public_policy,
            blocks.restrict_public_buckets,
        ];
        Ok(Some(is_blocked == [Some(true); 4]))
    }

    /// The bucket policy as JSON.
    pub(crate) async fn get_bucket_policy(&self) -> Result<Option<String>, Error> {
        let action = self.settings_action("policy");
        let answer = self.send_request(&action, "s3:GetBucketPolicy", |s3| {
            s3.get_bucket_policy()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let answer = none_if_not_configured(answer.await, "NoSuchBucketPolicy")?;
        Ok(answer.and_then(|answer| answer.policy))
    }

    /// The default retention of Object Lock, as `GOVERNANCE, 30 days`; `None` without Object Lock.
    pub(crate) async fn describe_object_lock(&self) -> Result<Option<String>, Error> {
        let action = self.settings_action("Object Lock");
        let answer = self.send_request(&action, "s3:GetBucketObjectLockConfiguration", |s3| {
            s3.get_object_lock_configuration()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let missing = "ObjectLockConfigurationNotFoundError";
        let Some(answer) = none_if_not_configured(answer.await, missing)? else {
            return Ok(None);
        };
        let lock = answer.object_lock_configuration;
        Ok(lock.and_then(describe_retention))
    }

    fn settings_action(&self, setting: &str) -> String {
        format!("read the {setting} of `{}`", self.target.bucket)
    }
}

fn describe_retention(lock: ObjectLockConfiguration) -> Option<String> {
    lock.object_lock_enabled?;
    let Some(retention) = lock.rule.and_then(|rule| rule.default_retention) else {
        return Some("no default retention".to_owned());
    };
    let mode = match retention.mode {
        Some(mode) => mode.to_string(),
        None => String::new(),
    };
    Some(match (retention.days, retention.years) {
        (Some(days), _) => format!("{mode}, {days} days"),
        (None, Some(years)) => format!("{mode}, {years} years"),
        (None, None) => mode,
    })
}

/// `None` if S3 answers with `code`, that this setting is not configured.
fn none_if_not_configured<T>(answer: Result<T, Error>, code: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code == code => Ok(None),
        Err(error) => Err(error),
    }
}
