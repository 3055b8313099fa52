//! The reference model: what the bucket and both machines must contain after each step. It encodes
//! the promises of the README and knows no files, no requests and no code of the product.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{ModelDeployment, ModelPlan};
use super::steps::{CONTENTS, NetworkState};

/// A time and the id of a deployment.
pub(crate) type TimeAndId = (i64, String);

/// The observable state of a customer. Configs are content numbers, deployments are ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModelState {
    /// `config.yaml` in the bucket.
    pub(crate) config: Option<UploadedConfig>,
    /// The contents in the history.
    pub(crate) history: BTreeSet<usize>,
    /// The usage records by deployment.
    pub(crate) records: BTreeMap<String, RecordState>,
    /// The spool of each machine.
    pub(crate) spools: [SpoolState; 2],
}

/// A config with its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadedConfig {
    pub(crate) content: usize,
    pub(crate) at: i64,
    pub(crate) deployment: String,
    pub(crate) backup_id: String,
}

/// A usage record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordState {
    pub(crate) content: usize,
    pub(crate) backup: String,
    pub(crate) late: bool,
}

/// The spool of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SpoolState {
    /// Content and backup id.
    pub(crate) configs: BTreeMap<TimeAndId, (usize, String)>,
    pub(crate) records: BTreeMap<TimeAndId, RecordState>,
    /// Foreign files, in the spool and in the quarantine.
    pub(crate) garbage: BTreeSet<String>,
    /// How many of them are still in the spool.
    pub(crate) in_the_way: usize,
}

/// The expected state, and what is needed to predict the next one.
#[derive(Debug, Clone)]
pub(crate) struct ReferenceModel {
    pub(crate) state: ModelState,
    /// The times of the recorded deployments in seconds, by id.
    pub(crate) logged: BTreeMap<String, i64>,
    /// The ids of all deployments, in their order.
    pub(crate) order: Vec<String>,
}

impl ReferenceModel {
    pub(crate) fn new() -> Self {
        Self {
            state: ModelState::default(),
            logged: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Checks the answer of a plan.
    pub(crate) fn check_plan(&self, plan: &ModelPlan) -> Result<(), String> {
        if plan.gave_up {
            return Ok(());
        }
        let there = self
            .state
            .config
            .as_ref()
            .filter(|it| it.content == plan.content && !plan.network.is_down());
        let status = match (plan.network.is_down(), is_broken(plan.content)) {
            (true, _) => "error",
            (false, true) => "warning",
            (false, false) => "ok",
        };
        if plan.status != status {
            return Err(format!("the plan's status must be {status}: {plan:?}"));
        }
        match there {
            Some(version) if plan.in_step && plan.backup_id == version.backup_id => Ok(()),
            None if !plan.in_step
                && self
                    .state
                    .config
                    .as_ref()
                    .is_none_or(|it| it.backup_id != plan.backup_id) =>
            {
                Ok(())
            }
            _ => Err(format!("{plan:?} of {:?}", self.state.config)),
        }
    }

    /// Applies a deployment with a predictable result. Returns its expected status, if that is
    /// predictable.
    pub(crate) fn apply_deployment(
        &mut self,
        it: &ModelDeployment,
        machine: usize,
    ) -> Option<&'static str> {
        let record = |backup: &str| RecordState {
            content: it.content,
            backup: backup.to_owned(),
            late: false,
        };
        let spool = &mut self.state.spools[machine];
        if it.network.is_down() {
            // `deploy` trusts a plan that found the bucket up to date, and keeps the config all the
            // same until the bucket confirms it.
            let believed = it.plan.in_step && it.plan.content == it.content;
            spool.configs.insert(
                (it.config_at, it.plan.id.clone()),
                (it.content, it.plan.backup_id.clone()),
            );
            let record = record(if believed { "unchanged" } else { "spooled" });
            spool
                .records
                .insert((it.record_at, it.plan.id.clone()), record);
            return Some("error");
        }
        let quiet = !is_broken(it.content) && it.plan.content == it.content;
        let status = match (quiet, spool.in_the_way, spool.garbage.len()) {
            (true, 0, 0) => Some("ok"),
            // Quarantined files may be reported again.
            (true, 0, _) => None,
            _ => Some("warning"),
        };
        // `deploy` trusts a recent plan that found another config, and histories take less than ten
        // minutes.
        let has_looked = ["ok", "warning"].contains(&it.plan.status.as_str())
            && it.plan.content == it.content
            && !it.plan.in_step;
        let record = if !has_looked
            && self
                .state
                .config
                .as_ref()
                .is_some_and(|there| there.content == it.content)
        {
            record("unchanged")
        } else {
            let (deployment, backup_id) = (it.plan.id.clone(), it.plan.backup_id.clone());
            self.upload_config(UploadedConfig {
                content: it.content,
                at: it.config_at,
                deployment,
                backup_id,
            });
            record("uploaded")
        };
        self.state.records.insert(it.plan.id.clone(), record);
        self.logged.insert(it.plan.id.clone(), it.record_at);
        self.apply_replay(machine, Some(&it.plan.id));
        status
    }

    fn upload_config(&mut self, version: UploadedConfig) {
        self.state.history.insert(version.content);
        self.state.config = Some(version);
    }

    /// Applies a replay. Only the config of the newest deployment that this machine knows becomes
    /// `config.yaml`, and only if the bucket has none of a later deployment.
    pub(crate) fn apply_replay(&mut self, machine: usize, running: Option<&str>) {
        let spool = &mut self.state.spools[machine];
        let mut known: BTreeSet<&str> = running.into_iter().collect();
        known.extend(spool.configs.keys().map(|when| when.1.as_str()));
        known.extend(spool.records.keys().map(|when| when.1.as_str()));
        let newest = self
            .order
            .iter()
            .rfind(|id| known.contains(id.as_str()))
            .cloned()
            .unwrap_or_default();
        let (configs, records) = (
            std::mem::take(&mut spool.configs),
            std::mem::take(&mut spool.records),
        );
        for ((at, deployment), (content, backup_id)) in configs {
            self.state.history.insert(content);
            match &self.state.config {
                _ if deployment != newest => {}
                Some(there) if there.content == content || there.at >= at => {}
                Some(_)
                    if self
                        .logged
                        .iter()
                        .any(|(id, logged)| *id != deployment && *logged > at) => {}
                _ => self.upload_config(UploadedConfig {
                    content,
                    at,
                    deployment,
                    backup_id,
                }),
            }
        }
        for ((_, deployment), record) in records {
            // An upload whose answer was lost already exists.
            self.state.records.entry(deployment).or_insert(RecordState {
                late: true,
                ..record
            });
        }
    }

    /// Adopts what a step leaves undefined, if everything else matches.
    pub(crate) fn align_with_seen(
        &mut self,
        seen: &ModelState,
        deployment: Option<&ModelDeployment>,
    ) {
        for (spool, seen) in self.state.spools.iter_mut().zip(&seen.spools) {
            spool.in_the_way = seen.in_the_way;
        }
        // A deployment of the stored config may update its metadata.
        if let (Some(it), Some(there), Some(seen)) =
            (deployment, &mut self.state.config, &seen.config)
            && (there.content, it.content) == (seen.content, seen.content)
            && (it.started..=it.ended).contains(&seen.at)
        {
            there.clone_from(seen);
        }
    }

    /// Checks and adopts the state after a step that may have stopped anywhere.
    pub(crate) fn adopt_seen(
        &mut self,
        seen: &ModelState,
        own: Option<&ModelDeployment>,
        machine: usize,
    ) -> Result<(), String> {
        let (before, kept) = (&self.state, &self.state.spools[machine]);
        let is_own = |id: &str| own.is_some_and(|it| it.plan.id == id);
        let missing = before.history.difference(&seen.history).count();
        let known = |content: &usize| {
            own.is_some_and(|it| it.content == *content)
                || kept.configs.values().any(|it| it.0 == *content)
        };
        let strange = seen
            .history
            .difference(&before.history)
            .filter(|content| !known(content))
            .count();
        require(missing + strange == 0, "the history lost or won something")?;
        let newer = |it: &UploadedConfig| {
            before
                .config
                .as_ref()
                .is_none_or(|there| it.at > there.at || is_own(&it.deployment))
        };
        let config = seen.config == before.config
            || seen.config.as_ref().is_some_and(|it| {
                known(&it.content) && seen.history.contains(&it.content) && newer(it)
            });
        require(
            config,
            "config.yaml is neither what it was nor what was on its way",
        )?;
        for (id, record) in &before.records {
            require(
                seen.records.get(id) == Some(record),
                "a record is gone or another one",
            )?;
        }
        for (id, record) in seen
            .records
            .iter()
            .filter(|(id, _)| !before.records.contains_key(*id))
        {
            let late = kept.records.iter().any(|((_, kept), it)| {
                kept == id
                    && RecordState {
                        late: true,
                        ..it.clone()
                    } == *record
            });
            require(late || is_own(id) && !record.late, "an unexpected record")?;
        }
        require(
            seen.spools[1 - machine] == before.spools[1 - machine],
            "the other machine's spool changed",
        )?;
        let spool = &seen.spools[machine];
        require(
            spool.garbage == kept.garbage,
            "files that are not ours are gone, or more",
        )?;
        let strange = spool
            .configs
            .iter()
            .any(|(when, it)| kept.configs.get(when) != Some(it) && !is_own(&when.1))
            || spool
                .records
                .iter()
                .any(|(when, it)| kept.records.get(when) != Some(it) && !is_own(&when.1));
        require(!strange, "the spool has something new")?;
        let configs = kept
            .configs
            .iter()
            .filter(|(when, _)| !spool.configs.contains_key(*when))
            .map(|(_, it)| it.0);
        let records = kept
            .records
            .keys()
            .filter(|when| !spool.records.contains_key(*when))
            .map(|when| &when.1);
        require(
            configs
                .into_iter()
                .all(|content| seen.history.contains(&content)),
            "a kept config is neither there nor sent",
        )?;
        require(
            records.into_iter().all(|id| seen.records.contains_key(id)),
            "a kept record is neither there nor sent",
        )?;
        if let Some(it) = own {
            check_own(seen, it, machine)?;
        }
        self.state = seen.clone();
        Ok(())
    }
}

/// Config and record of a deployment are in the bucket or spooled, and missing ones are reported.
fn check_own(seen: &ModelState, it: &ModelDeployment, machine: usize) -> Result<(), String> {
    let spool = &seen.spools[machine];
    let config_sent = seen.history.contains(&it.content);
    let config_kept = spool
        .configs
        .iter()
        .any(|(when, config)| when.1 == it.plan.id && config.0 == it.content);
    let record_sent = seen.records.contains_key(&it.plan.id);
    let record_kept = spool.records.keys().any(|when| when.1 == it.plan.id);
    require(
        config_sent || config_kept,
        "the config is neither in the bucket nor kept",
    )?;
    require(
        record_sent || record_kept,
        "the record is neither in the bucket nor kept",
    )?;
    let is_complete = config_sent && record_sent && !config_kept && !record_kept;
    require(
        is_complete || !it.is_again,
        "a second run did not complete the deployment",
    )?;
    let is_reported = it.status.as_ref().is_none_or(|status| status == "error");
    require(
        is_reported || config_sent && record_sent,
        "something is not in the bucket, and the answer does not say so",
    )
}

/// Whether a content is invalid YAML.
pub(crate) fn is_broken(content: usize) -> bool {
    content == CONTENTS - 1
}

fn require(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl NetworkState {
    /// The expected message and exit code of a replay without faults, with `kept` spooled items.
    pub(crate) fn replay(self, kept: usize) -> Option<(String, i32)> {
        match self {
            Self::Good => Some((format!("{kept} sent, 0 left\n"), 0)),
            Self::Offline => Some((
                format!("0 sent, {kept} left\n"),
                if kept == 0 { 0 } else { 6 },
            )),
            _ => None,
        }
    }
}
