//! The requests to S3 that only `doctor` makes: they try what a deployment does, and ask how the bucket is set up.
//!
//! Says what was answered and not what it means; `judge.rs` does that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
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

/// What a first request came to.
#[derive(Debug)]
pub struct ListProbe {
    /// Whether S3 lists.
    pub result: Result<(), Error>,
    /// How far this machine's clock is ahead of the answer's, whatever the answer was.
    pub clock_ahead: Option<TimeDelta>,
}

/// What a PUT came to, with what its answer says of the bucket.
#[derive(Debug, Clone)]
pub struct PutProbe {
    /// Whether the object is there.
    pub outcome: PutOutcome,
    /// The version that it became; `None` where the bucket keeps none.
    pub version_id: Option<String>,
    /// How it is encrypted, where the answer says so.
    pub encryption: Option<String>,
}

/// Hears when the server answered, by its own clock, however it answered.
#[derive(Debug, Clone, Default)]
struct DateInterceptor(Arc<Mutex<Option<TimeDelta>>>);

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
        let date = context
            .response()
            .headers()
            .get("date")
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(host::utc_now().signed_duration_since(date));
        }
        Ok(())
    }
}

impl ObjectStore {
    /// Fetches the credentials, once for all requests, for a `credential_process` may take its time; tells until when they are good.
    ///
    /// # Errors
    /// There are none.
    pub async fn resolve_credentials(self) -> Result<(Self, Option<DateTime<Utc>>), Error> {
        let doing = self.request_context("fetch the credentials", "");
        let none = || {
            Error::new(
                ErrorKind::Credentials,
                "fetch the credentials: no AWS credentials found",
                "log in, or set AWS_PROFILE",
            )
        };
        let provider = self
            .session
            .config
            .credentials_provider()
            .ok_or_else(none)?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| from_credentials_error(&error, &doing))?;
        let until = credentials.expiry().map(DateTime::<Utc>::from);
        let Self {
            target, session, ..
        } = self;
        let config = session
            .config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Ok((
            Self::from_session(target, SdkSession { config, ..session }),
            until,
        ))
    }

    /// The region that the bucket turned out to be in, or is believed to be.
    #[must_use]
    pub fn bucket_region(&self) -> String {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client
            .config()
            .region()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Lists one key below a prefix of the bucket, if that is of the account `owner`.
    pub async fn probe_list(&self, prefix: &str, owner: Option<String>) -> ListProbe {
        let ear = DateInterceptor::default();
        let what = format!("list `{}`", self.object_uri(prefix));
        let answer = self.send_request(&what, "s3:ListBucket", |s3| {
            let list = s3
                .list_objects_v2()
                .bucket(&self.target.bucket)
                .prefix(prefix)
                .max_keys(1);
            list.set_expected_bucket_owner(owner.clone())
                .customize()
                .interceptor(ear.clone())
                .send()
        });
        // A captive portal says 200 to everything.
        let is_list = |list: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
            list.name.is_some()
        };
        let answer = match answer.await {
            Ok(list) if !is_list(&list) => Err(Error::unexpected_response(format!(
                "{what}: an answer that is not S3's"
            ))),
            answer => answer.map(drop),
        };
        let ahead = *ear.0.lock().unwrap_or_else(PoisonError::into_inner);
        ListProbe {
            result: answer,
            clock_ahead: ahead,
        }
    }

    /// As [`Store::put`], and tells what the answer says of the bucket.
    pub async fn probe_put(
        &self,
        key: &str,
        body: &[u8],
        metadata: &HashMap<String, String>,
        condition: PutCondition,
    ) -> Result<PutProbe, Error> {
        let (written, answer) = self
            .put_object_with_output(key, body, "text/plain", metadata, condition)
            .await?;
        let version = answer
            .as_ref()
            .and_then(|it| it.version_id())
            .filter(|id| *id != "null")
            .map(str::to_owned);
        let encryption = answer
            .as_ref()
            .and_then(|it| it.server_side_encryption())
            .map(|it| it.as_str().to_owned());
        Ok(PutProbe {
            outcome: written,
            version_id: version,
            encryption,
        })
    }

    /// Deletes an object; tells whether a marker took its place, and its versions stay.
    pub async fn delete_object(&self, key: &str) -> Result<bool, Error> {
        let what = format!("delete `{}`", self.object_uri(key));
        let answer = self.send_request(&what, "s3:DeleteObject", |s3| {
            s3.delete_object()
                .bucket(&self.target.bucket)
                .key(key)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        answer
            .await
            .map(|answer| answer.delete_marker == Some(true))
    }

    /// Whether the bucket keeps versions: `Enabled`, `Suspended`, or nothing.
    pub async fn get_versioning(&self) -> Result<Option<String>, Error> {
        let what = self.describe_settings_request("versioning");
        let answer = self.send_request(&what, "s3:GetBucketVersioning", |s3| {
            s3.get_bucket_versioning()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        answer
            .await
            .map(|answer| answer.status.map(|status| status.as_str().to_owned()))
    }

    /// How the bucket encrypts what comes without a wish: `AES256`, `aws:kms`.
    pub async fn get_default_encryption(&self) -> Result<Option<String>, Error> {
        let what = self.describe_settings_request("encryption");
        let answer = self.send_request(&what, "s3:GetEncryptionConfiguration", |s3| {
            s3.get_bucket_encryption()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let rules = none_if_not_configured(
            answer.await,
            "ServerSideEncryptionConfigurationNotFoundError",
        )?
        .and_then(|answer| answer.server_side_encryption_configuration)
        .map(|it| it.rules)
        .unwrap_or_default();
        Ok(rules
            .into_iter()
            .find_map(|rule| rule.apply_server_side_encryption_by_default)
            .map(|it| it.sse_algorithm.as_str().to_owned()))
    }

    /// Whether all four blocks of public access are on; `None` where there are none.
    pub async fn is_public_access_blocked(&self) -> Result<Option<bool>, Error> {
        let what = self.describe_settings_request("public access block");
        let answer = self.send_request(&what, "s3:GetBucketPublicAccessBlock", |s3| {
            s3.get_public_access_block()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let blocks = none_if_not_configured(answer.await, "NoSuchPublicAccessBlockConfiguration")?
            .and_then(|it| it.public_access_block_configuration);
        Ok(blocks.map(|it| {
            [
                it.block_public_acls,
                it.ignore_public_acls,
                it.block_public_policy,
                it.restrict_public_buckets,
            ] == [Some(true); 4]
        }))
    }

    /// The bucket's policy, as JSON.
    pub async fn get_bucket_policy(&self) -> Result<Option<String>, Error> {
        let what = self.describe_settings_request("policy");
        let answer = self.send_request(&what, "s3:GetBucketPolicy", |s3| {
            s3.get_bucket_policy()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        Ok(none_if_not_configured(answer.await, "NoSuchBucketPolicy")?
            .and_then(|answer| answer.policy))
    }

    /// Whether the bucket has Object Lock, and for how long it holds what is new by default: `GOVERNANCE, 30 days`.
    pub async fn describe_object_lock(&self) -> Result<Option<String>, Error> {
        let what = self.describe_settings_request("Object Lock");
        let answer = self.send_request(&what, "s3:GetBucketObjectLockConfiguration", |s3| {
            s3.get_object_lock_configuration()
                .bucket(&self.target.bucket)
                .set_expected_bucket_owner(self.expected_owner())
                .send()
        });
        let found = none_if_not_configured(answer.await, "ObjectLockConfigurationNotFoundError")?
            .and_then(|it| it.object_lock_configuration);
        Ok(found
            .filter(|it| it.object_lock_enabled.is_some())
            .map(|it| {
                let held = it.rule.and_then(|rule| rule.default_retention);
                held.map_or_else(
                    || "no default retention".to_owned(),
                    |held| {
                        let mode = held
                            .mode
                            .map(|mode| mode.as_str().to_owned())
                            .unwrap_or_default();
                        let unit = |count: Option<i32>, unit| {
                            count.map(|count| format!(", {count} {unit}"))
                        };
                        mode + &unit(held.days, "days")
                            .or_else(|| unit(held.years, "years"))
                            .unwrap_or_default()
                    },
                )
            }))
    }

    fn describe_settings_request(&self, what: &str) -> String {
        format!("ask for the {what} of `{}`", self.target.bucket)
    }
}

/// An answer, or `None` where S3 says that there is no such setting.
fn none_if_not_configured<T>(answer: Result<T, Error>, code: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(fault) if fault.code == code => Ok(None),
        Err(fault) => Err(fault),
    }
}
