//! The table of causes in docs/troubleshooting.md: each cause is brought about, and the deployment
//! then says what the table promises.

use std::fs;

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::terraform_steps::CustomerUnit;
use test_support::{World, project_dir, refused_endpoint};

/// What a scenario needs until the deployment is over.
type Running = Option<FaultyProxy>;

struct CauseRow {
    cause: String,
    message: String,
    advice: String,
}

fn read_table() -> Vec<CauseRow> {
    let page = fs::read_to_string(project_dir().join("docs/troubleshooting.md")).expect("a page");
    let (_, section) = page.split_once("## Why AWS refuses").expect("the section");
    let table = section.split("\n## ").next().unwrap_or_default();
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [cause, message, advice] = cells[..] else {
            panic!("three cells: {line}");
        };
        rows.push(CauseRow {
            cause: cause.to_owned(),
            message: message.trim_matches('`').trim().to_owned(),
            advice: advice.trim_matches('`').trim().to_owned(),
        });
    }
    rows
}

/// Whether a text has these parts, which `…` separates, in this order.
fn has_parts(text: &str, parts: &str) -> bool {
    let mut rest = text;
    parts
        .split('…')
        .all(|part| match rest.split_once(part.trim()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

/// Deploys under a cause, and compares the message with the table.
fn check_cause(cause: &str, arrange: fn(&mut World, &mut CustomerUnit) -> Running) {
    let rows = read_table();
    let row = rows.iter().find(|row| row.cause == cause);
    let row = row.unwrap_or_else(|| panic!("the table has no row for `{cause}`"));
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    let _running = arrange(&mut world, &mut unit);
    let deployed = unit.deploy(&world);
    let said = deployed.expect_warning();
    assert!(has_parts(said, &row.message), "{cause}: {said}");
    assert!(has_parts(said, &row.advice), "{cause}: {said}");
    assert!(!said.contains("canary"), "{said}");
}

macro_rules! causes {
    ($($test:ident: $cause:literal, $arrange:expr;)+) => {
        $(
            #[test]
            fn $test() {
                check_cause($cause, $arrange);
            }
        )+

        #[test]
        fn each_row_of_the_table_has_a_test() {
            let tested = [$($cause),+];
            for row in read_table() {
                assert!(tested.contains(&row.cause.as_str()), "{}", row.cause);
            }
        }
    };
}

causes! {
    no_credentials: "no credentials anywhere", |world, _| {
        fs::remove_file(world.home().join(".aws/credentials")).expect("removed");
        None
    };
    missing_profile: "a profile that is not on this machine", |_, unit| {
        unit.set_variable("aws_profile", "gone");
        None
    };
    profile_without_prefix: "a section without the prefix of a profile", |world, unit| {
        use_profile(world, unit, "[team]\nregion = us-east-1\n")
    };
    missing_source_profile: "a chain with a missing profile", |world, unit| {
        use_profile(world, unit, "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = gone\n")
    };
    circular_chain: "a chain in a circle", |world, unit| {
        use_profile(world, unit, "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = b\n\
                                  [profile b]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = team\n")
    };
    half_an_access_key: "half an access key", |world, unit| {
        use_profile(world, unit, "[profile team]\naws_access_key_id = AKIADEFAULT\n")
    };
    missing_sso_session: "a missing SSO session", |world, unit| {
        use_profile(world, unit, "[profile team]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = x\n")
    };
    no_sso_login: "no SSO login", |world, unit| {
        use_profile(world, unit, "[profile team]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = x\n\
                                  [sso-session corp]\nsso_start_url = https://corp.example\nsso_region = us-east-1\n")
    };
    failed_process: "a `credential_process` that fails", |world, unit| {
        use_profile(world, unit, "[profile team]\ncredential_process = /bin/sh -c 'echo canary >&2; exit 1'\n")
    };
    unreadable_file: "a file that cannot be read", |world, unit| {
        let path = world.home().join(".aws/config");
        fs::create_dir(path).expect("a folder in its place");
        unit.set_variable("aws_profile", "team");
        None
    };
    unknown_access_key: "an unknown access key", |world, unit| {
        use_profile(world, unit, "[profile team]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = canary\n")
    };
    quoted_access_key: "an access key that tools read otherwise", |world, unit| {
        use_profile(world, unit, "[profile team]\naws_access_key_id = \"AKIANOBODY\"\naws_secret_access_key = canary\n")
    };
    wrong_secret_key: "a wrong secret key", |world, unit| {
        use_profile(world, unit, "[profile team]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = canary\n")
    };
    expired_credentials: "expired credentials", |world, _| {
        Some(answer(world, "POST ", "403 Forbidden", "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>m</Message></Error></ErrorResponse>"))
    };
    expired_environment: "expired credentials in the environment", |world, unit| {
        unit.set_variable("aws_profile", "of-a-person");
        world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
        world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-default"));
        Some(answer(world, "POST ", "403 Forbidden", "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>m</Message></Error></ErrorResponse>"))
    };
    refused_role: "a role that may not be assumed", |world, unit| {
        let _ = use_profile(world, unit, "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n");
        Some(answer(world, "POST ", "403 Forbidden", "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User u is not authorized to perform: sts:AssumeRole on resource: r</Message></Error></ErrorResponse>"))
    };
    second_factor: "a second factor", |world, unit| {
        let _ = use_profile(world, unit, "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\nmfa_serial = arn:aws:iam::1:mfa/x\n");
        Some(answer(world, "POST ", "403 Forbidden", "<ErrorResponse><Error><Code>AccessDenied</Code><Message>m</Message></Error></ErrorResponse>"))
    };
    unreachable_sts: "STS cannot be reached for a role", |world, unit| {
        let _ = use_profile(world, unit, "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n");
        world.set_variable("AWS_ENDPOINT_URL_STS", Some(&refused_endpoint()));
        None
    };
    missing_permission: "a missing permission", |_, unit| {
        unit.set_variable("aws_profile", "reader");
        None
    };
    missing_key_permission: "a missing permission on the key", |world, _| {
        Some(answer(world, "PUT ", "403 Forbidden", "<Error><Code>AccessDenied</Code><Message>User: u is not authorized to perform: kms:GenerateDataKey on resource: k because no identity-based policy allows the kms:GenerateDataKey action</Message></Error>"))
    };
    explicit_deny: "an explicit deny, such as that of an SCP", |world, _| {
        Some(answer(world, "PUT ", "403 Forbidden", "<Error><Code>AccessDenied</Code><Message>User: u is not authorized to perform: s3:PutObject on resource: r with an explicit deny in a service control policy</Message></Error>"))
    };
    quota: "a quota or another reason of the server", |world, _| {
        Some(answer(world, "PUT ", "403 Forbidden", "<Error><Code>QuotaExceeded</Code><Message>The quota of the bucket is exhausted.</Message></Error>"))
    };
    disabled_key: "any other refusal", |world, _| {
        Some(answer(world, "PUT ", "400 Bad Request", "<Error><Code>KMS.DisabledException</Code><Message>The key k is disabled.</Message></Error>"))
    };
    web_filter: "the page of a web filter", |world, _| {
        Some(answer(world, "", "403 Forbidden", "<html><body>Blocked</body></html>"))
    };
    captive_portal: "a captive portal", |world, _| {
        let portal = FaultyProxy::captive_portal();
        world.set_endpoint(&portal.endpoint());
        Some(portal)
    };
    other_owner: "a bucket of another account", |_, unit| {
        unit.set_variable("expected_bucket_owner", "210987654321");
        None
    };
    missing_bucket: "a missing bucket", |_, unit| {
        unit.set_variable("bucket", "no-such-bucket");
        None
    };
    wrong_clock: "a wrong clock", |world, _| {
        Some(answer(world, "", "403 Forbidden\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT", "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>"))
    };
    no_network: "no network", |world, _| {
        world.set_endpoint(&refused_endpoint());
        None
    };
    malformed_endpoint: "a malformed endpoint", |world, _| {
        world.set_variable("AWS_ENDPOINT_URL_S3", Some("s3.corp.example"));
        None
    };
    fips_and_endpoint: "FIPS together with an endpoint", |world, _| {
        world.set_variable("AWS_USE_FIPS_ENDPOINT", Some("true"));
        None
    };
    malformed_proxy: "a malformed proxy", |world, _| {
        world.set_endpoint("https://s3.us-east-1.amazonaws.com");
        world.set_variable("HTTPS_PROXY", Some("http:/jane:canary@proxy"));
        None
    };
    no_conditional_writes: "a server without conditional writes", |world, _| {
        let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::WithoutConditions);
        world.set_endpoint(&proxy.endpoint());
        Some(proxy)
    };
}

fn use_profile(world: &World, unit: &mut CustomerUnit, config: &str) -> Running {
    fs::write(world.home().join(".aws/config"), config).expect("a profile");
    unit.set_variable("aws_profile", "team");
    None
}

/// Answers all requests that begin with `head` in place of AWS.
fn answer(
    world: &mut World,
    head: &'static str,
    status: &'static str,
    body: &'static str,
) -> FaultyProxy {
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.starts_with(head) {
            RequestFate::Answer(status, body)
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    proxy
}
