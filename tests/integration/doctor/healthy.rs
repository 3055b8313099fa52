//! `doctor` in a healthy setup, on each server: it finds no problem and leaves nothing behind.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::report::terminal::helper_on_a_terminal;
use test_support::faulty_proxy::RequestFate;
use test_support::s3_backend::{S3Backend, S3ServerKind, on_each_server};
use test_support::terraform_steps::CustomerUnit;
use test_support::{
    BUCKET, InitializedUnit, World, assert_no_secret, helper_path, project_dir, to_text,
};

/// From the AWS documentation, "Restrict access to only HTTPS requests".
const TLS_ONLY: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"RestrictToTLSRequestsOnly\",\"Action\":\"s3:*\",\"Effect\":\"Deny\",\
                        \"Resource\":[\"arn:aws:s3:::mongodb-arena\",\"arn:aws:s3:::mongodb-arena/*\"],\
                        \"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}},\"Principal\":\"*\"}]}";

/// The result of a run of `doctor --json`.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) code: Option<i32>,
    pub(crate) said: Value,
}

impl Diagnosis {
    pub(crate) fn field_of_check(&self, check: &str, field: &str) -> &str {
        let checks = self.said["checks"].as_array().expect("a list");
        let found = checks
            .iter()
            .find(|it| it["check"] == check)
            .unwrap_or_else(|| panic!("no check `{check}`: {}", self.said));
        found[field].as_str().expect("text")
    }

    pub(crate) fn checks_with_status(&self, status: &str) -> Vec<&str> {
        let checks = self.said["checks"].as_array().expect("a list");
        checks
            .iter()
            .filter(|it| it["status"] == status)
            .map(|it| it["check"].as_str().expect("text"))
            .collect()
    }

    /// Asserts the status of a check, and words of its finding and fix.
    pub(crate) fn assert_check(&self, check: &str, status: &str, seen: &str, fix: &str) -> &Self {
        assert_eq!(
            self.field_of_check(check, "status"),
            status,
            "{check}: {:#}",
            self.said
        );
        assert!(
            self.field_of_check(check, "seen").contains(seen),
            "no `{seen}` in {check}: {:#}",
            self.said
        );
        assert!(
            self.field_of_check(check, "fix").contains(fix),
            "no `{fix}` in {check}: {:#}",
            self.said
        );
        self
    }

    /// Asserts the exit code and exactly these bad checks, each with a fix.
    pub(crate) fn assert_failed(&self, code: i32, bad: &[&str]) -> &Self {
        assert_eq!(
            (self.code, self.checks_with_status("bad").as_slice()),
            (Some(code), bad),
            "{:#}",
            self.said
        );
        assert_eq!(self.said["exit"], code);
        for check in bad {
            assert_ne!(self.field_of_check(check, "fix"), "", "{check} has no fix");
        }
        self
    }

    pub(crate) fn assert_no_problem(&self) -> &Self {
        self.assert_failed(0, &[])
    }
}

/// Creates a healthy customer folder: the unit, a root.hcl, the helper and the tools.
pub(crate) fn prepare_customer_folder(world: &mut World) -> PathBuf {
    static UNIT: InitializedUnit = InitializedUnit::new();
    let tools = project_dir().join(".tools/bin");
    world.set_variable("PATH", Some(&format!("{}:/usr/bin:/bin", tools.display())));
    world.set_variable("CONFIG_BACKUP_HELPER", helper_path().to_str());
    let folder = CustomerUnit::new(world)
        .config
        .parent()
        .expect("a folder")
        .to_owned();
    fs::copy(
        project_dir().join("terragrunt/airbnb/root.hcl"),
        folder.join("root.hcl"),
    )
    .expect("a root.hcl");
    UNIT.create_in(&folder, || {
        let init = world.helper_command(&["init"]).arg(&folder).output();
        let init = init.expect("init");
        assert_eq!(init.status.code(), Some(0), "{init:?}");
    });
    folder
}

/// Runs `doctor`, whose output must contain no secret and nothing on stderr.
pub(crate) fn run_doctor(world: &World, arguments: &[&str]) -> Diagnosis {
    let output = world
        .helper_command(&["doctor", "--json"])
        .args(arguments)
        .output()
        .expect("doctor");
    assert_eq!(to_text(&output.stderr), "");
    let said = to_text(&output.stdout);
    assert_no_secret("doctor", &said);
    assert!(
        said.ends_with("}\n") && said.matches('\n').count() == 1,
        "one line: {said}"
    );
    Diagnosis {
        code: output.status.code(),
        said: serde_json::from_str(&said).expect("JSON"),
    }
}

/// The objects that `doctor` writes.
fn canaries(world: &World) -> Vec<String> {
    world
        .server
        .keys(BUCKET, "")
        .into_iter()
        .filter(|key| key.ends_with("_config-backup-doctor"))
        .collect()
}

fn finds_no_problem_in_a_healthy_setup(backend: &mut S3Backend) {
    let folder = prepare_customer_folder(&mut backend.world);
    let folder = folder.to_str().expect("UTF-8");
    for _ in 0..3 {
        let found = run_doctor(&backend.world, &[folder]);
        found.assert_no_problem();
        found.assert_check(
            "s3:PutObject",
            "ok",
            "terragrunt/airbnb/ and usage-logs/airbnb/",
            "",
        );
        found.assert_check(
            "s3:GetObject",
            "ok",
            "terragrunt/airbnb/ and usage-logs/airbnb/",
            "",
        );
        found
            .assert_check("credentials", "ok", "john.doe", "")
            .assert_check("canary", "ok", "what was written is deleted", "");
        for check in [
            "profile",
            "network",
            "clock",
            "bucket",
            "region",
            "s3:ListBucket",
            "conditions",
            "read back",
            "helper",
        ] {
            found.assert_check(check, "ok", "", "");
        }
        for check in [
            "terraform",
            "terragrunt",
            "state folder",
            "spool",
            "config.yaml",
            "unit",
            "root.hcl",
            "dependents",
        ] {
            found.assert_check(check, "ok", "", "");
        }
        let (customer, profile) = (&found.said["customer"], &found.said["profile"]);
        assert_eq!(
            (customer, profile, &found.said["bucket"]),
            (&"airbnb".into(), &"default".into(), &BUCKET.into())
        );
    }
    assert_eq!(
        backend.client.list_keys(""),
        Vec::<String>::new(),
        "nothing is left"
    );
    assert_eq!(
        backend.world.spooled_items(),
        Vec::<String>::new(),
        "nor on this machine"
    );
}

on_each_server!(finds_no_problem_in_a_healthy_setup);

#[test]
fn reports_the_owner_of_the_bucket_where_the_server_checks_it() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    let folder = folder.to_str().expect("UTF-8");
    run_doctor(&world, &[folder]).assert_check(
        "owner",
        "ok",
        "the account 123456789012, which is your own",
        "",
    );
    run_doctor(&world, &[folder, "--expected-bucket-owner", "123456789012"]).assert_check(
        "owner",
        "ok",
        "123456789012, as demanded",
        "",
    );
    let found = run_doctor(&world, &[folder, "--profile", "guest"]);
    found.assert_no_problem().assert_check(
        "owner",
        "note",
        "another account than your own, 210987654321",
        "CONFIG_BACKUP_BUCKET_OWNER",
    );
    let backend = S3Backend::new(S3ServerKind::Moto);
    run_doctor(&backend.world, &["--profile", "default"]).assert_check(
        "owner",
        "unknown",
        "does not check the expected owner",
        "",
    );
}

#[test]
fn reports_the_settings_of_the_bucket_where_permitted() {
    let mut backend = S3Backend::new(S3ServerKind::Moto);
    let folder = prepare_customer_folder(&mut backend.world);
    let folder = folder.to_str().expect("UTF-8");
    let found = run_doctor(&backend.world, &[folder]);
    found
        .assert_no_problem()
        .assert_check("versioning", "note", "off", "turn it on")
        .assert_check("public access", "note", "", "turn on");
    found
        .assert_check("TLS only", "note", "", "aws:SecureTransport")
        .assert_check("object lock", "ok", "off", "");
    backend.client.secure_bucket();
    let found = run_doctor(&backend.world, &[folder]);
    found
        .assert_no_problem()
        .assert_check("versioning", "ok", "on", "")
        .assert_check("encryption", "ok", "AES256", "");
    found
        .assert_check("public access", "ok", "all four", "")
        .assert_check("canary", "ok", "under a delete marker", "");
    // moto ignores conditions, so it would read this policy as a denial of everything.
    let _proxy = backend.start_proxy(|line| {
        if line.contains("?policy") {
            RequestFate::Answer("200 OK", TLS_ONLY)
        } else {
            RequestFate::Pass
        }
    });
    run_doctor(&backend.world, &[folder])
        .assert_no_problem()
        .assert_check("TLS only", "ok", "refuses plain HTTP", "");
}

#[test]
fn recognizes_object_lock_and_deploys_to_it() {
    let mut backend = S3Backend::new(S3ServerKind::Moto);
    let folder = prepare_customer_folder(&mut backend.world);
    backend.client.create_locked_bucket("locked-arena");
    let found = run_doctor(
        &backend.world,
        &[folder.to_str().expect("UTF-8"), "--bucket", "locked-arena"],
    );
    found
        .assert_no_problem()
        .assert_check("object lock", "ok", "on: GOVERNANCE, 30 days", "")
        .assert_check("versioning", "ok", "on", "");
    let mut unit = CustomerUnit::new(&backend.world);
    unit.set_variable("bucket", "locked-arena");
    unit.deploy(&backend.world).expect_success();
}

#[test]
fn without_permission_to_delete_leaves_one_object_per_customer() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    for _ in 0..3 {
        let found = run_doctor(
            &world,
            &[folder.to_str().expect("UTF-8"), "--profile", "keeper"],
        );
        found.assert_no_problem().assert_check(
            "canary",
            "ok",
            "`_config-backup-doctor` stays in terragrunt/airbnb/ and usage-logs/airbnb/",
            "",
        );
        assert_eq!(
            canaries(&world),
            [
                "terragrunt/airbnb/_config-backup-doctor",
                "usage-logs/airbnb/_config-backup-doctor"
            ]
        );
    }
    let writes = world.server.requests();
    let plain = writes.iter().filter(|it| {
        it.operation == "PutObject" && it.key.starts_with("usage-logs/") && it.status == 200
    });
    assert_eq!(plain.count(), 1, "a record's place is never written over");
    run_doctor(&world, &[folder.to_str().expect("UTF-8")])
        .assert_no_problem()
        .assert_check("canary", "ok", "is deleted", "");
    assert_eq!(
        canaries(&world),
        Vec::<String>::new(),
        "who may delete takes it away"
    );
}

#[test]
fn several_doctors_at_once_find_no_problem_and_leave_nothing() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    let folder = folder.to_str().expect("UTF-8");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                run_doctor(&world, &[folder])
                    .assert_no_problem()
                    .assert_check("s3:PutObject", "ok", "", "")
                    .assert_check("clock", "ok", "", "")
                    .code
            });
        }
    });
    assert_eq!(canaries(&world), Vec::<String>::new());
}

#[test]
fn works_without_a_customer_and_its_objects_are_not_records() {
    let mut world = World::new();
    prepare_customer_folder(&mut world);
    let found = run_doctor(&world, &["--profile", "keeper"]);
    found
        .assert_no_problem()
        .assert_check("s3:PutObject", "ok", "terragrunt/ and usage-logs/", "");
    assert_eq!(
        canaries(&world),
        [
            "terragrunt/_config-backup-doctor",
            "usage-logs/_config-backup-doctor"
        ]
    );
    for check in ["config.yaml", "unit", "root.hcl", "dependents"] {
        found.assert_check(check, "unknown", "this is not a customer folder", "");
    }
    run_doctor(&world, &["customers of ours/airbnb", "--profile", "keeper"]).assert_no_problem();
    let report = world
        .helper_command(&["report", "--profile", "default", "--strict"])
        .output()
        .expect("report");
    assert_eq!(
        (report.status.code(), to_text(&report.stderr).as_str()),
        (Some(0), "")
    );
    assert_eq!(
        to_text(&report.stdout),
        test_support::s3_backend::CSV_HEADER
    );
    let history = world
        .helper_command(&["history", "airbnb", "--profile", "default"])
        .output()
        .expect("history");
    assert_eq!(
        history.status.code(),
        Some(3),
        "there is no version: {history:?}"
    );
}

#[test]
fn prints_a_table_with_fixes_and_without_colours_to_a_pipe() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    let output = world
        .helper_command(&["doctor", "--bucket", "mongodb-arena-2"])
        .current_dir(&folder)
        .output()
        .expect("doctor");
    let said = to_text(&output.stdout);
    assert_eq!(
        (output.status.code(), to_text(&output.stderr).as_str()),
        (Some(5), ""),
        "{said}"
    );
    let at = said
        .lines()
        .position(|line| line.starts_with("FAILED   bucket"))
        .unwrap_or_else(|| panic!("{said}"));
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[at].ends_with("there is no such bucket")
            && lines[at + 1].ends_with("-> check the variable `bucket`"),
        "{said}"
    );
    assert!(
        lines.last().expect("a line").contains(" 1 failed, ") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[test]
fn prints_colours_to_a_terminal_unless_disabled() {
    let mut world = World::new();
    prepare_customer_folder(&mut world);
    let shown = helper_on_a_terminal(&world, &["doctor", "customers of ours/airbnb"]);
    assert!(
        shown.contains("\u{1b}[32mok     \u{1b}[0m  unit ")
            && shown.contains("customers of ours/airbnb/config-backup"),
        "{shown}"
    );
    world.set_variable("NO_COLOR", Some("1"));
    let shown = helper_on_a_terminal(&world, &["doctor", "customers of ours/airbnb"]);
    assert!(
        shown.contains("ok       unit ") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}
