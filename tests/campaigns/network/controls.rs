//! Negative controls of the network campaign: helpers that are broken in one way each, and the counter that finds it; and a
//! proxy that breaks nothing.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::bad_endpoints::{Place, Which};
use crate::http1::{self, Message, Side};
use crate::network::oracle::{Deployed, Findings};
use crate::network::runs::{Before, Phase, Run, Scope, Trouble};
use crate::network::{NOBODY, begin, judged, now, until_met};
use crate::request_faults::Fault;
use crate::rule_proxy::{Front, Proxy};
use test_support::{BUCKET, SECRET_CANARIES};

/// What a broken helper is found to do wrong, by the counters.
fn found(script: &str, trouble: Trouble, phase: Phase, timeout: u64) -> Vec<&'static str> {
    let scope = Scope::During(phase, Which::Both);
    let it = Run {
        kind: "control",
        trouble,
        scope,
        before: Before::Nothing,
        states_sums: true,
        newer: false,
    };
    let findings = judged(&it, Some(script), Duration::from_secs(timeout)).findings;
    findings
        .counters()
        .into_iter()
        .filter(|(_, found)| !found.is_empty())
        .map(|(name, _)| name)
        .collect()
}

const REFUSED: Trouble = Trouble::Place(Place::Nobody);
const SLOW: Trouble = Trouble::Wire(Fault::Slow);

#[test]
fn a_helper_that_is_whole_is_found_to_do_nothing_wrong() {
    assert_eq!(
        found(r#"exec "$real" "$@""#, REFUSED, &["context", "deploy"], 20),
        [""; 0]
    );
}

#[test]
fn a_helper_that_sleeps_past_the_deadline_is_found_to_block() {
    let script = r#""$real" "$@"; [ "$1" != deploy ] || sleep 8"#;
    assert_eq!(found(script, REFUSED, &["deploy"], 1), ["blocked"]);
}

#[test]
fn a_helper_that_empties_the_spool_is_found_to_lose() {
    let script =
        r#""$real" "$@"; [ "$1" != deploy ] || rm -f "$HOME/.local/state/config-backup/spool/"*"#;
    assert_eq!(found(script, REFUSED, &["deploy"], 20), ["lost"]);
}

#[test]
fn a_helper_that_logs_twice_is_found_to_duplicate() {
    // In another second, or the record's name would be taken, and by itself.
    let script = r#"
        [ "$1" = deploy ] || exec "$real" "$@"
        query=$(cat)
        printf %s "$query" | "$real" deploy
        rm -rf "$HOME/.local/state/config-backup/deployments"
        sleep 1.1
        printf %s "$query" | "$real" deploy >/dev/null"#;
    assert_eq!(found(script, SLOW, &["context"], 20), ["duplicated"]);
}

#[test]
fn a_helper_that_swallows_its_warning_is_found_to_be_silent() {
    let lies = |lie: &str| {
        found(
            &format!(r#""$real" "$@" | sed '{lie}'"#),
            REFUSED,
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
fn a_helper_that_tells_a_secret_or_fails_is_found_to_be_odd() {
    let tells = format!(
        r#""$real" "$@" | sed 's/"message":"/&{} /'"#,
        SECRET_CANARIES[0]
    );
    assert_eq!(found(&tells, REFUSED, &["deploy"], 20), ["odd"]);
    assert_eq!(
        found(r#""$real" "$@"; exit 1"#, REFUSED, &["deploy"], 20),
        ["odd"]
    );
}

#[test]
fn a_fault_that_meets_nobody_is_no_run() {
    let scope = Scope::During(&["nothing"], Which::Both);
    let it = Run {
        kind: "control",
        trouble: SLOW,
        scope,
        before: Before::Nothing,
        states_sums: true,
        newer: false,
    };
    let result = until_met(&it);
    assert_eq!(
        (result.met, result.findings.all()),
        (false, vec![format!("odd: {NOBODY}")])
    );
}

#[test]
fn an_object_that_is_torn_is_found_to_be_lost() {
    let (world, unit, _) = begin(Before::Nothing);
    let deployed = [Deployed::now(
        &world,
        unit.deploy(&world).expect_success(),
        now(Before::Nothing),
    )];
    let findings = || {
        let mut findings = Findings::default();
        findings.healed(&world, &deployed);
        findings.all()
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
    // A server that answers with what it got.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}", server.local_addr().unwrap());
    let echo = thread::spawn(move || {
        for mut client in server.incoming().take(2).map(Result::unwrap) {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let head = http1::read_head(&mut reader).unwrap().unwrap();
            let body = http1::read_body(&mut reader, &head, Side::Request).unwrap();
            let got = Message { head, body }.bytes();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.len());
            client.write_all(&[head.as_bytes(), &got].concat()).unwrap();
        }
    });
    let proxy = Proxy::start(&upstream, Front::Http, Box::new(|_| None));
    let mut client = TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).unwrap();
    let requests = [
        "PUT /b/k HTTP/1.1\r\nhOsT:  x:1\r\ncontent-length: 2\r\n\r\n\0\n",
        "POST / HTTP/1.1\r\nHost: y\r\n\r\n",
    ];
    client.write_all(requests.concat().as_bytes()).unwrap();
    let mut reader = BufReader::new(client);
    for request in requests {
        assert_eq!(
            http1::read_answer(&mut reader, Side::Answer).unwrap().body,
            request.as_bytes()
        );
    }
    echo.join().unwrap();
    assert_eq!((proxy.seen().len(), proxy.hits()), (2, 0));
}
