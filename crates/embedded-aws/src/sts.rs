//! STS: `GetCallerIdentity` for the signer, in any region, and errors in the shape of the query protocol.

use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use crate::access::{AwsIdentity, IdentityTable};
use crate::request::{sts_action, sts_version};
use crate::xml::escape_xml;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The request id in the body; clients use the one in the header.
const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Handles STS requests after s3s has verified their signature.
pub(crate) struct StsRoute(pub(crate) IdentityTable);

#[async_trait::async_trait]
impl S3Route for StsRoute {
    fn is_match(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        _: &mut Extensions,
    ) -> bool {
        let is_form = || {
            let kind = headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            kind.starts_with("application/x-www-form-urlencoded")
        };
        let query = uri.query().unwrap_or_default();
        uri.path() == "/"
            && (method == Method::POST && is_form()
                || method == Method::GET && sts_action(query, b"").is_some())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let caller = self.0.identity_of_signer(request.credentials.as_ref())?;
        if request.service.as_deref() != Some("sts") {
            return Err(s3_error!(
                SignatureDoesNotMatch,
                "Credential should be scoped to correct service: 'sts'. "
            ));
        }
        let body = request
            .input
            .collect()
            .await
            .map_err(|error| s3_error!(InvalidRequest, "{error}"))?
            .to_bytes();
        let query = request.uri.query().unwrap_or_default();
        let action = sts_action(query, &body).unwrap_or_default();
        let version =
            sts_version(query, &body).unwrap_or_else(|| "NO_VERSION_SPECIFIED".to_owned());
        if action == "GetCallerIdentity" && version == "2011-06-15" {
            return Ok(xml_response(StatusCode::OK, caller_identity_xml(caller)));
        }
        let message = format!(
            "Could not find operation {} for version {}",
            escape_xml(&action),
            escape_xml(&version)
        );
        Ok(xml_response(
            StatusCode::BAD_REQUEST,
            sts_error_xml("InvalidAction", &message),
        ))
    }
}

fn xml_response(status: StatusCode, xml: String) -> S3Response<Body> {
    let mut response = S3Response::with_status(Body::from(xml), status);
    response
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn caller_identity_xml(caller: &AwsIdentity) -> String {
    let (arn, user_id, account) = (
        escape_xml(&caller.arn),
        escape_xml(&caller.user_id),
        escape_xml(&caller.account),
    );
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{user_id}</UserId>\
         <Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    )
}

/// An error of STS, with the code of STS where S3 has another. Both arguments are already escaped.
pub(crate) fn sts_error_xml(code: &str, message: &str) -> String {
    let (code, message) = match code {
        "InvalidAccessKeyId" => (
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        "AccessDenied" => (
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        other => (other, message),
    };
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )
}
