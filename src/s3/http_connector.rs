//! How requests leave this machine: TLS, trusted certificates, proxies.
//!
//! Set up as the SDK sets up its own connector, plus the certificates of `AWS_CA_BUNDLE`. The SDK
//! for Rust ignores that setting, but networks that inspect TLS need it. Must not send a request.

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_smithy_async::rt::sleep::default_async_sleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{Error, ErrorKind};

/// Trusts the system's certificates and those of the PEM file `ca_bundle`.
///
/// # Errors
/// The file cannot be read, or has no certificate or an invalid one.
pub(super) fn load_tls_context(ca_bundle: Option<&Path>) -> Result<TlsContext, Error> {
    let Some(path) = ca_bundle else {
        return Ok(TlsContext::default());
    };
    read_bundle(path).map_err(|cause| {
        let message = format!(
            "cannot read the certificates of AWS_CA_BUNDLE, `{}`: {cause}",
            path.display()
        );
        let hint = "correct AWS_CA_BUNDLE (or `ca_bundle` of the profile), or unset it";
        Error::new(ErrorKind::Input, message, hint)
    })
}

/// Why a certificate bundle cannot be used.
#[derive(Debug, thiserror::Error)]
enum CaBundleError {
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    #[error("not a PEM file")]
    NotPem,
    #[error("it has no certificate")]
    Empty,
    #[error("certificate {number} is not usable")]
    BadCertificate { number: usize },
    #[error("{0}")]
    Rejected(String),
}

fn read_bundle(path: &Path) -> Result<TlsContext, CaBundleError> {
    let pem = fs::read(path)?;

    // The connector panics on an invalid certificate, so each is tried here first.
    let mut roots = RootCertStore::empty();
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| CaBundleError::NotPem)?;
        count += 1;
        if roots.add(certificate).is_err() {
            return Err(CaBundleError::BadCertificate { number: count });
        }
    }
    if count == 0 {
        return Err(CaBundleError::Empty);
    }

    let store = TrustStore::default().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    context.map_err(|error| CaBundleError::Rejected(error.to_string()))
}

pub(super) fn build_connector(
    tls_context: &TlsContext,
    connect_timeout: Duration,
    read_timeout: Duration,
) -> Connector {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(connect_timeout)
        .read_timeout(read_timeout)
        .build();
    let mut builder = Connector::builder();
    builder.set_connector_settings(Some(settings));
    builder.set_sleep_impl(default_async_sleep());
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    builder
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls_context.clone())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_BASE64: &str = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    const NOT_A_CERTIFICATE: &str =
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn an_invalid_bundle_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bundle.pem");
        let refusal = || {
            load_tls_context(Some(&path))
                .expect_err("a refusal")
                .message
        };
        assert!(refusal().contains("No such file"), "{}", refusal());

        for (content, cause) in [
            ("", "it has no certificate"),
            ("just text\n", "it has no certificate"),
            (NOT_BASE64, "not a PEM file"),
            (NOT_A_CERTIFICATE, "certificate 1 is not usable"),
        ] {
            fs::write(&path, content).expect("written");
            assert!(refusal().ends_with(cause), "{}", refusal());
            assert!(refusal().contains("bundle.pem"), "{}", refusal());
        }
    }

    #[test]
    fn no_bundle_is_needed() {
        assert!(load_tls_context(None).is_ok());
    }
}
