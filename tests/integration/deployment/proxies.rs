//! Proxies: which requests they get, and that no password of a proxy or URL is shown.

use std::process::Output;

use serde_json::Value;

use crate::deployment::secrets::read_all_files;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, World, to_text};

const PASSWORD: &str = "hushhush";

/// URLs with a password, most of them malformed. Nothing listens at their addresses.
const URLS: [&str; 27] = [
    "http://jane:hushhush@127.0.0.1:1",
    "jane:hushhush@127.0.0.1:1",
    "hushhush@127.0.0.1:1",
    ":hushhush@127.0.0.1:1",
    "http:/jane:hushhush@127.0.0.1:1",
    "http:jane:hushhush@127.0.0.1:1",
    "//jane:hushhush@127.0.0.1:1",
    "HTTP://jane:hushhush@127.0.0.1:1",
    "https://jane:hushhush@127.0.0.1:1",
    "socks5://jane:hushhush@127.0.0.1:1",
    "socks5h://jane:hushhush@127.0.0.1:1",
    "hushhush://jane@127.0.0.1:1",
    "http://jane:a/hushhush@127.0.0.1:1",
    "http://jane:1/hushhush@127.0.0.1:1",
    "http://jane:a@hushhush@127.0.0.1:1",
    "http://hushhush@a@127.0.0.1:1",
    "http://jane:1?hushhush@127.0.0.1:1",
    "http://jane:1#hushhush@127.0.0.1:1",
    "http://jane:a hushhush@127.0.0.1:1",
    "http://jane:a%40hushhush@127.0.0.1:1",
    "http://jane:hushhush%40127.0.0.1:1",
    "http://jane:hushhush@[::1]:1",
    "http://jane:hushhush@[::1",
    "http://jane:hushhush@127.0.0.1:port",
    "http://jane:hushhush@127.0.0.1:1 ",
    "http://jane:a\nhushhush@127.0.0.1:1",
    "http://jane:hushhush",
];

fn assert_hides_password(url: &str, what: &str, content: &str) {
    assert!(
        !content.contains(PASSWORD),
        "{url:?}: {what} has the password: {content}"
    );
}

fn run_doctor(world: &World) -> Output {
    let arguments = ["doctor", "--bucket", BUCKET, "--timeout", "5", "--json"];
    world.helper_command(&arguments).output().expect("doctor")
}

/// What `doctor` saw of the proxy, and its status.
fn seen_proxy(world: &World) -> String {
    let said: Value = serde_json::from_slice(&run_doctor(world).stdout).expect("JSON");
    let checks = said["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|check| check["check"] == "proxy")
        .expect("it");
    format!(
        "{}: {}",
        string_field(check, "status"),
        string_field(check, "seen")
    )
}

/// Deploys, and looks for the password in the output, on this machine and in the bucket. Returns
/// the message of the deployment.
fn deploy_and_search(world: &World, url: &str) -> String {
    let deployed = CustomerUnit::new(world).deploy(world);
    assert_hides_password(url, "the deployment", &format!("{deployed:?}"));
    let outputs = [
        ("doctor", run_doctor(world)),
        (
            "status",
            world.helper_command(&["status"]).output().expect("status"),
        ),
    ];
    for (what, output) in outputs {
        let said = to_text(&output.stdout) + &to_text(&output.stderr);
        assert_hides_password(url, what, &said);
    }
    for (name, content) in read_all_files(&world.home()) {
        assert_hides_password(url, &name, &format!("{name} {content}"));
    }
    for key in world.server.keys(BUCKET, "") {
        let object = world.server.object(BUCKET, &key).expect("it");
        assert_hides_password(url, &key, &to_text(&object.body));
    }
    deployed.message().to_owned()
}

#[test]
fn no_proxy_password_is_shown_however_malformed_the_url() {
    for url in URLS {
        let mut world = World::new();
        world.set_endpoint("https://s3.us-east-1.amazonaws.com");
        world.set_variable("HTTPS_PROXY", Some(url));
        let message = deploy_and_search(&world, url);
        let is_named = message.contains("check the network, VPN and proxy (http")
            || message.contains("the proxy in HTTPS_PROXY cannot be used: it")
                && message.contains("; correct HTTPS_PROXY, or list the host in NO_PROXY");
        assert!(is_named, "{url:?}: {message}");
    }
}

#[test]
fn no_endpoint_password_is_shown_however_malformed_the_url() {
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"] {
        for url in URLS {
            let mut world = World::new();
            world.set_variable(name, Some(url));
            let message = deploy_and_search(&world, url);
            let is_named = message.contains("check the network")
                || message.contains("endpoint cannot be used: it")
                || message.contains("correct AWS_ENDPOINT_URL_*");
            assert!(is_named, "{name} {url:?}: {message}");
        }
    }
}

#[test]
fn an_endpoint_with_a_password_is_refused_with_its_cause() {
    let mut world = World::new();
    let endpoint = world.server.endpoint();
    let url = endpoint.replace("http://", "http://jane:hushhush@");
    world.set_s3_endpoint(&url);
    let message = deploy_and_search(&world, &url);
    for words in [
        "the endpoint cannot be used: it has a user name or password",
        "; correct AWS_ENDPOINT_URL_*, ",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn no_password_of_the_url_for_credentials_is_shown_however_malformed_the_url() {
    for url in URLS {
        let mut world = World::new();
        // In place of the profile's credentials, which come first.
        std::fs::remove_file(world.home().join(".aws/credentials")).expect("it");
        world.set_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", Some(url));
        let message = deploy_and_search(&world, url);
        assert!(message.contains("cannot"), "{url:?}: {message}");
    }
}

#[test]
fn no_run_url_password_is_recorded_however_malformed_the_url() {
    for url in URLS {
        let mut world = World::new();
        world.set_variable("JENKINS_URL", Some("https://ci.example"));
        world.set_variable("BUILD_URL", Some(&format!("{url}/job/1")));
        deploy_and_search(&world, url);
        let records = world.usage_records();
        assert_eq!(records[0].1["ci"]["provider"], "jenkins", "{url:?}");
    }
}

/// An address that only a proxy can find.
const HIDDEN_ENDPOINT: &str = "http://s3.corp.invalid:9000";

#[test]
fn requests_reach_a_host_that_only_the_proxy_knows() {
    for variable in ["HTTP_PROXY", "http_proxy"] {
        let mut world = World::new();
        let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
        let address = proxy.endpoint().replace("http://", "jane:hushhush@");
        world.set_endpoint(HIDDEN_ENDPOINT);
        world.set_variable(variable, Some(&address));
        CustomerUnit::new(&world).deploy(&world).expect_success();
        let head = format!("PUT {HIDDEN_ENDPOINT}/{BUCKET}/terragrunt/airbnb/config.yaml");
        assert_eq!(proxy.count_requests(&head), 1);
        assert_eq!(
            proxy.count_requests(&format!("POST {HIDDEN_ENDPOINT}/")),
            2,
            "STS"
        );
        let seen = format!(
            "ok: requests to s3.corp.invalid:9000 go through {}",
            proxy.endpoint()
        );
        assert_eq!(seen_proxy(&world), seen);
    }
}

#[test]
fn no_proxy_excludes_hosts_as_go_reads_it() {
    for (no_proxy, is_excluded) in [
        ("s3.corp.invalid", true),
        (" other , S3.corp.invalid:9000", true),
        ("*.corp.invalid", true),
        ("*", true),
        ("s3.corp.invalid:80", false),
        (".s3.corp.invalid", false),
        ("corp", false),
    ] {
        let mut world = World::new();
        let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
        world.set_endpoint(HIDDEN_ENDPOINT);
        world.set_variable("HTTP_PROXY", Some(&proxy.endpoint()));
        world.set_variable("NO_PROXY", Some(no_proxy));
        let seen = seen_proxy(&world);
        let words = "ok: none for s3.corp.invalid:9000, which NO_PROXY excludes";
        assert_eq!(seen == words, is_excluded, "{no_proxy}: {seen}");
        let deployed = CustomerUnit::new(&world).deploy(&world);
        if is_excluded {
            let message = deployed.expect_warning();
            assert!(
                message.contains("check the network, VPN and proxy"),
                "{message}"
            );
            assert!(!message.contains(&proxy.endpoint()), "{message}");
            assert_eq!(proxy.count_requests(""), 0, "{no_proxy}");
        } else {
            deployed.expect_success();
        }
    }
}

#[test]
fn https_requests_ask_the_proxy_for_a_tunnel() {
    const REFUSED: (&str, &str) = ("403 Forbidden", "");
    let mut world = World::new();
    let proxy = FaultyProxy::start("", |_| RequestFate::Answer(REFUSED.0, REFUSED.1));
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"] {
        world.set_variable(name, None);
    }
    world.set_variable("https_proxy", Some(&proxy.endpoint()));
    // This one is not for HTTPS, and the other not for Go.
    world.set_variable("HTTP_PROXY", Some("http://127.0.0.1:1"));
    world.set_variable("ALL_PROXY", Some("http://127.0.0.1:1"));
    let deployed = CustomerUnit::new(&world).deploy(&world);
    let named = format!("check the network, VPN and proxy ({})", proxy.endpoint());
    assert!(deployed.expect_warning().contains(&named), "{deployed:?}");
    for host in ["mongodb-arena.s3.us-east-1", "sts.us-east-1"] {
        let head = format!("CONNECT {host}.amazonaws.com:443 ");
        assert!(proxy.count_requests(&head) > 0, "{head}");
    }
    let host = "mongodb-arena.s3.us-east-1.amazonaws.com";
    let seen = format!("ok: requests to {host} go through {}", proxy.endpoint());
    assert_eq!(seen_proxy(&world), seen);
}

#[test]
fn requests_to_this_machine_need_no_proxy() {
    let mut world = World::new();
    world.set_variable("HTTP_PROXY", Some("http://127.0.0.1:1"));
    CustomerUnit::new(&world).deploy(&world).expect_success();
    let host = world.server.endpoint().replace("http://", "");
    assert_eq!(
        seen_proxy(&world),
        format!("ok: none for {host}, which is this machine")
    );
}

#[test]
fn doctor_names_an_unusable_proxy_by_its_variable() {
    let mut world = World::new();
    world.set_endpoint("https://s3.us-east-1.amazonaws.com");
    world.set_variable("HTTPS_PROXY", Some("socks5://127.0.0.1:1"));
    assert_eq!(
        seen_proxy(&world),
        "bad: the proxy in HTTPS_PROXY cannot be used: it is not an http or https URL"
    );
    assert_eq!(run_doctor(&world).status.code(), Some(6));
}

#[test]
fn doctor_says_that_all_proxy_does_not_count() {
    let mut world = World::new();
    assert_eq!(seen_proxy(&world), "ok: none is set");
    world.set_variable("all_proxy", Some("http://jane:hushhush@127.0.0.1:1"));
    assert_eq!(
        seen_proxy(&world),
        "ok: none is set: all_proxy is not used, as in Terraform"
    );
}
