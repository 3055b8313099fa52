//! TLS servers with good and with bad certificates, and the authority that clients trust.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// It is signed by itself and by nobody that clients trust.
    UnknownIssuer,
    /// It is somebody else's.
    WrongName,
    /// It was good once.
    Expired,
}

/// An authority that clients trust, if they are given its [`Authority::pem`].
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// One for all tests: to make keys takes time.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    Authority { certificate, issuer: Issuer::new(params, key) }
});

impl Authority {
    /// The authority's certificate, as `AWS_CA_BUNDLE` has it.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// What a server at 127.0.0.1 needs.
    pub(crate) fn server(&self, flaw: Flaw) -> Arc<ServerConfig> {
        let name = if flaw == Flaw::WrongName { "elsewhere.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if flaw == Flaw::Expired {
            (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match flaw {
            Flaw::UnknownIssuer => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let chain = vec![certificate.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        Arc::new(config.expect("a TLS server"))
    }
}
