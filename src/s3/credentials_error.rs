//! Why there are no credentials: what to do depends on where they should have come from.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::error::{Error, ErrorKind};
use crate::s3::error::{RequestContext, error_chain, from_credentials_code, root_cause};

/// How the SDK begins the errors of a `credential_process`.
const PROCESS_ERRORS: [&str; 2] = ["external process", "credential process"];

pub(super) fn explain_credentials_error(
    error: &CredentialsError,
    context: &RequestContext<'_>,
) -> Error {
    if let Some(refusal) = find_sts_refusal(error) {
        return refusal.explain(context);
    }
    if let Some(connector) = find_source::<ConnectorError>(error) {
        let kind = if connector.is_timeout() {
            ErrorKind::Timeout
        } else {
            ErrorKind::Network
        };
        let cause = format!("no AWS credentials: {}", root_cause(error));
        return context.error(kind, &cause, context.network_hint());
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) => context.no_credentials(),
        CredentialsError::ProviderTimedOut(_) => {
            let cause = "the credentials provider did not answer in time";
            context.error(ErrorKind::Credentials, cause, context.network_hint())
        }
        _ => explain_provider_error(error, context),
    }
}

fn explain_provider_error(error: &CredentialsError, context: &RequestContext<'_>) -> Error {
    let detail = root_cause(error);
    // A `credential_process` may print a secret to stderr.
    let detail = detail.split(" Stderr").next().unwrap_or_default();
    let cause = format!("no AWS credentials: {detail}");
    let lower_case = detail.to_lowercase();
    let hint = if PROCESS_ERRORS
        .iter()
        .any(|words| lower_case.contains(words))
    {
        let name = &context.profile.name;
        format!("run the credential_process of the profile `{name}` by hand and see what it says")
    } else {
        context.login_hint()
    };
    context.error(ErrorKind::Credentials, &cause, hint)
}

/// The answer of STS that refuses to assume a role.
struct StsRefusal {
    code: String,
    sentence: String,
}

impl StsRefusal {
    fn new(error: &impl ProvideErrorMetadata) -> Self {
        Self {
            code: error.code().unwrap_or_default().to_owned(),
            sentence: error.message().unwrap_or_default().to_owned(),
        }
    }

    fn explain(&self, context: &RequestContext<'_>) -> Error {
        if let Some(error) = from_credentials_code(&self.code, context) {
            return error;
        }
        let Self { code, sentence } = self;
        let cause = format!("the role cannot be assumed: {code}: {sentence}");
        let hint = if context.profile.has_mfa_serial {
            context.login_hint()
        } else {
            "check the role, and whether its trust policy names who assumes it".to_owned()
        };
        context.error(ErrorKind::Credentials, &cause, hint)
    }
}

fn find_sts_refusal(error: &CredentialsError) -> Option<StsRefusal> {
    if let Some(error) = find_source::<AssumeRoleError>(error) {
        return Some(StsRefusal::new(error));
    }
    let error = find_source::<AssumeRoleWithWebIdentityError>(error)?;
    Some(StsRefusal::new(error))
}

fn find_source<E: StdError + 'static>(error: &CredentialsError) -> Option<&E> {
    error_chain(error).find_map(|source| source.downcast_ref::<E>())
}
