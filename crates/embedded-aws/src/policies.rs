//! IAM's policies of identities and buckets. What they say of a request, `iam-rs` decides; here is what a request asks for, in
//! the words of AWS's Service Authorization Reference.
//!
//! Must not know who prints policies, or what they should say.

use std::collections::BTreeMap;
use std::io;

use http::HeaderMap;
use iam_rs::{
    Arn, Context, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal,
    PrincipalId,
};

use crate::access::OWNER;
use crate::request::query_parameter;

/// The policies to enforce, as JSON.
#[derive(Clone, Debug, Default)]
pub struct AccessPolicies {
    /// The policy of each identity, by access key. Without one, only the deny list applies.
    pub identities: BTreeMap<String, String>,
    /// The policy of all buckets.
    pub bucket: Option<String>,
    /// The value of `aws:SecureTransport`, because the server itself speaks plain HTTP.
    pub tls: bool,
}

/// The IAM action and resource of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedAccess {
    /// `s3:PutObject`.
    pub action: String,
    /// The part after `arn:aws:s3:::`.
    pub resource: String,
    /// The condition keys of the request.
    pub says: Vec<(&'static str, String)>,
}

/// What the policies say of a request, with the reason that S3 gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyVerdict {
    Allowed,
    Denied(&'static str),
}

const DENIED_BY_BUCKET: &str = "with an explicit deny in a resource-based policy";
const DENIED_BY_IDENTITY: &str = "with an explicit deny in an identity-based policy";
/// The reason for what nothing permits.
pub(crate) const NOT_ALLOWED: &str = "because no identity-based policy allows the action";

#[derive(Default)]
pub(crate) struct ParsedPolicies {
    identities: BTreeMap<String, IAMPolicy>,
    bucket: Option<IAMPolicy>,
    tls: bool,
}

impl AccessPolicies {
    /// Parses the policies; fails on an invalid one.
    pub(crate) fn parse(&self) -> io::Result<ParsedPolicies> {
        let policy =
            |json: &String| serde_json::from_str::<IAMPolicy>(json).map_err(io::Error::from);
        let identities = self
            .identities
            .iter()
            .map(|(key, json)| Ok((key.clone(), policy(json)?)));
        Ok(ParsedPolicies {
            identities: identities.collect::<io::Result<_>>()?,
            bucket: self.bucket.as_ref().map(policy).transpose()?,
            tls: self.tls,
        })
    }

    /// Whether the identity with this ARN and access key may do what is asked for.
    ///
    /// # Errors
    /// If one of the policies is none, or says what the evaluator does not know.
    pub fn allow(&self, access_key: &str, arn: &str, asked: &RequestedAccess) -> io::Result<bool> {
        let verdict = self.parse()?.judge(access_key, arn, asked)?;
        Ok(verdict == PolicyVerdict::Allowed)
    }
}

impl ParsedPolicies {
    pub(crate) fn judge(
        &self,
        access_key: &str,
        arn: &str,
        asked: &RequestedAccess,
    ) -> io::Result<PolicyVerdict> {
        let own = self.identities.get(access_key);
        let resource =
            Arn::parse(&format!("arn:aws:s3:::{}", asked.resource)).map_err(io::Error::other)?;
        let mut context = Context::new();
        let known = [
            ("aws:ResourceAccount", OWNER.to_owned()),
            ("aws:SecureTransport", self.tls.to_string()),
        ];
        for (key, value) in known.iter().chain(&asked.says) {
            // The evaluator depends on the types of context values.
            let typed = value.parse().map_or_else(
                |_| ContextValue::String(value.clone()),
                ContextValue::Boolean,
            );
            context.insert((*key).to_owned(), typed);
        }
        let principal = Principal::Aws(PrincipalId::String(arn.to_owned()));
        let request =
            IAMRequest::new_with_context(principal, asked.action.clone(), resource, context);
        // An explicit deny of either kind counts, whatever the other one says.
        let of_bucket = decide(self.bucket.as_ref(), &request)?;
        let of_identity = decide(own, &request)?;
        Ok(match (of_bucket, of_identity) {
            (Decision::Deny, _) => PolicyVerdict::Denied(DENIED_BY_BUCKET),
            (_, Decision::Deny) => PolicyVerdict::Denied(DENIED_BY_IDENTITY),
            (Decision::Allow, _) | (_, Decision::Allow) => PolicyVerdict::Allowed,
            _ if own.is_none() => PolicyVerdict::Allowed,
            _ => PolicyVerdict::Denied(NOT_ALLOWED),
        })
    }
}

fn decide(policy: Option<&IAMPolicy>, request: &IAMRequest) -> io::Result<Decision> {
    let policies = policy.cloned().into_iter().collect();
    let answer = PolicyEvaluator::with_policies(policies).evaluate(request);
    Ok(answer.map_err(io::Error::other)?.decision)
}

/// The access that an operation needs, from its path, query and headers.
pub(crate) fn requested_access(
    operation: &str,
    bucket: &str,
    key: &str,
    query: &str,
    headers: &HeaderMap,
) -> RequestedAccess {
    let on = |action: &str, resource: String, says| RequestedAccess {
        action: format!("s3:{action}"),
        resource,
        says,
    };
    let object = format!("{bucket}/{key}");
    match operation {
        "GetObject" | "HeadObject" => on("GetObject", object, Vec::new()),
        "PutObject" | "CopyObject" => {
            let mut says = vec![("s3:ObjectCreationOperation", "true".to_owned())];
            for (name, condition) in [
                ("if-none-match", "s3:if-none-match"),
                ("if-match", "s3:if-match"),
                (
                    "x-amz-server-side-encryption",
                    "s3:x-amz-server-side-encryption",
                ),
                (
                    "x-amz-server-side-encryption-aws-kms-key-id",
                    "s3:x-amz-server-side-encryption-aws-kms-key-id",
                ),
            ] {
                says.extend(
                    headers
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                        .map(|value| (condition, value.to_owned())),
                );
            }
            on("PutObject", object, says)
        }
        "DeleteObject" => on("DeleteObject", object, Vec::new()),
        "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => {
            let told = [
                ("s3:prefix", "prefix"),
                ("s3:delimiter", "delimiter"),
                ("s3:max-keys", "max-keys"),
            ];
            let says = told
                .into_iter()
                .filter_map(|(condition, name)| Some((condition, query_parameter(query, name)?)))
                .collect();
            on(
                if operation == "ListObjectVersions" {
                    "ListBucketVersions"
                } else {
                    "ListBucket"
                },
                bucket.to_owned(),
                says,
            )
        }
        "HeadBucket" => on("ListBucket", bucket.to_owned(), Vec::new()),
        "ListBuckets" => on("ListAllMyBuckets", "*".to_owned(), Vec::new()),
        other => on(other, bucket.to_owned(), Vec::new()),
    }
}

/// The permission that is needed to get 404 for a missing key. S3 uses the key as the prefix: AWS
/// answers 404 if a policy allows listing by `s3:prefix` alone (kopia/kopia#3072), and so does Ceph
/// (ceph/ceph#68577).
pub(crate) fn to_know_of_absence(bucket: &str, key: &str) -> RequestedAccess {
    RequestedAccess {
        action: "s3:ListBucket".to_owned(),
        resource: bucket.to_owned(),
        says: vec![("s3:prefix", key.to_owned())],
    }
}
