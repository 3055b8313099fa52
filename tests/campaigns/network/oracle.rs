//! What must be true after a deployment with a fault, and after the healthy deployment that
//! follows.
//!
//! It judges by the bucket, the files on the machine and the output, and runs no code of the
//! product.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::violations::false_alarms;
use test_support::terraform_steps::{AppliedDeployment, string_field};
use test_support::{BUCKET, CONFIG, SECRET_CANARIES, World, to_text};

/// The time that starting a process may take on a busy machine.
pub(crate) const PROCESS_START_ALLOWANCE: Duration = Duration::from_millis(1500);

const LOG_IN: &str = "log in";
const RENEW_KEY: &str = "renew the access key";
const ASK_FOR_PERMISSION: &str = "ask for the permission";
const ASK_WHO_MANAGES: &str = "ask who manages that policy";
const SET_CLOCK: &str = "set the clock";
const CHECK_NETWORK: &str = "check the network";
const CHECK_PORTAL: &str = "captive portal";
const CHECK_BUCKET: &str = "check the variable `bucket`";
const ALL_ADVICE: [&str; 8] = [
    LOG_IN,
    RENEW_KEY,
    ASK_FOR_PERMISSION,
    ASK_WHO_MANAGES,
    SET_CLOCK,
    CHECK_NETWORK,
    CHECK_PORTAL,
    CHECK_BUCKET,
];

/// The advice that fits the faults with only one cause. The answer to a HEAD has no body, so any
/// 403 can look like a missing permission.
const FITTING_ADVICE: [(&str, &[&str]); 18] = [
    ("silence", &[CHECK_NETWORK]),
    ("silence after the head", &[CHECK_NETWORK]),
    ("drip", &[CHECK_NETWORK]),
    ("reset in the request", &[CHECK_NETWORK]),
    ("lost answer", &[CHECK_NETWORK]),
    ("reset in the answer", &[CHECK_NETWORK, CHECK_PORTAL]),
    ("cut answer", &[CHECK_NETWORK, CHECK_PORTAL]),
    ("403", &[ASK_FOR_PERMISSION]),
    ("403 by a policy", &[ASK_FOR_PERMISSION, ASK_WHO_MANAGES]),
    ("403 for a quota", &[ASK_FOR_PERMISSION]),
    ("403 of a web filter", &[CHECK_PORTAL]),
    ("404", &[CHECK_BUCKET]),
    ("429", &[]),
    ("500", &[]),
    ("501", &[]),
    ("503", &[]),
    ("expired", &[ASK_FOR_PERMISSION, RENEW_KEY]),
    ("HTML with 200", &[CHECK_NETWORK, CHECK_PORTAL]),
];

/// Violations of a run, by promise.
#[derive(Debug, Default)]
pub(crate) struct NetworkFindings {
    pub(crate) blocked: Vec<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) duplicated: Vec<String>,
    pub(crate) silent: Vec<String>,
    /// Advice that does not fit the fault.
    pub(crate) misled: Vec<String>,
    /// Anything else: a visible secret, or a fault that did not occur.
    pub(crate) odd: Vec<String>,
}

/// A finished deployment and its config.
pub(crate) struct NetworkDeployment {
    pub(crate) applied: AppliedDeployment,
    config: String,
    /// Whether its record was in the bucket when it ended.
    is_logged: bool,
}

impl NetworkDeployment {
    pub(crate) fn new(world: &World, applied: AppliedDeployment, config: String) -> Self {
        let logged = has_record(world, applied.deployment_id());
        Self {
            applied,
            config,
            is_logged: logged,
        }
    }
}

impl NetworkFindings {
    pub(crate) fn counters(&self) -> [(&'static str, &[String]); 6] {
        [
            ("blocked", &self.blocked),
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("silent", &self.silent),
            ("misled", &self.misled),
            ("odd", &self.odd),
        ]
    }

    pub(crate) fn descriptions(&self) -> Vec<String> {
        self.counters()
            .iter()
            .flat_map(|(name, found)| found.iter().map(move |it| format!("{name}: {it}")))
            .collect()
    }

    /// Checks the total time of the steps of a deployment.
    pub(crate) fn check_duration(&mut self, took: Duration, timeout: Duration, steps: u32) {
        if took > timeout + PROCESS_START_ALLOWANCE * steps {
            self.blocked.push(format!(
                "{steps} steps took {:.1} s of {} s",
                took.as_secs_f64(),
                timeout.as_secs()
            ));
        }
    }

    /// Checks a deployment during its fault.
    pub(crate) fn check_under_fault(&mut self, world: &World, it: &NetworkDeployment) {
        let (id, logged, backed_up) = (
            it.applied.deployment_id(),
            it.is_logged,
            has_config(world, &it.config),
        );
        let (status, answer) = (
            string_field(&it.applied.answer, "status"),
            &it.applied.answer,
        );
        let spooled = spooled_items(world);
        if !(logged && backed_up) && status != "error" {
            self.silent.push(format!(
                "logged: {logged}, backed up: {backed_up}; {answer}"
            ));
        }
        if status == "ok" && !spooled.is_empty() {
            self.silent
                .push(format!("all is well, and yet {spooled:?} is spooled"));
        }
        if status != "ok" && it.applied.message().is_empty() {
            self.silent.push(format!("no message: {answer}"));
        }
        for (there, what) in [(logged, "record"), (backed_up, "config")] {
            let end = format!("-{what}-{id}.item");
            if !there && !spooled.iter().any(|name| name.ends_with(&end)) {
                self.lost.push(format!(
                    "the {what} is neither in the bucket nor in the spool: {spooled:?}; {answer}"
                ));
            }
        }
        for (name, content) in read_files(&world.state_dir()) {
            // The spool contains the config by design, but its header and the records must not.
            let content = match content.find(config_start()) {
                Some(start) if name.contains("/spool/") => content[..start].to_owned(),
                _ => content,
            };
            self.check_secrets(&name, &name);
            self.check_secrets(&name, &content);
        }
    }

    /// Checks that a message gives no advice but that of its fault.
    pub(crate) fn check_advice(&mut self, kind: &str, message: &str) {
        let Some((_, fitting)) = FITTING_ADVICE.iter().find(|(it, _)| *it == kind) else {
            return;
        };
        for advice in ALL_ADVICE {
            if message.contains(advice) && !fitting.contains(&advice) {
                self.misled.push(format!("`{advice}` in: {message}"));
            }
        }
    }

    /// Checks all deployments after the last, healthy one.
    pub(crate) fn check_after_healing(&mut self, world: &World, all: &[NetworkDeployment]) {
        let last = all.last().expect("a deployment");
        let kept = [
            spooled_items(world),
            file_names(&world.state_dir().join("quarantine")),
        ]
        .concat();
        // Who deployed without any credentials is not known, and that is said once.
        let is_healed = string_field(&last.applied.answer, "status") == "ok"
            || string_field(&last.applied.answer, "message").starts_with("the usage record of `");
        if !is_healed || !kept.is_empty() {
            self.lost.push(format!(
                "it does not heal: {}, {kept:?} is spooled",
                last.applied.answer
            ));
        }
        let current = world.server.object(BUCKET, "terragrunt/airbnb/config.yaml");
        if current
            .as_ref()
            .is_none_or(|it| it.body != last.config.as_bytes())
        {
            self.lost
                .push("config.yaml is not the newest config".to_owned());
        }
        for it in all {
            self.check_record(world, it);
            self.check_secrets("what was printed", &format!("{:?}", it.applied));
        }
        if world.usage_records().len() > all.len() {
            self.duplicated.push(format!(
                "{} records of {} deployments",
                world.usage_records().len(),
                all.len()
            ));
        }
        self.check_objects(world);
        if self.descriptions().is_empty() {
            self.odd.extend(
                false_alarms(world)
                    .into_iter()
                    .map(|alarm| format!("false alarm: {alarm}")),
            );
        }
        for request in world.server.requests() {
            self.check_secrets("a request's address", &format!("{request:?}"));
        }
    }

    fn check_record(&mut self, world: &World, it: &NetworkDeployment) {
        let id = it.applied.deployment_id();
        let records: Vec<(String, Value)> = world
            .usage_records()
            .into_iter()
            .filter(|(_, record)| record["deployment_id"] == id)
            .collect();
        match &records[..] {
            [] => self.lost.push(format!("no record of {id}")),
            [(name, record)] => {
                let key = record["backup_key"].as_str().unwrap_or_default();
                if world
                    .server
                    .object(BUCKET, key)
                    .is_none_or(|object| object.body != it.config.as_bytes())
                {
                    self.lost.push(format!("the record names {key:?}, which is not the config that was deployed: {record}"));
                }
                // An upload that was still running when its deployment ended arrives before its
                // replay.
                let was_there = world
                    .server
                    .requests()
                    .iter()
                    .any(|it| it.key == *name && it.status == 412);
                let late = record["late"] == true;
                if (late && it.is_logged) || !(late || it.is_logged || was_there) {
                    self.odd.push(format!(
                        "sent at once: {}, there before: {was_there}, and yet: {record}",
                        it.is_logged
                    ));
                }
            }
            _ => self
                .duplicated
                .push(format!("{} records of {id}", records.len())),
        }
    }

    /// Every config is complete, and no other object contains a secret.
    fn check_objects(&mut self, world: &World) {
        for key in world.server.keys(BUCKET, "") {
            let object = world.server.object(BUCKET, &key).expect("it");
            self.check_secrets(
                "a key or its metadata",
                &format!("{key} {:?}", object.metadata),
            );
            if key.starts_with("usage-logs/") || key.contains("/usage-chain/") {
                self.check_secrets(&key, &to_text(&object.body));
                continue;
            }
            // The ETag of the server is the MD5 of the object.
            let named = key
                .strip_suffix(".yaml")
                .and_then(|key| key.rsplit_once("/config-history/"))
                .and_then(|(_, name)| name.rsplit_once('_'));
            let stated = object.metadata.get("md5");
            if named.is_some_and(|(_, md5)| md5 != object.etag) || stated != Some(&object.etag) {
                self.lost.push(format!(
                    "{key} is torn: its MD5 is {}, {stated:?} is stated",
                    object.etag
                ));
            }
        }
    }

    pub(crate) fn check_secrets(&mut self, what: &str, text: &str) {
        let keys = ["secret-of-default", "secret-of-jane"];
        if let Some(secret) = SECRET_CANARIES
            .into_iter()
            .chain(keys)
            .find(|secret| text.contains(secret))
        {
            self.odd.push(format!("`{secret}` stands in {what}"));
        }
    }
}

/// The spooled items. A step without time also leaves partial files, which are removed later.
fn spooled_items(world: &World) -> Vec<String> {
    world
        .spooled_items()
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// Whether the bucket has a record of this deployment.
fn has_record(world: &World, id: &str) -> bool {
    world
        .usage_records()
        .iter()
        .any(|(_, record)| record["deployment_id"] == id)
}

/// Whether the bucket has this config, as the current one and as a copy.
fn has_config(world: &World, config: &str) -> bool {
    let is = |key: &String| {
        world
            .server
            .object(BUCKET, key)
            .is_some_and(|it| it.body == config.as_bytes())
    };
    is(&"terragrunt/airbnb/config.yaml".to_owned())
        && world
            .server
            .keys(BUCKET, "terragrunt/airbnb/config-history/")
            .iter()
            .any(is)
}

/// The first line of every config.
fn config_start() -> &'static str {
    CONFIG.split_inclusive('\n').next().expect("a line")
}

fn file_names(folder: &Path) -> Vec<String> {
    read_files(folder)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn read_files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        if entry.path().is_dir() {
            found.extend(read_files(&entry.path()));
        } else {
            found.push((
                entry.path().display().to_string(),
                to_text(&fs::read(entry.path()).unwrap_or_default()),
            ));
        }
    }
    found
}
