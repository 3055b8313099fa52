//! Checks the promises after a deployment, and counts violations by promise.
//!
//! The expectations come from the trial and the output of the helper, never from the files of the
//! helper.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config_versions::TrialVersions;
use crate::kill_step::spooled_files;
use crate::trial_runner::TrialDeployment;
use test_support::campaign::Campaign;
use test_support::{BUCKET, SECRET_CANARIES, World, helper_path, to_text};

const CONFIG_PREFIX: &str = "terragrunt/airbnb/";
/// The words of the message about spooled items, and about lost ones.
const SPOOLED_PHRASE: &str = "sent with the next deployment";
/// The words of the message about an unreadable config.
const UNREADABLE_PHRASE: &str = "config.yaml is not backed up: cannot read `";
const NOT_SPOOLED_PHRASES: [&str; 2] = ["nothing is spooled", "is lost"];

/// Violations by promise, with a phrase for each case.
#[derive(Debug, Default)]
pub(crate) struct ViolationCounts {
    /// A deployment took longer than permitted.
    pub(crate) blocked: Vec<String>,
    /// A step did not exit 0, or printed something else than its answer.
    pub(crate) failed: Vec<String>,
    /// Something is missing in the bucket without a report, or although it was announced.
    pub(crate) lost: Vec<String>,
    /// An object has other bytes than those written.
    pub(crate) torn: Vec<String>,
    /// Something is in the bucket twice.
    pub(crate) duplicated: Vec<String>,
    /// A report is wrong: a false cause, or a wrong `late` flag.
    pub(crate) misled: Vec<String>,
    /// A secret outside of the configs.
    pub(crate) leaked: Vec<String>,
}

impl ViolationCounts {
    fn by_kind(&self) -> [(&'static str, &Vec<String>); 7] {
        [
            ("blocked", &self.blocked),
            ("failed", &self.failed),
            ("lost", &self.lost),
            ("torn", &self.torn),
            ("duplicated", &self.duplicated),
            ("misled", &self.misled),
            ("leaked", &self.leaked),
        ]
    }

    pub(crate) fn total(&self) -> usize {
        self.by_kind().iter().map(|(_, cases)| cases.len()).sum()
    }

    /// For the summary line: `0 blocked, 0 failed, …`.
    pub(crate) fn summary(&self) -> String {
        self.by_kind()
            .map(|(kind, cases)| format!("{} {kind}", cases.len()))
            .join(", ")
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.blocked.extend(other.blocked);
        self.failed.extend(other.failed);
        self.lost.extend(other.lost);
        self.torn.extend(other.torn);
        self.duplicated.extend(other.duplicated);
        self.misled.extend(other.misled);
        self.leaked.extend(other.leaked);
    }

    pub(crate) fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        all.into_iter().for_each(|violations| sum.merge(violations));
        sum
    }

    /// Prints the first cases of each promise, and fails if there is any.
    pub(crate) fn assert_none(&self, campaign: &Campaign) {
        for (kind, cases) in self.by_kind() {
            cases
                .iter()
                .take(8)
                .for_each(|case| campaign.print_line(format!("{kind}: {case}")));
        }
        assert_eq!(self.total(), 0, "cases of each kind stand above");
    }

    /// Checks that a finished deployment reported what is missing. A killed step cannot report.
    pub(crate) fn check_report_of_deployment(
        &mut self,
        name: &str,
        world: &World,
        deployed: &TrialDeployment,
    ) {
        let missing = missing_objects(world, deployed);
        if !missing.is_empty() && deployed.status().is_some_and(|status| status != "error") {
            self.lost.push(format!(
                "{name}: {missing:?} of {} is missing, and `deploy` says so not: {:?}",
                deployed.id, deployed.answer
            ));
        }
    }

    /// Checks that a second run completed a deployment: everything is in the bucket, nothing of it
    /// is spooled, and `verify` finds nothing.
    pub(crate) fn check_completed(
        &mut self,
        name: &str,
        world: &World,
        deployed: &TrialDeployment,
    ) {
        let missing = missing_objects(world, deployed);
        let left: Vec<String> = spooled_files(world)
            .into_iter()
            .filter(|item| item.contains(&deployed.id))
            .collect();
        if !missing.is_empty()
            || !left.is_empty()
            || deployed.status().is_none_or(|status| status == "error")
        {
            let answer = &deployed.answer;
            self.lost.push(format!("{name}: the second run left {missing:?} missing, {left:?} in the spool, and says {answer:?}"));
            return;
        }
        self.torn.extend(
            verify_findings(world)
                .into_iter()
                .map(|alarm| format!("{name}: false alarm after the second run: {alarm}")),
        );
    }

    /// Checks the bucket after the last, healthy deployment.
    pub(crate) fn check_bucket(
        &mut self,
        name: &str,
        world: &World,
        deployments: &[TrialDeployment],
    ) {
        let before = self.total();
        for deployed in deployments {
            let TrialDeployment {
                id,
                answer,
                is_logged: logged,
                ..
            } = deployed;
            let message = deployed.message();
            let is_error = deployed.status() == Some("error");
            let excused = is_error
                && (!message.contains(SPOOLED_PHRASE)
                    || NOT_SPOOLED_PHRASES
                        .iter()
                        .any(|words| message.contains(words)));
            // A killed step reported nothing; `check_spooled` checks its durable files.
            let missing = missing_objects(world, deployed);
            // An unreadable config was not spooled, even if the message says that the record was.
            let is_unread = missing == ["config"] && message.starts_with(UNREADABLE_PHRASE);
            if !missing.is_empty() && !excused && !is_unread && answer.is_some() {
                self.lost.push(format!(
                    "{name}: {missing:?} of {id} never came: {answer:?}"
                ));
            }
            let found = record_with_key(world, id);
            // An upload that was still running when its deployment ended arrives before its replay.
            let was_there = |key: &str| {
                world
                    .server
                    .requests()
                    .iter()
                    .any(|request| request.key == key && request.status == 412)
            };
            let late = found.as_ref().map(|(_, record)| record["late"] == true);
            let arrived_later =
                late == Some(false) && found.is_some_and(|(key, _)| was_there(&key));
            if late.is_some_and(|late| late == *logged) && !arrived_later {
                self.misled.push(format!(
                    "{name}: the record of {id} says late: {late:?}, and it was in time: {logged}"
                ));
            }
        }
        self.check_history(name, world);
        self.check_records(name, world, deployments);
        let newest = deployments.last().expect("a healthy deployment");
        let config = world
            .server
            .object(BUCKET, &format!("{CONFIG_PREFIX}config.yaml"));
        if config.is_none_or(|config| config.body != newest.version.bytes) {
            self.lost.push(format!(
                "{name}: config.yaml is not that of the last deployment"
            ));
        }
        let warned = newest.status().is_some_and(|status| status != "ok");
        self.lost.extend(
            spooled_files(world)
                .into_iter()
                .filter(|_| !warned)
                .map(|file| format!("{name}: {file} was left behind without a word")),
        );
        if self.total() == before
            && deployments
                .iter()
                .all(|deployed| missing_objects(world, deployed).is_empty())
        {
            self.torn.extend(
                false_alarms(world)
                    .into_iter()
                    .map(|alarm| format!("{name}: false alarm: {alarm}")),
            );
        }
    }

    /// Checks that durable spool files arrived, also those of killed deployments.
    pub(crate) fn check_spooled(
        &mut self,
        name: &str,
        world: &World,
        deployments: &[TrialDeployment],
        kept: &[String],
    ) {
        for file in kept {
            let what = if file.contains("-config-") {
                "config"
            } else {
                "record"
            };
            let came = |deployed: &&TrialDeployment| {
                file.contains(&deployed.id) && !missing_objects(world, deployed).contains(&what)
            };
            if !deployments.iter().any(|deployed| came(&deployed)) {
                self.lost.push(format!(
                    "{name}: {file} was kept for good, and what it held never came"
                ));
            }
        }
    }

    /// Checks that every version was deployed with these bytes, and has one history copy.
    fn check_history(&mut self, name: &str, world: &World) {
        let mut copies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in world.server.keys(BUCKET, &format!("{CONFIG_PREFIX}config")) {
            let object = world.server.object(BUCKET, &key).expect("what is listed");
            let noted = object.metadata.get("md5").cloned().unwrap_or_default();
            let named = key
                .rsplit_once('_')
                .map_or("", |(_, tail)| tail.trim_end_matches(".yaml"));
            let is_history = key.starts_with(&format!("{CONFIG_PREFIX}config-history/"));
            let whole = TrialVersions::get()
                .with_md5(&noted)
                .is_some_and(|version| version.bytes == object.body);
            if !whole || (is_history && named != noted) {
                self.torn.push(format!(
                    "{name}: {key} with the MD5 {noted:?} holds {} other bytes",
                    object.body.len()
                ));
            } else if is_history {
                copies.entry(noted).or_default().push(key);
            }
        }
        let twice = copies.into_values().filter(|keys| keys.len() > 1);
        self.duplicated
            .extend(twice.map(|keys| format!("{name}: one config has the copies {keys:?}")));
    }

    /// Checks that every record is complete, with exactly one for each deployment.
    fn check_records(&mut self, name: &str, world: &World, deployments: &[TrialDeployment]) {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in world.server.keys(BUCKET, "usage-logs/") {
            let body = world
                .server
                .object(BUCKET, &key)
                .expect("what is listed")
                .body;
            let record: Option<Value> = serde_json::from_slice(&body).ok();
            match record
                .as_ref()
                .and_then(|record| record["deployment_id"].as_str())
                .filter(|_| body.ends_with(b"}\n"))
            {
                Some(id) => seen.entry(id.to_owned()).or_default().push(key.clone()),
                None => self.torn.push(format!(
                    "{name}: {key} is no whole record, of {} bytes",
                    body.len()
                )),
            }
            let shown = String::from_utf8_lossy(&body);
            if SECRET_CANARIES.iter().any(|canary| shown.contains(canary)) {
                self.leaked
                    .push(format!("{name}: {key} holds a secret of the config"));
            }
        }
        for (id, keys) in seen {
            if keys.len() > 1 {
                self.duplicated
                    .push(format!("{name}: {id} has the records {keys:?}"));
            } else if !deployments.iter().any(|deployed| deployed.id == id) {
                self.duplicated.push(format!(
                    "{name}: {keys:?} is of {id}, which is not a deployment"
                ));
            }
        }
    }
}

/// False alarms of `verify` for a correct bucket. A killed deployment may have left its config
/// without a record.
pub(crate) fn false_alarms(world: &World) -> Vec<String> {
    verify_findings(world)
        .into_iter()
        .filter(|line| !line.starts_with("unrecorded: "))
        .collect()
}

pub(crate) fn verify_findings(world: &World) -> Vec<String> {
    let output = world
        .command(helper_path())
        .arg("verify")
        .output()
        .expect("it runs");
    let said = to_text(&output.stdout) + &to_text(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 7)), "{said}");
    said.lines()
        .filter(|line| !line.starts_with("config-backup: "))
        .map(str::to_owned)
        .collect()
}

/// Whether the config, the record, or both are missing in the bucket.
pub(crate) fn missing_objects(world: &World, deployed: &TrialDeployment) -> Vec<&'static str> {
    let copies = world
        .server
        .keys(BUCKET, &format!("{CONFIG_PREFIX}config-history/"));
    let config = copies
        .iter()
        .any(|key| object_body(world, key) == deployed.version.bytes);
    let record = record_of_deployment(world, &deployed.id).is_some();
    [(config, "config"), (record, "record")]
        .into_iter()
        .filter(|(there, _)| !there)
        .map(|(_, what)| what)
        .collect()
}

pub(crate) fn record_of_deployment(world: &World, deployment_id: &str) -> Option<Value> {
    record_with_key(world, deployment_id).map(|(_, record)| record)
}

fn record_with_key(world: &World, deployment_id: &str) -> Option<(String, Value)> {
    let keys = world.server.keys(BUCKET, "usage-logs/").into_iter();
    let mut records = keys.filter_map(|key| {
        Some((
            key.clone(),
            serde_json::from_slice::<Value>(&object_body(world, &key)).ok()?,
        ))
    });
    records.find(|(_, record)| record["deployment_id"] == deployment_id)
}

fn object_body(world: &World, key: &str) -> Vec<u8> {
    world
        .server
        .object(BUCKET, key)
        .map(|object| object.body)
        .unwrap_or_default()
}
