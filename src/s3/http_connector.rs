//! How requests leave this machine: TLS, the certificates that are trusted, proxies.
//!
//! Set up as the SDK sets up its own, with the certificates of `AWS_CA_BUNDLE` beside the system's: the SDK for Rust ignores
//! that setting, which networks that inspect TLS depend on. Must not make a request.

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

/// Whom to trust.
pub type Trust = TlsContext;

/// Trusts the system's certificates and, where there is one, those of the PEM file `bundle`.
///
/// # Errors
/// The file cannot be read, or holds no certificate, or one that is none.
pub fn load_tls_context(bundle: Option<&Path>) -> Result<Trust, Error> {
    let Some(path) = bundle else {
        return Ok(TlsContext::default());
    };
    let failed = |why: &str| {
        let text = format!(
            "read the certificates of AWS_CA_BUNDLE, `{}`: {why}",
            path.display()
        );
        Error::new(
            ErrorKind::Input,
            text,
            "correct AWS_CA_BUNDLE (or `ca_bundle` of the profile), or unset it",
        )
    };
    let pem = fs::read(path).map_err(|error| failed(&error.to_string()))?;
    let certificates: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| failed("it is no PEM file"))?;
    // The connector takes what it is given for granted, and stops the program where it is no certificate.
    let mut roots = RootCertStore::empty();
    let bad = certificates
        .iter()
        .position(|certificate| roots.add(certificate.clone()).is_err());
    match bad {
        Some(index) => Err(failed(&format!(
            "its certificate number {} is not usable",
            index + 1
        ))),
        None if certificates.is_empty() => Err(failed("it holds no certificate")),
        None => {
            let store = TrustStore::default().with_pem_certificate(pem);
            TlsContext::builder()
                .with_trust_store(store)
                .build()
                .map_err(|error| failed(&error.to_string()))
        }
    }
}

/// A connector that waits for a connection, and then for an answer, as long as it is told.
#[must_use]
pub fn build_connector(trust: &Trust, connect: Duration, answer: Duration) -> Connector {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(connect)
        .read_timeout(answer)
        .build();
    let mut connector = Connector::builder();
    connector.set_connector_settings(Some(settings));
    connector.set_sleep_impl(default_async_sleep());
    connector.set_proxy_config(Some(ProxyConfig::from_env()));
    connector
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(trust.clone())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_none_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bundle.pem");
        let refused = || {
            load_tls_context(Some(&path))
                .expect_err("a refusal")
                .message
        };
        assert!(refused().contains("No such file"), "{}", refused());
        for (content, why) in [
            ("", "it holds no certificate"),
            ("just text\n", "it holds no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
                "it is no PEM file",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
                "its certificate number 1 is not usable",
            ),
        ] {
            fs::write(&path, content).expect("written");
            assert!(
                refused().ends_with(why) && refused().contains("bundle.pem"),
                "{}",
                refused()
            );
        }
        assert!(load_tls_context(None).is_ok());
    }
}
