//! `coverage`: each gap is named, alone, and where nothing is missing nothing is said.

use serde_json::{Value, json};

use crate::bucket_fixture::{BucketObject, draw_objects, put_objects};
use crate::commands::{assert_refused, md5_of, run_command, run_command_as};
use test_support::faulty_proxy::RequestFate;
use test_support::oracle::{format_rfc3339, unix_now, unix_time};
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, JOHN_ARN, refused_endpoint};

on_each_server!(each_gap_is_named_alone, what_this_machine_kept_is_pending, a_customer_is_looked_at_alone);

const SEED: u64 = 0x2026_1124;
/// What is said where nothing is missing begins so.
const NOTHING: &str = "config-backup: no gaps in ";

/// Asserts that nothing is missing, and gives what is said of where was looked.
fn assert_no_gaps(site: &S3Backend, arguments: &[&str]) -> String {
    let (code, output, messages) = run_command(&site.world, &[&["coverage"], arguments].concat());
    assert_eq!((code, output.as_str()), (Some(0), ""), "{messages}");
    assert!(messages.starts_with(NOTHING) && messages.lines().count() == 1, "{messages}");
    messages
}

/// The gaps that are found, as JSON.
fn run_coverage(site: &S3Backend, arguments: &[&str]) -> Vec<Value> {
    let (code, output, messages) = run_command(&site.world, &[&["coverage", "--json"], arguments].concat());
    let answer: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{messages}"));
    let gaps = answer["gaps"].as_array().expect("a list").clone();
    assert_eq!((code, messages.as_str(), output.matches('\n').count()), (Some(if gaps.is_empty() { 0 } else { 7 }), "", 1), "{output}");
    gaps
}

/// Asserts that one gap is found, in either form, and gives it.
fn only_gap(site: &S3Backend, kind: &str, customer: &str) -> Value {
    let found = run_coverage(site, &[]);
    assert_eq!(found.len(), 1, "{kind} of {customer}: {found:?}");
    let (code, output, messages) = run_command(&site.world, &["coverage"]);
    assert!(code == Some(7) && messages.starts_with("config-backup: 1 gap in "), "{messages}");
    let line = format!("{kind} `{customer}`: {}\n", found[0]["text"].as_str().expect("a phrase"));
    assert_eq!((output.as_str(), &found[0]["kind"], &found[0]["customer"]), (line.as_str(), &json!(kind), &json!(customer)));
    found[0].clone()
}

/// The first object of a customer whose key has this part; they are in the order of time.
fn object_of_customer<'a>(objects: &'a [BucketObject], customer: &str, part: &str) -> &'a BucketObject {
    let matching = |it: &&BucketObject| it.key.contains(part) && it.customer == customer;
    objects.iter().find(matching).unwrap_or_else(|| panic!("no {part}"))
}

/// A customer with two versions or more.
fn customer_with_changes(objects: &[BucketObject]) -> &str {
    let versions = |customer: &str| objects.iter().filter(|it| it.customer == customer && it.key.contains("/config-history/")).count();
    &objects.iter().find(|it| versions(&it.customer) > 1).expect("somebody").customer
}

fn each_gap_is_named_alone(site: &mut S3Backend) {
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 14);
    put_objects(site, &objects);
    assert_no_gaps(site, &[]);
    let again = |objects: &[&BucketObject]| put_objects(site, &objects.iter().map(|it| (*it).clone()).collect::<Vec<_>>());

    // A customer whose last deployment is long ago, and a state of today.
    let old = "2026-01-02T08:00:00Z";
    let config = "a: 1\n";
    site.client.put("terragrunt/quiet/config.yaml", config);
    site.client
        .put("usage-logs/quiet/2026-01-02_080000.json", &format!("{{\"timestamp\":\"{old}\",\"config_hash\":\"{}\"}}", md5_of(config)));
    assert_no_gaps(site, &[]);
    for unit in ["eks", "atlas"] {
        site.client.put(&format!("terragrunt/quiet/{unit}/terraform.tfstate"), "{}");
    }
    let gap = only_gap(site, "unlogged", "quiet");
    assert_eq!((&gap["units"], &gap["count"]), (&json!(["atlas", "eks"]), &json!(2)));
    assert_eq!(run_coverage(site, &["--window", "9999d"]), [] as [Value; 0]);
    assert_eq!(run_coverage(site, &["--since", "2100-01-01"]), [] as [Value; 0]);
    let record = format!("{{\"timestamp\":\"{}\",\"user\":\"u\"}}", format_rfc3339(unix_now()));
    site.client.put("usage-logs/quiet/x.json", &record);
    assert_no_gaps(site, &[]);

    // States without a config.
    site.client.put("usage-logs/bare/x.json", &record);
    site.client.put("terragrunt/bare/eks/terraform.tfstate", "{}");
    let gap = only_gap(site, "no-backup", "bare");
    assert!(gap["text"].as_str().expect("a phrase").contains("a config under `customer.name`"), "{gap}");
    site.client.put("terragrunt/bare/config.yaml", config);
    assert_no_gaps(site, &[]);

    // The config of a deployment before the last one.
    let name = customer_with_changes(&objects);
    let (current, copy) = (object_of_customer(&objects, name, "/config.yaml"), object_of_customer(&objects, name, "/config-history/"));
    again(&[&BucketObject { key: current.key.clone(), ..copy.clone() }]);
    assert_eq!(only_gap(site, "outdated", name)["key"], json!(current.key));
    again(&[current]);
    assert_no_gaps(site, &[]);

    site.client.delete(&copy.key);
    assert_eq!(only_gap(site, "missing-version", name)["key"], json!(copy.key));
    again(&[copy]);

    let record = object_of_customer(&objects, name, "usage-logs/");
    site.client.delete(&record.key);
    let id = serde_json::from_str::<Value>(&record.body).expect("JSON")["deployment_id"].clone();
    let gap = only_gap(site, "missing-record", name);
    assert_eq!((&gap["deployment_id"], &gap["key"]), (&id, &json!(copy.key)));
    again(&[record]);
    assert_no_gaps(site, &[]);
}

#[test]
fn each_gap_is_named_alone_where_versions_are_kept() {
    let mut site = S3Backend::new(S3ServerKind::Moto);
    site.client.enable_versioning();
    each_gap_is_named_alone(&mut site);
}

fn what_this_machine_kept_is_pending(site: &mut S3Backend) {
    put_objects(site, &draw_objects(&mut fastrand::Rng::with_seed(SEED), 2));
    let unit = CustomerUnit::new(&site.world);
    site.world.set_s3_endpoint(&refused_endpoint());
    let deployed = unit.deploy(&site.world);
    site.world.set_s3_endpoint(&site.endpoint.clone());
    let found = run_coverage(site, &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    for (gap, what) in found.iter().zip(["config.yaml of", "usage record of"]) {
        let text = gap["text"].as_str().expect("a phrase");
        assert_eq!(
            (&gap["kind"], &gap["customer"], &gap["deployment_id"]),
            (&json!("pending"), &json!("airbnb"), &json!(deployed.deployment_id()))
        );
        assert!(text.contains(what) && text.contains("/spool/"), "{text}");
    }
    site.client.put("terragrunt/airbnb/eks/terraform.tfstate", "{}");
    assert_eq!(run_coverage(site, &["airbnb"]), found, "what it left is explained by what is kept");
    assert_no_gaps(site, &["Foo Bar"]);
    site.client.delete("terragrunt/airbnb/eks/terraform.tfstate");
    let sent = site.world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    assert_no_gaps(site, &[]);
}

fn a_customer_is_looked_at_alone(site: &mut S3Backend) {
    put_objects(site, &draw_objects(&mut fastrand::Rng::with_seed(SEED), 12));
    site.client.put("terragrunt/customer-11-2/eks/terraform.tfstate", "{}");
    assert_eq!(run_coverage(site, &[]).len(), 2, "it is neither logged nor backed up");
    for customer in ["customer-11", "Foo Bar", "%41", &"é".repeat(120)] {
        let said = assert_no_gaps(site, &[customer]);
        assert!(said.contains(" in 1 customer: "), "{said}");
    }
    assert_refused(run_command(&site.world, &["coverage", "customer-1"]), 3, "there are none; check the customer's name");
}

#[test]
fn a_clean_bucket_of_500_customers_is_silent() {
    let site = S3Backend::new(S3ServerKind::Embedded);
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 500);
    put_objects(&site, &objects);
    let before = site.world.server.requests().len();
    let said = assert_no_gaps(&site, &[]);
    let count = |part: &str| objects.iter().filter(|it| it.key.contains(part)).count();
    let (states, records, copies) = (count("/terraform.tfstate"), count("usage-logs/"), count("/config-history/"));
    let words = format!("500 customers: {states} state changes, {records} records, {copies} config versions looked at");
    assert!(said.contains(&words), "{said}");
    let requests = site.world.server.requests();
    let asked = |operation: &str| requests[before..].iter().filter(|it| it.operation == operation).count();
    assert_eq!(asked("HeadObject"), 500, "no copy needs a look");
    assert_eq!(asked("GetObject"), records + 125, "the configs of the earlier module have no MD5 of their own");
    // A page at least for each of configs, records and an archive that there is not.
    assert!(asked("ListObjectsV2") <= 3 + (states + records + copies + 500) / 1000, "{}", asked("ListObjectsV2"));
}

#[test]
fn states_that_changed_before_count_where_versions_may_be_listed() {
    let change = |site: &S3Backend| {
        for serial in 0..3 {
            site.client.put("terragrunt/acme/eks/terraform.tfstate", &format!("{{\"serial\":{serial}}}"));
        }
        site.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    };
    let site = S3Backend::new(S3ServerKind::Moto);
    change(&site);
    assert_eq!(only_gap(&site, "unlogged", "acme")["count"], json!(1), "nothing is kept of what was overwritten");
    let site = S3Backend::new(S3ServerKind::Moto);
    site.client.enable_versioning();
    change(&site);
    assert_eq!(only_gap(&site, "unlogged", "acme")["count"], json!(3));
    assert!(!run_command(&site.world, &["coverage"]).2.contains("not listed"));
}

#[test]
fn a_config_that_only_the_earlier_module_logged_may_be_an_overwritten_one() {
    let site = S3Backend::new(S3ServerKind::Moto);
    site.client.enable_versioning();
    let record = |body: &str, time: &str| {
        let key = format!("usage-logs/acme/{}.json", md5_of(body));
        site.client.put(&key, &format!("{{\"timestamp\":\"{time}\",\"user\":\"u\",\"config_hash\":\"{}\"}}", md5_of(body)));
    };
    site.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    record("a: 1\n", "2026-01-02T08:00:00Z");
    site.client.put("terragrunt/acme/config.yaml", "a: 2\n");
    record("a: 2\n", "2026-01-03T08:00:00Z");
    assert_no_gaps(&site, &[]);
    record("a: 3\n", "2026-01-01T08:00:00Z");
    assert!(only_gap(&site, "missing-version", "acme")["text"].as_str().expect("a phrase").contains(&md5_of("a: 3\n")));
}

#[test]
fn it_only_reads_and_says_which_permission_it_does_without() {
    let mut site = S3Backend::new(S3ServerKind::Embedded);
    put_objects(&site, &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3));
    let before = site.world.server.requests().len();
    let (code, output, messages) = run_command_as(&site.world, "today", &["coverage"]);
    assert_eq!((code, output.as_str()), (Some(0), ""), "{messages}");
    assert!(messages.ends_with("; state versions: not listed (s3:ListBucketVersions)\n"), "{messages}");
    let requests = site.world.server.requests();
    let reads = ["ListObjectsV2", "ListObjectVersions", "GetObject", "HeadObject"];
    assert!(requests[before..].iter().all(|it| reads.contains(&it.operation.as_str())), "{requests:?}");
    assert!(!site.world.state_dir().exists());
    assert_refused(run_command_as(&site.world, "nobody", &["coverage"]), 5, "access denied; ask for the permission s3:ListBucket");
    assert_refused(run_command(&site.world, &["coverage", "--bucket", "none-of-ours"]), 5, "there is no such bucket");
    assert_refused(run_command(&site.world, &["coverage", "--since", "soon"]), 3, "read `--since soon`; use a date");
    assert_eq!(run_command(&site.world, &["coverage", "--window", "soon"]).0, Some(2));
    site.world.set_s3_endpoint(&refused_endpoint());
    assert_refused(run_command(&site.world, &["coverage"]), 6, "check the network");
}

#[test]
fn times_are_compared_to_the_second() {
    let site = S3Backend::new(S3ServerKind::Embedded);
    let put =
        |key: &str, body: &str, unix: u64| site.world.server.put_at(BUCKET, key, body.as_bytes(), &[], unix_time(unix)).expect("an object");
    let changed = 1_761_834_652; // date -u -d 2025-10-30T14:30:52Z +%s
    put("terragrunt/acme/eks/terraform.tfstate", "{}", changed);
    put("terragrunt/acme/config.yaml", "a: 1\n", changed);
    for (record, expected) in
        [("2025-10-30T11:30:51Z", 1), ("2025-10-30T11:30:52Z", 0), ("2025-10-30T14:45:52Z", 0), ("2025-10-30T14:45:53Z", 1)]
    {
        put("usage-logs/acme/x.json", &format!("{{\"timestamp\":\"{record}\",\"user\":\"{JOHN_ARN}\"}}"), changed);
        assert_eq!(run_coverage(&site, &["--window", "3h"]).len(), expected, "{record}");
    }
}

#[test]
fn a_deployment_between_the_listings_is_no_gap() {
    let mut site = S3Backend::new(S3ServerKind::Embedded);
    put_objects(&site, &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3));
    let late = draw_objects(&mut fastrand::Rng::with_seed(SEED + 1), 14).split_off(3);
    let late: Vec<BucketObject> = late.into_iter().filter(|it| it.customer == "customer-12").collect();
    let copies = late.iter().filter(|it| it.key.contains("/config-history/")).count();
    let (hand, first) = (site.client.clone(), std::sync::Once::new());
    let relay = site.start_proxy(move |line| {
        if line.contains("prefix=usage-logs") {
            first.call_once(|| hand.put_all_with(late.iter().map(|it| (it.key.as_str(), it.body.as_str(), it.metadata.as_slice()))));
        }
        RequestFate::Pass
    });
    assert_no_gaps(&site, &[]);
    assert_eq!((relay.count_requests("HEAD /mongodb-arena/terragrunt/customer-12/config-history/"), copies > 0), (copies, true));
}

#[test]
fn a_record_may_name_any_key_and_is_asked_for_copies_of_its_customer_alone() {
    let site = S3Backend::new(S3ServerKind::Embedded);
    let objects = draw_objects(&mut fastrand::Rng::with_seed(SEED), 14);
    put_objects(&site, &objects);
    let others = object_of_customer(&objects, "customer-12", "/config-history/").key.clone();
    for (number, key) in ["x".repeat(2000), "../../etc/passwd".to_owned(), others].into_iter().enumerate() {
        let line = json!({ "timestamp": format_rfc3339(unix_now()), "user": "u", "backup_key": key });
        site.client.put(&format!("usage-logs/acme/{number}.json"), &line.to_string());
        assert_eq!(run_coverage(&site, &[]).last().expect("a gap")["kind"], json!("missing-version"));
        assert_eq!(run_coverage(&site, &["acme"]).len(), number + 1);
    }
    assert_no_gaps(&site, &["customer-12"]);
}

#[test]
fn a_damaged_record_is_named_and_is_a_record_all_the_same() {
    let site = S3Backend::new(S3ServerKind::Embedded);
    put_objects(&site, &draw_objects(&mut fastrand::Rng::with_seed(SEED), 3));
    site.client.put("terragrunt/acme/eks/terraform.tfstate", "{}");
    site.client.put("terragrunt/acme/config.yaml", "a: 1\n");
    site.client.put("usage-logs/acme/x.json", "{\"torn \u{1b}[31m");
    let (code, output, messages) = run_command(&site.world, &["coverage"]);
    assert_eq!((code, output.as_str(), messages.lines().count()), (Some(0), "", 2), "{messages}");
    assert!(messages.starts_with("config-backup: left out `usage-logs/acme/x.json`: it is not valid JSON"), "{messages}");
}

#[test]
fn what_others_wrote_cannot_move_the_terminal() {
    let site = S3Backend::new(S3ServerKind::Embedded);
    site.client.put("terragrunt/a\u{1b}[31mb/e\nks/terraform.tfstate", "{}");
    let (code, output, messages) = run_command(&site.world, &["coverage"]);
    assert_eq!((code, output.lines().count()), (Some(7), 2), "{output}");
    assert!(output.contains("`a\u{fffd}[31mb`") && !(output + &messages).contains('\u{1b}'));
    let (_, json, _) = run_command(&site.world, &["coverage", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["gaps"][0]["units"], json!(["e\nks"]));
}
