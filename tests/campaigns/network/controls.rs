//! Negative controls of the network campaign: broken helpers with the counter that must find them,
//! and a proxy without faults.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::bad_endpoints::{AffectedServices, BadEndpoint};
use crate::http1::{self, HttpMessage, MessageSide};
use crate::network::oracle::{NetworkDeployment, NetworkFindings};
use crate::network::runs::{BucketBefore, FaultPhase, FaultScope, NetworkRun, NetworkTrouble};
use crate::network::{
    FAULT_NOT_MET, config_of_deployment, prepare_world, run_judged, run_until_met,
};
use crate::request_faults::RequestFault;
use crate::rule_proxy::{ProxyFront, RuleProxy};
use test_support::{BUCKET, SECRET_CANARIES};

/// The counters that find violations of a broken helper.
fn counters_found(
    script: &str,
    trouble: NetworkTrouble,
    phase: FaultPhase,
    timeout: u64,
) -> Vec<&'static str> {
    let scope = FaultScope::During(phase, AffectedServices::Both);
    let it = NetworkRun {
        kind: "control",
        trouble,
        scope,
        before: BucketBefore::Nothing,
        states_sums: true,
        newer: false,
    };
    let findings = run_judged(&it, Some(script), Duration::from_secs(timeout)).findings;
    findings
        .counters()
        .into_iter()
        .filter(|(_, found)| !found.is_empty())
        .map(|(name, _)| name)
        .collect()
}

const REFUSED_ENDPOINT: NetworkTrouble = NetworkTrouble::Place(BadEndpoint::Refused);
const SLOW_REQUEST: NetworkTrouble = NetworkTrouble::Wire(RequestFault::Slow);

#[test]
fn finds_nothing_wrong_with_the_real_helper() {
    assert_eq!(
        counters_found(
            r#"exec "$real" "$@""#,
            REFUSED_ENDPOINT,
            &["context", "deploy"],
            20
        ),
        [""; 0]
    );
}

#[test]
fn counts_a_helper_that_sleeps_past_the_deadline_as_blocking() {
    let script = r#""$real" "$@"; [ "$1" != deploy ] || sleep 8"#;
    assert_eq!(
        counters_found(script, REFUSED_ENDPOINT, &["deploy"], 1),
        ["blocked"]
    );
}

#[test]
fn counts_a_helper_that_empties_the_spool_as_losing() {
    let script =
        r#""$real" "$@"; [ "$1" != deploy ] || rm -f "$HOME/.local/state/config-backup/spool/"*"#;
    assert_eq!(
        counters_found(script, REFUSED_ENDPOINT, &["deploy"], 20),
        ["lost"]
    );
}

#[test]
fn counts_a_helper_that_logs_twice_as_duplicating() {
    // In another second, because otherwise the name of the record is taken by the first.
    let script = r#"
        [ "$1" = deploy ] || exec "$real" "$@"
        query=$(cat)
        printf %s "$query" | "$real" deploy
        rm -rf "$HOME/.local/state/config-backup/deployments"
        sleep 1.1
        printf %s "$query" | "$real" deploy >/dev/null"#;
    assert_eq!(
        counters_found(script, SLOW_REQUEST, &["context"], 20),
        ["duplicated"]
    );
}

#[test]
fn counts_a_helper_that_hides_its_warning_as_silent() {
    let lies = |lie: &str| {
        counters_found(
            &format!(r#""$real" "$@" | sed '{lie}'"#),
            REFUSED_ENDPOINT,
            &["deploy"],
            20,
        )
    };
    assert_eq!(lies(r#"s/"status":"error"/"status":"ok"/"#), ["silent"]);
    assert_eq!(
        lies(r#"s/"status":"error"/"status":"warning"/"#),
        ["silent"]
    );
    assert_eq!(lies(r#"s/"message":"[^"]*"/"message":""/"#), ["silent"]);
}

#[test]
fn counts_a_leaked_secret_or_a_failure_as_odd() {
    let tells = format!(
        r#""$real" "$@" | sed 's/"message":"/&{} /'"#,
        SECRET_CANARIES[0]
    );
    assert_eq!(
        counters_found(&tells, REFUSED_ENDPOINT, &["deploy"], 20),
        ["odd"]
    );
    assert_eq!(
        counters_found(r#""$real" "$@"; exit 1"#, REFUSED_ENDPOINT, &["deploy"], 20),
        ["odd"]
    );
}

#[test]
fn rejects_a_run_whose_fault_hits_no_request() {
    let scope = FaultScope::During(&["nothing"], AffectedServices::Both);
    let it = NetworkRun {
        kind: "control",
        trouble: SLOW_REQUEST,
        scope,
        before: BucketBefore::Nothing,
        states_sums: true,
        newer: false,
    };
    let result = run_until_met(&it);
    assert_eq!(
        (result.met, result.findings.descriptions()),
        (false, vec![format!("odd: {FAULT_NOT_MET}")])
    );
}

#[test]
fn counts_a_torn_object_as_lost() {
    let (world, unit, _) = prepare_world(BucketBefore::Nothing);
    let deployed = [NetworkDeployment::new(
        &world,
        unit.deploy(&world).expect_success(),
        config_of_deployment(BucketBefore::Nothing),
    )];
    let findings = || {
        let mut findings = NetworkFindings::default();
        findings.check_after_healing(&world, &deployed);
        findings.descriptions()
    };
    assert_eq!(findings(), [""; 0]);
    let key = world
        .server
        .keys(BUCKET, "terragrunt/airbnb/config-history/")
        .remove(0);
    let object = world.server.object(BUCKET, &key).expect("it");
    let metadata: Vec<_> = object
        .metadata
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    world
        .server
        .put(
            BUCKET,
            &key,
            &object.body[..object.body.len() - 1],
            &metadata,
        )
        .expect("written");
    let found = findings();
    assert!(
        found.iter().any(|it| it.contains("is torn"))
            && found.iter().all(|it| it.starts_with("lost: ")),
        "{found:?}"
    );
}

#[test]
fn several_requests_on_one_connection_pass_byte_for_byte() {
    // An echo server.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}", server.local_addr().unwrap());
    let echo = thread::spawn(move || {
        for mut client in server.incoming().take(2).map(Result::unwrap) {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let head = http1::read_head(&mut reader).unwrap().unwrap();
            let body = http1::read_body(&mut reader, &head, MessageSide::Request).unwrap();
            let got = HttpMessage { head, body }.to_bytes();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.len());
            client.write_all(&[head.as_bytes(), &got].concat()).unwrap();
        }
    });
    let proxy = RuleProxy::start(&upstream, ProxyFront::Http, Box::new(|_| None));
    let mut client = TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).unwrap();
    let requests = [
        "PUT /b/k HTTP/1.1\r\nhOsT:  x:1\r\ncontent-length: 2\r\n\r\n\0\n",
        "POST / HTTP/1.1\r\nHost: y\r\n\r\n",
    ];
    client.write_all(requests.concat().as_bytes()).unwrap();
    let mut reader = BufReader::new(client);
    for request in requests {
        assert_eq!(
            http1::read_answer(&mut reader, MessageSide::Answer)
                .unwrap()
                .body,
            request.as_bytes()
        );
    }
    echo.join().unwrap();
    assert_eq!((proxy.seen_requests().len(), proxy.hit_count()), (2, 0));
}
