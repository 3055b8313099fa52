//! `doctor` where all is well: nothing is bad, on each server, and nothing is left behind.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::report::terminal::helper_on_a_terminal;
use test_support::faulty_proxy::Fate;
use test_support::s3_backend::{Kind, Site, on_each_server};
use test_support::terraform_steps::Unit;
use test_support::{BUCKET, World, assert_no_secret, helper, project, text};

/// As AWS has it under "Restrict access to only HTTPS requests".
const TLS_ONLY: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"RestrictToTLSRequestsOnly\",\"Action\":\"s3:*\",\"Effect\":\"Deny\",\
                        \"Resource\":[\"arn:aws:s3:::mongodb-arena\",\"arn:aws:s3:::mongodb-arena/*\"],\
                        \"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}},\"Principal\":\"*\"}]}";

/// What a run of `doctor --json` said.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) code: Option<i32>,
    pub(crate) said: Value,
}

impl Diagnosis {
    /// A field of a check.
    pub(crate) fn field(&self, check: &str, field: &str) -> &str {
        let checks = self.said["checks"].as_array().expect("a list");
        let found = checks.iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("no check `{check}`: {}", self.said));
        found[field].as_str().expect("text")
    }

    /// The checks with this status.
    pub(crate) fn with(&self, status: &str) -> Vec<&str> {
        let checks = self.said["checks"].as_array().expect("a list");
        checks.iter().filter(|it| it["status"] == status).map(|it| it["check"].as_str().expect("text")).collect()
    }

    /// Asserts a check's status, and what is said of it.
    pub(crate) fn says(&self, check: &str, status: &str, seen: &str, fix: &str) -> &Self {
        assert_eq!(self.field(check, "status"), status, "{check}: {:#}", self.said);
        assert!(self.field(check, "seen").contains(seen), "no `{seen}` in {check}: {:#}", self.said);
        assert!(self.field(check, "fix").contains(fix), "no `{fix}` in {check}: {:#}", self.said);
        self
    }

    /// Asserts the exit code and which checks are bad, each of them with a fix.
    pub(crate) fn is_bad(&self, code: i32, bad: &[&str]) -> &Self {
        assert_eq!((self.code, self.with("bad").as_slice()), (Some(code), bad), "{:#}", self.said);
        assert_eq!(self.said["exit"], code);
        for check in bad {
            assert_ne!(self.field(check, "fix"), "", "{check} has no fix");
        }
        self
    }

    /// Asserts that nothing is bad.
    pub(crate) fn is_well(&self) -> &Self {
        self.is_bad(0, &[])
    }
}

/// A customer folder of a world in which all is well: the unit, a root.hcl, the helper and the tools.
pub(crate) fn ready(world: &mut World) -> PathBuf {
    let tools = project().join(".tools/bin");
    world.set_variable("PATH", Some(&format!("{}:/usr/bin:/bin", tools.display())));
    world.set_variable("CONFIG_BACKUP_HELPER", helper().to_str());
    let folder = Unit::new(world).config.parent().expect("a folder").to_owned();
    fs::copy(project().join("terragrunt/airbnb/root.hcl"), folder.join("root.hcl")).expect("a root.hcl");
    let init = world.helper(&["init"]).arg(&folder).output().expect("init");
    assert_eq!(init.status.code(), Some(0), "{init:?}");
    folder
}

/// Runs `doctor` and reads what it says; it must hold no secret and keep stderr clean.
pub(crate) fn doctor(world: &World, arguments: &[&str]) -> Diagnosis {
    let output = world.helper(&["doctor", "--json"]).args(arguments).output().expect("doctor");
    assert_eq!(text(&output.stderr), "");
    let said = text(&output.stdout);
    assert_no_secret("doctor", &said);
    assert!(said.ends_with("}\n") && said.matches('\n').count() == 1, "one line: {said}");
    Diagnosis { code: output.status.code(), said: serde_json::from_str(&said).expect("JSON") }
}

/// The objects that are there for `doctor`.
fn canaries(world: &World) -> Vec<String> {
    world.server.keys(BUCKET, "").into_iter().filter(|key| key.ends_with("_config-backup-doctor")).collect()
}

fn a_healthy_set_up_has_nothing_bad(site: &mut Site) {
    let folder = ready(&mut site.world);
    let folder = folder.to_str().expect("UTF-8");
    for _ in 0..3 {
        let found = doctor(&site.world, &[folder]);
        found.is_well();
        found.says("s3:PutObject", "ok", "terragrunt/airbnb/ and usage-logs/airbnb/", "");
        found.says("s3:GetObject", "ok", "terragrunt/airbnb/ and usage-logs/airbnb/", "");
        found.says("credentials", "ok", "john.doe", "").says("canary", "ok", "what was written is deleted", "");
        for check in ["profile", "network", "clock", "bucket", "region", "s3:ListBucket", "conditions", "read back", "helper"] {
            found.says(check, "ok", "", "");
        }
        for check in ["terraform", "terragrunt", "state folder", "spool", "config.yaml", "unit", "root.hcl", "dependents"] {
            found.says(check, "ok", "", "");
        }
        let (customer, profile) = (&found.said["customer"], &found.said["profile"]);
        assert_eq!((customer, profile, &found.said["bucket"]), (&"airbnb".into(), &"default".into(), &BUCKET.into()));
    }
    assert_eq!(site.hand.keys(""), Vec::<String>::new(), "nothing is left");
    assert_eq!(site.world.spooled(), Vec::<String>::new(), "nor on this machine");
}

on_each_server!(a_healthy_set_up_has_nothing_bad);

#[test]
fn whose_the_bucket_is_is_said_where_the_server_looks() {
    let mut world = World::new();
    let folder = ready(&mut world);
    let folder = folder.to_str().expect("UTF-8");
    doctor(&world, &[folder]).says("owner", "ok", "the account 123456789012, which is your own", "");
    doctor(&world, &[folder, "--expected-bucket-owner", "123456789012"]).says("owner", "ok", "123456789012, as demanded", "");
    let found = doctor(&world, &[folder, "--profile", "guest"]);
    found.is_well().says("owner", "note", "another account than your own, 210987654321", "CONFIG_BACKUP_BUCKET_OWNER");
    let site = Site::new(Kind::Moto);
    doctor(&site.world, &["--profile", "default"]).says("owner", "unknown", "does not look", "");
}

#[test]
fn how_a_bucket_is_set_up_is_seen_where_one_may_ask() {
    let mut site = Site::new(Kind::Moto);
    let folder = ready(&mut site.world);
    let folder = folder.to_str().expect("UTF-8");
    let found = doctor(&site.world, &[folder]);
    found.is_well().says("versioning", "note", "off", "turn it on").says("public access", "note", "", "turn on");
    found.says("TLS only", "note", "", "aws:SecureTransport").says("object lock", "ok", "off", "");
    site.hand.harden();
    let found = doctor(&site.world, &[folder]);
    found.is_well().says("versioning", "ok", "on", "").says("encryption", "ok", "AES256", "");
    found.says("public access", "ok", "all four", "").says("canary", "ok", "under a delete marker", "");
    // moto takes such a policy for one that denies everything: it knows no conditions.
    let _relay = site.relay(|line| if line.contains("?policy") { Fate::Answer("200 OK", TLS_ONLY) } else { Fate::Pass });
    doctor(&site.world, &[folder]).is_well().says("TLS only", "ok", "refuses plain HTTP", "");
}

#[test]
fn a_bucket_with_object_lock_is_known_and_takes_a_deployment() {
    let mut site = Site::new(Kind::Moto);
    let folder = ready(&mut site.world);
    site.hand.make_locked_bucket("locked-arena");
    let found = doctor(&site.world, &[folder.to_str().expect("UTF-8"), "--bucket", "locked-arena"]);
    found.is_well().says("object lock", "ok", "on: GOVERNANCE, 30 days", "").says("versioning", "ok", "on", "");
    let mut unit = Unit::new(&site.world);
    unit.set("bucket", "locked-arena");
    unit.deploy(&site.world).went_well();
}

#[test]
fn without_the_permission_to_delete_one_object_a_place_stays_and_no_more() {
    let mut world = World::new();
    let folder = ready(&mut world);
    for _ in 0..3 {
        let found = doctor(&world, &[folder.to_str().expect("UTF-8"), "--profile", "keeper"]);
        found.is_well().says("canary", "ok", "`_config-backup-doctor` stays in terragrunt/airbnb/ and usage-logs/airbnb/", "");
        assert_eq!(canaries(&world), ["terragrunt/airbnb/_config-backup-doctor", "usage-logs/airbnb/_config-backup-doctor"]);
    }
    let writes = world.server.requests();
    let plain = writes.iter().filter(|it| it.operation == "PutObject" && it.key.starts_with("usage-logs/") && it.status == 200);
    assert_eq!(plain.count(), 1, "a record's place is never written over");
    doctor(&world, &[folder.to_str().expect("UTF-8")]).is_well().says("canary", "ok", "is deleted", "");
    assert_eq!(canaries(&world), Vec::<String>::new(), "who may delete takes it away");
}

#[test]
fn doctors_at_the_same_time_accuse_nobody_and_leave_nothing() {
    let mut world = World::new();
    let folder = ready(&mut world);
    let folder = folder.to_str().expect("UTF-8");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| doctor(&world, &[folder]).is_well().says("s3:PutObject", "ok", "", "").says("clock", "ok", "", "").code);
        }
    });
    assert_eq!(canaries(&world), Vec::<String>::new());
}

#[test]
fn it_works_without_a_customer_and_no_reader_takes_its_objects_for_records() {
    let mut world = World::new();
    ready(&mut world);
    let found = doctor(&world, &["--profile", "keeper"]);
    found.is_well().says("s3:PutObject", "ok", "terragrunt/ and usage-logs/", "");
    assert_eq!(canaries(&world), ["terragrunt/_config-backup-doctor", "usage-logs/_config-backup-doctor"]);
    for check in ["config.yaml", "unit", "root.hcl", "dependents"] {
        found.says(check, "unknown", "this is no customer folder", "");
    }
    doctor(&world, &["customers of ours/airbnb", "--profile", "keeper"]).is_well();
    let report = world.helper(&["report", "--profile", "default", "--strict"]).output().expect("report");
    assert_eq!((report.status.code(), text(&report.stderr).as_str()), (Some(0), ""));
    assert_eq!(text(&report.stdout), test_support::s3_backend::HEADER);
    let history = world.helper(&["history", "airbnb", "--profile", "default"]).output().expect("history");
    assert_eq!(history.status.code(), Some(3), "there is no version: {history:?}");
}

#[test]
fn people_get_a_table_with_the_fix_below_and_no_colours_in_a_pipe() {
    let mut world = World::new();
    let folder = ready(&mut world);
    let output = world.helper(&["doctor", "--bucket", "mongodb-arena-2"]).current_dir(&folder).output().expect("doctor");
    let said = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(5), ""), "{said}");
    let at = said.lines().position(|line| line.starts_with("BAD      bucket")).unwrap_or_else(|| panic!("{said}"));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[at].ends_with("there is no such bucket") && lines[at + 1].ends_with("-> check the variable `bucket`"), "{said}");
    assert!(lines.last().expect("a line").contains(" 1 bad, ") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn on_a_terminal_a_table_has_colours_unless_they_are_not_wanted() {
    let mut world = World::new();
    ready(&mut world);
    let shown = helper_on_a_terminal(&world, &["doctor", "customers of ours/airbnb"]);
    assert!(shown.contains("\u{1b}[32mok     \u{1b}[0m  unit ") && shown.contains("customers of ours/airbnb/config-backup"), "{shown}");
    world.set_variable("NO_COLOR", Some("1"));
    let shown = helper_on_a_terminal(&world, &["doctor", "customers of ours/airbnb"]);
    assert!(shown.contains("ok       unit ") && !shown.contains('\u{1b}'), "{shown}");
}
