//! TLS servers with valid and invalid certificates, and the authority that clients trust.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::rule_proxy::{ProxyFront, RuleProxy};
use test_support::World;
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateFlaw {
    None,
    /// It is self-signed, by an issuer that clients do not trust.
    UnknownIssuer,
    /// It is for another name.
    WrongName,
    /// It has expired.
    Expired,
}

/// An authority that clients with its [`CertificateAuthority::pem`] trust.
pub(crate) struct CertificateAuthority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// One for all tests, because generating keys takes time.
pub(crate) static AUTHORITY: LazyLock<CertificateAuthority> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    CertificateAuthority {
        certificate,
        issuer: Issuer::new(params, key),
    }
});

impl CertificateAuthority {
    /// The certificate of the authority, for `AWS_CA_BUNDLE`.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn server_config(&self, flaw: CertificateFlaw) -> Arc<ServerConfig> {
        let name = if flaw == CertificateFlaw::WrongName {
            "elsewhere.example"
        } else {
            "127.0.0.1"
        };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if flaw == CertificateFlaw::Expired {
            (params.not_before, params.not_after) = (
                rcgen::date_time_ymd(2020, 1, 1),
                rcgen::date_time_ymd(2021, 1, 1),
            );
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match flaw {
            CertificateFlaw::UnknownIssuer => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let chain = vec![certificate.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        Arc::new(config.expect("a TLS server"))
    }
}

/// Deploys over TLS with the authority in this variable, if any; returns the number of requests.
fn deploy_over_https(variable: Option<&str>, judge: fn(AppliedDeployment)) -> usize {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("timeout", "60");
    let proxy = RuleProxy::start(
        &world.server.endpoint(),
        ProxyFront::Https(AUTHORITY.server_config(CertificateFlaw::None)),
        Box::new(|_| None),
    );
    world.set_endpoint(&proxy.endpoint());
    let bundle = world.path().join("authority.pem");
    std::fs::write(&bundle, AUTHORITY.pem()).expect("a bundle");
    if let Some(name) = variable {
        world.set_variable(name, Some(bundle.to_str().expect("UTF-8")));
    }
    judge(unit.deploy(&world));
    proxy.seen_requests().len()
}

#[test]
fn deploys_over_https() {
    for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let requests = deploy_over_https(Some(variable), |applied| drop(applied.expect_success()));
        assert!(requests > 0, "{variable}");
    }
}

#[test]
fn sends_no_request_to_an_untrusted_server() {
    let requests = deploy_over_https(None, |applied| {
        assert!(
            applied.expect_warning().contains("certificate"),
            "{applied:?}"
        );
    });
    assert_eq!(requests, 0);
}
