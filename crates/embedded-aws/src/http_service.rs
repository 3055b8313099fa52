//! Around s3s: takes a request off the wire, has it answered, gives the answers AWS's own shape where s3s has another, and logs them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use s3s::Body;
use s3s::service::S3Service;

use crate::request::{self, CredentialScope, RequestSummary, RequestTrace};
use crate::request_log::RequestLog;
use crate::{sts, xml};

/// Far above any configuration or state file, and small enough to hold in memory.
const LARGEST_BODY: usize = 256 << 20;

/// The service of every connection.
pub(crate) struct HttpService {
    pub(crate) service: S3Service,
    pub(crate) log: RequestLog,
    pub(crate) answered: AtomicU64,
}

impl HttpService {
    /// Answers a request, and logs it before the client can read the answer.
    pub(crate) async fn serve(
        &self,
        incoming: http::Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (mut parts, body) = incoming.into_parts();
        let scope = request::parse_scope(&parts.headers, parts.uri.query().unwrap_or_default());
        let trace = Arc::new(RequestTrace {
            scope: scope.clone(),
            ..RequestTrace::default()
        });
        parts.extensions.insert(Arc::clone(&trace));
        let host = parts
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let request_id = format!("{:016X}", self.answered.fetch_add(1, Ordering::Relaxed) + 1);

        // Reads the complete body first, because a client that is still sending never reads a
        // refusal.
        let (mut request, answer) = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                let request = request::summarize_request(&parts, &body, &scope);
                (
                    request,
                    self.service
                        .call(http::Request::from_parts(parts, Body::from(body)))
                        .await,
                )
            }
            Err(error) => (
                request::summarize_request(&parts, b"", &scope),
                Ok(unreadable_request(error.as_ref(), &request_id)),
            ),
        };
        let mut response = answer.unwrap_or_else(|error| {
            plain_text_error(format!("cannot answer the request: {error:?}\n"))
        });
        if let Some(operation) = trace.resolved.get() {
            request.operation.clone_from(operation);
        }
        response = shape_error(response, &request, &scope, &host, &request_id).await;
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", value);
        }
        request.status = response.status().as_u16();
        Ok(match self.log.push(request) {
            Ok(()) => response,
            Err(error) => log_failure(&error),
        })
    }
}

/// The message of AWS for an error without a message in s3s.
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";

/// Adds the missing parts to errors of s3s, and gives errors of STS their format.
async fn shape_error(
    response: Response<Body>,
    request: &RequestSummary,
    scope: &CredentialScope,
    host: &str,
    request_id: &str,
) -> Response<Body> {
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let text = String::from_utf8_lossy(&body);
    // Errors of the STS route already have the format.
    let Some(code) = xml::find_element(&text, "Code")
        .filter(|_| text.contains("<Error>") && !text.contains("<ErrorResponse"))
    else {
        return Response::from_parts(parts, Body::from(body));
    };
    let message =
        xml::find_element(&text, "Message").unwrap_or(if code == "SignatureDoesNotMatch" {
            WRONG_SIGNATURE
        } else {
            code
        });
    let (kind, body) = if scope.service == "sts" {
        ("text/xml", sts::sts_error_xml(code, message))
    } else {
        let details = if code == "PermanentRedirect" {
            xml::bucket_endpoint(host, &request.bucket)
        } else {
            String::new()
        };
        (
            "application/xml",
            xml::error_xml(code, message, &details, request_id),
        )
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Response::from_parts(parts, Body::from(body))
}

/// The error for a body that is too large or incomplete.
fn unreadable_request(error: &dyn std::error::Error, request_id: &str) -> Response<Body> {
    let message = xml::escape_xml(&format!(
        "Your proposed upload exceeds the maximum allowed size: {error}"
    ));
    let mut response = Response::new(Body::from(xml::error_xml(
        "EntityTooLarge",
        &message,
        "",
        request_id,
    )));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// With a gap in the log, tests would believe that nothing was sent.
fn log_failure(error: &io::Error) -> Response<Body> {
    plain_text_error(format!("cannot write the request log: {error}\n"))
}

fn plain_text_error(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
