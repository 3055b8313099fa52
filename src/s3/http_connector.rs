//! How requests leave this machine: TLS, trusted certificates, proxies.
//!
//! Set up as the SDK sets up its own connector, plus the certificates of `AWS_CA_BUNDLE`. The SDK
//! for Rust ignores that setting, but networks that inspect TLS need it. Must not send a request.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_async::rt::sleep::default_async_sleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{Error, ErrorKind};
use crate::s3::name_lookup::SystemNameLookup;
use crate::s3::proxy::{ProxyRoute, ProxySettings, RouteError};
use crate::system::pipes::read_file_start;

/// A bundle with all certificates of the web has 200 kB.
const MAX_BUNDLE_BYTES: u64 = 16 << 20;

/// The longest answer that is read as a whole: several times a listing of 1,000 of the longest keys.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// The longest error that is read. Hundreds of requests can fail at the same time.
const MAX_ERROR_BYTES: usize = 256 << 10;
/// What the SDK adds to the address of an object.
const OBJECT_QUERY: &str = "x-id=GetObject";

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
    let pem = read_file_start(path, MAX_BUNDLE_BYTES)?;

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

/// Sends each request directly or through the proxy for its host.
///
/// One for direct requests, HTTP and HTTPS, because the SDK's own connector has other rules for
/// `NO_PROXY`. A connector reads all trusted certificates, so it is built when it is needed.
#[derive(Debug)]
pub(super) struct RoutingConnector {
    proxies: ProxySettings,
    tls_context: TlsContext,
    settings: HttpConnectorSettings,
    direct: OnceLock<Connector>,
    http_proxy: OnceLock<Connector>,
    https_proxy: OnceLock<Connector>,
}

impl RoutingConnector {
    pub(super) fn new(
        tls_context: &TlsContext,
        connect_timeout: Duration,
        read_timeout: Duration,
    ) -> Self {
        Self {
            proxies: ProxySettings::from_env(),
            tls_context: tls_context.clone(),
            settings: HttpConnectorSettings::builder()
                .connect_timeout(connect_timeout)
                .read_timeout(read_timeout)
                .build(),
            direct: OnceLock::new(),
            http_proxy: OnceLock::new(),
            https_proxy: OnceLock::new(),
        }
    }

    fn build(&self, proxy: ProxyConfig) -> Connector {
        let mut builder = Connector::builder();
        builder.set_connector_settings(Some(self.settings.clone()));
        builder.set_sleep_impl(default_async_sleep());
        builder.set_proxy_config(Some(proxy));
        builder
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(self.tls_context.clone())
            .build_with_resolver(SystemNameLookup)
    }

    fn find_connector(&self, url: &str) -> Result<&Connector, RouteError> {
        let (connector, proxy) = match self.proxies.find_route(url)? {
            ProxyRoute::Through(proxy) if url.starts_with("https:") => {
                (&self.https_proxy, proxy.config.clone())
            }
            ProxyRoute::Through(proxy) => (&self.http_proxy, proxy.config.clone()),
            _ => (&self.direct, ProxyConfig::disabled()),
        };
        Ok(connector.get_or_init(|| self.build(proxy)))
    }
}

impl HttpConnector for RoutingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_object = request.uri().contains(OBJECT_QUERY);
        match self.find_connector(request.uri()) {
            Ok(connector) => {
                let answer = connector.call(request);
                HttpConnectorFuture::new(async move { Ok(limit_answer(answer.await?, is_object)) })
            }
            // Not an I/O error, so the SDK does not retry.
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

/// Limits an answer that the SDK reads as a whole. The readers of objects (`get.rs`) have limits of
/// their own.
fn limit_answer(answer: HttpResponse, is_object: bool) -> HttpResponse {
    let is_success = answer.status().is_success();
    if is_object && is_success {
        return answer;
    }
    let limit = if is_success {
        MAX_ANSWER_BYTES
    } else {
        MAX_ERROR_BYTES
    };
    answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, limit)))
}

#[cfg(test)]
mod tests {
    use std::fs;

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
