//! What a request says of itself before anything is verified: who signed it, where it goes, which operation it asks for.
//!
//! Pure functions over the request line, the headers and, for STS, the body. The answers serve the log and the region check; they
//! never decide whether a request is let in.

use std::sync::OnceLock;

use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use s3s::path::{S3Path, parse_path_style};
use serde::{Deserialize, Serialize};

/// An answered request, also a refused one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSummary {
    /// The HTTP method, `PUT`.
    pub method: String,
    /// The name of the operation in the service's API, `PutObject` or `GetCallerIdentity`; `Unknown` if it is none this server knows.
    pub operation: String,
    /// The bucket, or empty.
    pub bucket: String,
    /// The key, decoded, or empty.
    pub key: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// The access key of the signature, or empty.
    pub access_key: String,
    /// The region of the signature, or empty.
    pub region: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// What the signature is made for: `<access key>/<date>/<region>/<service>/aws4_request`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CredentialScope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// Passed through s3s with a request, because s3s returns neither region nor operation.
#[derive(Debug, Default)]
pub(crate) struct RequestTrace {
    pub(crate) scope: CredentialScope,
    /// The operation as s3s resolved it; empty if the request did not get that far.
    pub(crate) resolved: OnceLock<String>,
}

/// The scope of the Authorization header, or else of a presigned address. Empty where a request carries none.
pub(crate) fn parse_scope(headers: &HeaderMap, query: &str) -> CredentialScope {
    let header = headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let credential = match header.split_once("Credential=") {
        Some((_, rest)) => rest.split(',').next().unwrap_or_default().trim().to_owned(),
        None => query_parameter(query, "X-Amz-Credential").unwrap_or_default(),
    };
    // From the right, because nothing forbids a slash in an access key.
    let mut parts = credential.rsplitn(5, '/').skip(1);
    let (service, region, _date) = (parts.next(), parts.next(), parts.next());
    match (parts.next(), region, service) {
        (Some(access_key), Some(region), Some(service)) => CredentialScope {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        },
        _ => CredentialScope::default(),
    }
}

/// The request before its answer, with status 0.
pub(crate) fn summarize_request(
    parts: &Parts,
    body: &[u8],
    scope: &CredentialScope,
) -> RequestSummary {
    let query = parts.uri.query().unwrap_or_default();
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let path = parse_path_style(&path).unwrap_or(S3Path::Root);
    let copies = parts.headers.contains_key("x-amz-copy-source");
    let operation = match sts_action(query, body).filter(|_| path.is_root()) {
        Some(action) => action,
        None if scope.service == "sts" => "Unknown".to_owned(),
        None => operation_name(&parts.method, &path, query, copies).to_owned(),
    };
    RequestSummary {
        method: parts.method.to_string(),
        operation,
        bucket: path.get_bucket_name().unwrap_or_default().to_owned(),
        key: path.get_object_key().unwrap_or_default().to_owned(),
        query: query.to_owned(),
        access_key: scope.access_key.clone(),
        region: scope.region.clone(),
        status: 0,
    }
}

/// The `Action` of a request in the query protocol, which comes in a form or in the address.
pub(crate) fn sts_action(query: &str, body: &[u8]) -> Option<String> {
    form_field(body, "Action").or_else(|| query_parameter(query, "Action"))
}

/// The API version of a request in the query protocol.
pub(crate) fn sts_version(query: &str, body: &[u8]) -> Option<String> {
    form_field(body, "Version").or_else(|| query_parameter(query, "Version"))
}

/// The operation of a request that was refused before s3s resolved it.
fn operation_name(method: &Method, path: &S3Path, query: &str, copies: bool) -> &'static str {
    // A subresource changes the operation; only the implemented ones are distinguished.
    const SUBRESOURCES: [&str; 24] = [
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "tagging",
        "website",
    ];
    let has = |name: &str| query_parameter(query, name).is_some();
    if SUBRESOURCES.iter().any(|name| has(name)) {
        return "Unknown";
    }
    match (path, method.as_str()) {
        (S3Path::Root, "GET") => "ListBuckets",
        (S3Path::Bucket { .. }, "GET") if has("location") => "GetBucketLocation",
        (S3Path::Bucket { .. }, "GET") if has("versioning") => "GetBucketVersioning",
        (S3Path::Bucket { .. }, "GET") if has("versions") => "ListObjectVersions",
        (S3Path::Bucket { .. }, "GET") if has("uploads") => "ListMultipartUploads",
        (S3Path::Bucket { .. }, "GET")
            if query_parameter(query, "list-type").as_deref() == Some("2") =>
        {
            "ListObjectsV2"
        }
        (S3Path::Bucket { .. }, "GET") => "ListObjects",
        (S3Path::Bucket { .. }, "HEAD") => "HeadBucket",
        (S3Path::Bucket { .. }, "PUT") if has("versioning") => "PutBucketVersioning",
        (S3Path::Bucket { .. }, "PUT") => "CreateBucket",
        (S3Path::Bucket { .. }, "DELETE") => "DeleteBucket",
        (S3Path::Bucket { .. }, "POST") if has("delete") => "DeleteObjects",
        (S3Path::Object { .. }, "GET") if has("uploadId") => "ListParts",
        (S3Path::Object { .. }, "GET") => "GetObject",
        (S3Path::Object { .. }, "HEAD") => "HeadObject",
        (S3Path::Object { .. }, "PUT") if has("uploadId") && copies => "UploadPartCopy",
        (S3Path::Object { .. }, "PUT") if has("uploadId") => "UploadPart",
        (S3Path::Object { .. }, "PUT") if copies => "CopyObject",
        (S3Path::Object { .. }, "PUT") => "PutObject",
        (S3Path::Object { .. }, "DELETE") if has("uploadId") => "AbortMultipartUpload",
        (S3Path::Object { .. }, "DELETE") => "DeleteObject",
        (S3Path::Object { .. }, "POST") if has("uploads") => "CreateMultipartUpload",
        (S3Path::Object { .. }, "POST") if has("uploadId") => "CompleteMultipartUpload",
        _ => "Unknown",
    }
}

pub(crate) fn query_parameter(query: &str, name: &str) -> Option<String> {
    form_field(query.as_bytes(), name)
}

fn form_field(text: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(text)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            authorization.parse().expect("a header"),
        )])
    }

    // The Authorization header and the presigned address are the examples of S3's documentation of Signature Version 4.
    #[test]
    fn the_scope_comes_from_the_header() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                      SignedHeaders=host;range;x-amz-date, Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";
        let expected = CredentialScope {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        };
        assert_eq!(parse_scope(&headers(header), ""), expected);
        assert_eq!(
            parse_scope(&headers(&header.replace(", ", ",")), ""),
            expected
        );
    }

    #[test]
    fn the_scope_comes_from_a_presigned_address() {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
        assert_eq!(
            parse_scope(&HeaderMap::new(), query).access_key,
            "AKIAIOSFODNN7EXAMPLE"
        );
        assert_eq!(parse_scope(&HeaderMap::new(), query).region, "us-east-1");
    }

    #[test]
    fn a_request_without_a_usable_credential_has_an_empty_scope() {
        for header in [
            "",
            "AWS AKIA:signature",
            "AWS4-HMAC-SHA256 Credential=",
            "Credential=a/b/c",
            "Bearer x",
        ] {
            assert_eq!(
                parse_scope(&headers(header), "a=b"),
                CredentialScope::default(),
                "{header}"
            );
        }
    }

    // Request lines from the request syntax of each operation in the API reference.
    #[test]
    fn recognizes_the_operations_of_the_api_reference() {
        let cases = [
            ("GET", "/", "ListBuckets"),
            ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
            ("GET", "/b?delimiter=/&marker=acl", "ListObjects"),
            ("GET", "/b/?location", "GetBucketLocation"),
            ("GET", "/b?versioning", "GetBucketVersioning"),
            ("GET", "/b?policy", "Unknown"),
            ("HEAD", "/b", "HeadBucket"),
            ("PUT", "/b", "CreateBucket"),
            ("POST", "/b?delete", "DeleteObjects"),
            ("GET", "/b/k?partNumber=1&versionId=1", "GetObject"),
            ("HEAD", "/b/k/", "HeadObject"),
            ("PUT", "/b/k?x-id=PutObject", "PutObject"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            ("DELETE", "/b/k", "DeleteObject"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("POST", "/", "Unknown"),
            (
                "GET",
                "/?Action=GetCallerIdentity&Version=2011-06-15",
                "GetCallerIdentity",
            ),
        ];
        for (method, target, expected) in cases {
            let (parts, ()) = http::Request::builder()
                .method(method)
                .uri(target.replace("/b", "/bucket"))
                .body(())
                .expect("a request")
                .into_parts();
            assert_eq!(
                summarize_request(&parts, b"", &CredentialScope::default()).operation,
                expected,
                "{method} {target}"
            );
        }
    }

    #[test]
    fn keys_are_decoded_once() {
        let (parts, ()) = http::Request::builder()
            .uri("/bucket/a%2520b//c%2F%C3%A9+d")
            .body(())
            .expect("a request")
            .into_parts();
        let request = summarize_request(&parts, b"", &CredentialScope::default());
        assert_eq!(
            (request.bucket.as_str(), request.key.as_str()),
            ("bucket", "a%20b//c/é+d")
        );
    }
}
