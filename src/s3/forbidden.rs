//! Why a request got 403: a permission is missing, something forbids the request whatever the
//! permissions are, or the answer is not from S3.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, ErrorKind};
use crate::s3::error::{RequestContext, describe_answer, shorten_sentence};

/// How S3 begins the kind of policy that forbids a request.
const EXPLICIT_DENY: &str = "with an explicit deny in ";
/// How S3 calls the policy of a bucket.
const BUCKET_POLICY: &str = "a resource-based policy";

/// `code` and `sentence` are those of the answer, or empty.
pub(super) fn explain_forbidden(
    code: &str,
    sentence: &str,
    answer: &HttpResponse,
    context: &RequestContext<'_>,
) -> Error {
    if code.is_empty() && is_web_page(answer) {
        return context.unexpected_response("HTTP 403, but the answer is not from S3");
    }
    // Before the sentence is shortened: the policy stands at its end, behind a long ARN and key.
    if let "AccessDenied" | "AccessDeniedException" = code
        && let Some((request, policy)) = sentence.split_once(EXPLICIT_DENY)
    {
        return explain_explicit_deny(
            &shorten_sentence(request.trim_end()),
            &shorten_sentence(policy),
            context,
        );
    }
    if !matches!(code, "" | "AccessDenied" | "AccessDeniedException") {
        let cause = describe_answer(403, code, sentence);
        return context.error(ErrorKind::Denied, &cause, String::new());
    }
    let hint = context.permission_hint(&shorten_sentence(sentence));
    context.error(ErrorKind::Denied, "access denied", hint)
}

/// `request` is the sentence up to the explicit deny.
fn explain_explicit_deny(request: &str, policy: &str, context: &RequestContext<'_>) -> Error {
    let cause = format!("access denied: {request} {EXPLICIT_DENY}{policy}");
    let hint =
        format!("{policy} forbids it, whatever else permits it: ask who manages that policy");
    // The policy of a KMS key is a resource-based policy, too.
    let is_about_key = request
        .split_whitespace()
        .any(|word| word.starts_with("kms:"));
    Error {
        is_denied_by_bucket_policy: !is_about_key && policy.starts_with(BUCKET_POLICY),
        ..context.error(ErrorKind::Denied, &cause, hint)
    }
}

/// Whether an answer is the page of a web filter or a portal. S3 answers with XML, and names each
/// request.
fn is_web_page(answer: &HttpResponse) -> bool {
    let headers = answer.headers();
    let content_type = headers.get("content-type").unwrap_or_default();
    content_type.starts_with("text/html") && headers.get("x-amz-request-id").is_none()
}
