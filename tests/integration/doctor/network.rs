//! `doctor` with a broken network, clock or certificate: it names the cause once and skips later
//! requests.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;

use crate::doctor::healthy::{prepare_customer_folder, run_doctor};
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::{World, refused_endpoint};

/// The checks that need S3.
const OF_S3: [&str; 8] = [
    "bucket",
    "region",
    "s3:ListBucket",
    "s3:PutObject",
    "s3:GetObject",
    "conditions",
    "read back",
    "versioning",
];

fn examine(world: &mut World, arguments: &[&str]) -> crate::doctor::healthy::Diagnosis {
    let folder = prepare_customer_folder(world);
    let mut all = vec![folder.to_str().expect("UTF-8")];
    all.extend(arguments);
    run_doctor(world, &all)
}

#[test]
fn names_a_refused_connection_once() {
    let mut world = World::new();
    world.set_endpoint(&refused_endpoint());
    let found = examine(&mut world, &[]);
    found.assert_failed(6, &["network"]).assert_check(
        "network",
        "bad",
        "refused",
        "check the network, VPN and proxy",
    );
    for check in OF_S3 {
        found.assert_check(check, "unknown", "not asked: S3 does not answer", "");
    }
    found
        .assert_check(
            "credentials",
            "unknown",
            "not asked: STS does not answer",
            "",
        )
        .assert_check("clock", "unknown", "", "");
    found
        .assert_check("unit", "ok", "", "")
        .assert_check("helper", "ok", "", "");
}

#[test]
fn asks_a_black_hole_once_and_reports_the_other_checks() {
    let mut world = World::new();
    let hole = FaultyProxy::black_hole();
    world.set_endpoint(&hole.endpoint());
    let found = examine(&mut world, &["--timeout", "3"]);
    found.assert_failed(6, &["network"]).assert_check(
        "network",
        "bad",
        "no answer in time",
        "check the network, VPN and proxy",
    );
    for check in OF_S3 {
        found.assert_check(check, "unknown", "not asked: S3 does not answer", "");
    }
    found.assert_check("dependents", "ok", "", "");
    assert_eq!(hole.count_requests("PUT "), 0);
}

#[test]
fn a_black_hole_between_the_requests_ends_within_the_limit() {
    let mut world = World::new();
    let proxy = FaultyProxy::start(&world.server.endpoint(), |line| {
        if line.starts_with("PUT ") {
            RequestFate::Silence
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let found = examine(&mut world, &["--timeout", "6"]);
    found.assert_failed(6, &["s3:PutObject"]).assert_check(
        "s3:PutObject",
        "bad",
        "no answer in time",
        "check the network",
    );
    for check in ["conditions", "read back"] {
        found.assert_check(check, "unknown", "no answer in time", "");
    }
    found
        .assert_check("network", "ok", "", "")
        .assert_check("credentials", "ok", "john.doe", "");
}

#[test]
fn does_not_wait_for_a_hanging_check_or_count_it_as_ok() {
    let mut world = World::new();
    // A FIFO without a writer.
    let fifo = world.path().join("bundle.pem");
    assert!(
        world
            .command("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo")
            .success()
    );
    world.set_variable("AWS_CA_BUNDLE", fifo.to_str());
    let found = examine(&mut world, &["--timeout", "3"]);
    assert_eq!(
        (
            found.code,
            found.checks_with_status("bad").len(),
            &found.said["exit"]
        ),
        (Some(6), 0, &6.into()),
        "{found:?}"
    );
    for check in OF_S3 {
        found.assert_check(check, "unknown", "no result within 3 s", "");
    }
    found
        .assert_check("unit", "ok", "", "")
        .assert_check("helper", "ok", "", "");
}

#[test]
fn names_a_captive_portal() {
    let mut world = World::new();
    let portal = FaultyProxy::captive_portal();
    world.set_endpoint(&portal.endpoint());
    let found = examine(&mut world, &[]);
    found
        .assert_failed(6, &["network"])
        .assert_check("network", "bad", "", "captive portal");
    assert_eq!(portal.count_requests("PUT "), 0);
}

#[test]
fn names_an_sts_without_answer_if_s3_answers() {
    let mut world = World::new();
    let s3 = world.server.endpoint();
    world.set_endpoint(&refused_endpoint());
    world.set_s3_endpoint(&s3);
    let found = examine(&mut world, &[]);
    found.assert_failed(6, &["network"]).assert_check(
        "network",
        "bad",
        "ask STS who deploys",
        "check the network",
    );
    found
        .assert_check("s3:PutObject", "ok", "", "")
        .assert_check("owner", "unknown", "not asked", "");
}

/// An HTTP date some minutes from now.
fn http_date(minutes: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::minutes(minutes))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn with_clock(status: &str, minutes: i64, body: &'static str) -> (World, FaultyProxy) {
    let mut world = World::new();
    let status: &'static str = format!("{status}\r\ndate: {}", http_date(minutes)).leak();
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.starts_with("GET /mongodb-arena/?list-type=2") {
            RequestFate::Answer(status, body)
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    (world, proxy)
}

#[test]
fn reports_a_wrong_clock_before_aws_refuses_it() {
    const LIST: &str = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>mongodb-arena</Name><Prefix></Prefix>\
                        <KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";
    for (minutes, words) in [
        (-8, "8 minutes ahead of that of S3"),
        (8, "minutes behind that of S3"),
    ] {
        let (mut world, _proxy) = with_clock("200 OK", minutes, LIST);
        let found = examine(&mut world, &[]);
        found
            .assert_failed(4, &["clock"])
            .assert_check("clock", "bad", words, "set the clock")
            .assert_check("s3:PutObject", "ok", "", "");
    }
    let (mut world, _proxy) = with_clock("200 OK", -3, LIST);
    examine(&mut world, &[])
        .assert_no_problem()
        .assert_check("clock", "ok", "18", "");
}

#[test]
fn reports_a_refused_clock_instead_of_the_credentials() {
    const SKEWED: &str = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current \
                          time is too large.</Message></Error>";
    let (mut world, proxy) = with_clock("403 Forbidden", -40, SKEWED);
    let found = examine(&mut world, &[]);
    found.assert_failed(4, &["clock"]).assert_check(
        "clock",
        "bad",
        "40 minutes ahead",
        "set the clock",
    );
    found
        .assert_check("credentials", "unknown", "with a wrong clock", "")
        .assert_check("s3:PutObject", "unknown", "with a wrong clock", "");
    assert_eq!(proxy.count_requests("PUT "), 0);
}

/// Starts a TLS server with a self-signed certificate; returns its endpoint and the certificate.
fn untrusted_authority() -> (String, String) {
    let made =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .and_then(|builder| {
        builder
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
    })
    .map(Arc::new)
    .expect("a TLS server");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let mut connection =
                rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            // The client closes the connection, as the test expects.
            let _ = connection.complete_io(&mut stream);
        }
    });
    (endpoint, made.cert.pem())
}

#[test]
fn names_an_untrusted_certificate_and_its_setting() {
    let mut world = World::new();
    let (endpoint, _) = untrusted_authority();
    // Trusts another authority, so that missing certificates are not the cause.
    let bundle = world.path().join("authority.pem");
    std::fs::write(&bundle, untrusted_authority().1).expect("a bundle");
    world.set_variable("AWS_CA_BUNDLE", bundle.to_str());
    world.set_endpoint(&endpoint);
    let found = examine(&mut world, &[]);
    found.assert_failed(6, &["network"]).assert_check(
        "network",
        "bad",
        "certificate",
        "AWS_CA_BUNDLE",
    );
    found.assert_check("certificates", "ok", "authority.pem", "");
}

#[test]
fn names_an_unreadable_certificate_bundle() {
    let mut world = World::new();
    world.set_variable("AWS_CA_BUNDLE", Some("/no/such/bundle.pem"));
    let found = examine(&mut world, &[]);
    found.assert_failed(3, &["certificates"]).assert_check(
        "certificates",
        "bad",
        "/no/such/bundle.pem",
        "correct AWS_CA_BUNDLE",
    );
    found.assert_check(
        "network",
        "unknown",
        "not asked: the certificates cannot be read",
        "",
    );
}
