//! What must be in the bucket after a history, by the rules of docs/commands.md ("status and
//! replay") and without any code of the product.

use std::collections::BTreeMap;

use super::history::{CredentialsSource, DeployStep, LateNetwork, LateStep, PEOPLE};
use super::stage::{LateStage, PlayedDeployment, content_number};
use test_support::terraform_steps::string_field;

/// A deployment that waits in a spool.
#[derive(Debug, Clone)]
struct WaitingDeployment {
    id: String,
    step: DeployStep,
    /// The person that the record names already.
    user: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct HistoryExpectation {
    /// The person that each record names.
    users: BTreeMap<String, Option<usize>>,
    waiting: [Vec<WaitingDeployment>; 2],
    /// The content of the newest deployment.
    newest: Option<usize>,
    /// Who STS named last for a profile on a machine.
    remembered: BTreeMap<(usize, String), usize>,
}

impl HistoryExpectation {
    /// Follows a step. Returns what is wrong with its answer.
    pub(super) fn follow_step(
        &mut self,
        step: &LateStep,
        played: Option<&PlayedDeployment>,
    ) -> Option<String> {
        match (step, played) {
            (LateStep::Deploy(step), Some(played)) => self.follow_deployment(step, played),
            (LateStep::Replay { machine, person }, _) => {
                self.send_waiting(*machine, *person, |_| true);
                None
            }
            (LateStep::Deploy(_), None) => Some("a deployment without an answer".to_owned()),
        }
    }

    fn follow_deployment(
        &mut self,
        step: &DeployStep,
        played: &PlayedDeployment,
    ) -> Option<String> {
        self.newest = Some(step.content);
        let has_credentials = step.source != CredentialsSource::ExpiredProfile;
        let has_sts = has_credentials && step.apply != LateNetwork::Offline;
        let is_planned_by_same = step.planner == step.person;
        let user = (has_sts || has_credentials && played.has_plan_asked_sts && is_planned_by_same)
            .then_some(step.person);
        if has_sts && let Some(profile) = profile_of(step) {
            self.remembered.insert((step.machine, profile), step.person);
        }
        if has_credentials && step.apply == LateNetwork::Good {
            self.users.insert(played.id.clone(), user);
            // The uploads of its own target, and those without a profile, go with the deployment.
            self.send_waiting(step.machine, step.person, |_| true);
            let is_ok = ["ok", "warning"].contains(&played.status.as_str());
            return (!is_ok).then(|| format!("with a good network: {}", played.message));
        }
        self.waiting[step.machine].push(WaitingDeployment {
            id: played.id.clone(),
            step: *step,
            user,
        });
        (played.status != "error").then(|| format!("without a network: {}", played.message))
    }

    /// Everything that `sender` can send is sent.
    fn send_waiting(
        &mut self,
        machine: usize,
        sender: usize,
        is_ready: impl Fn(&WaitingDeployment) -> bool,
    ) {
        let waiting = std::mem::take(&mut self.waiting[machine]);
        for deployment in waiting {
            let is_expired = deployment.step.source == CredentialsSource::ExpiredProfile;
            if is_expired || !is_ready(&deployment) {
                self.waiting[machine].push(deployment);
                continue;
            }
            let user = deployment.user.or_else(|| {
                let is_own_key = deployment.step.source == CredentialsSource::Profile;
                let is_same = deployment.step.person == sender;
                (is_own_key || is_same).then_some(deployment.step.person)
            });
            self.users.insert(deployment.id, user);
        }
    }

    /// At the end, the first person replays on both machines, with renewed logins.
    pub(super) fn follow_final_replays(&mut self) {
        for machine in 0..2 {
            self.send_waiting(machine, 0, |_| true);
            for deployment in std::mem::take(&mut self.waiting[machine]) {
                // Who deployed is known only if STS named this profile's user before.
                let profile = profile_of(&deployment.step).unwrap_or_default();
                let user = self.remembered.get(&(machine, profile)).copied();
                self.users.insert(deployment.id, user);
            }
        }
    }

    /// Compares the bucket and the machines with the expectation.
    pub(super) fn compare(&self, stage: &LateStage) -> Vec<String> {
        let mut differences = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for record in stage.records() {
            let id = string_field(&record, "deployment_id").to_owned();
            *seen.entry(id.clone()).or_default() += 1;
            let Some(expected) = self.users.get(&id) else {
                differences.push(format!("an unknown record: {record}"));
                continue;
            };
            let expected = expected.map_or("", |person| PEOPLE[person].1);
            let user = string_field(&record, "user");
            if user != expected {
                differences.push(format!(
                    "the record of {id} names the user `{user}` and not `{expected}`"
                ));
            }
        }
        for id in self.users.keys() {
            let count = seen.get(id).copied().unwrap_or_default();
            if count != 1 {
                differences.push(format!("{count} records of {id}"));
            }
        }
        for file in stage.spooled_files() {
            differences.push(format!("`{file}` is stuck in a spool"));
        }
        differences.extend(self.compare_configs(stage));
        differences
    }

    fn compare_configs(&self, stage: &LateStage) -> Vec<String> {
        let mut differences = Vec::new();
        let current = stage.current_config().as_deref().and_then(content_number);
        if current != self.newest {
            let newest = self.newest;
            differences.push(format!(
                "config.yaml has the content {current:?} and not {newest:?}"
            ));
        }
        if self.newest.is_none() {
            return differences;
        }
        let restored = content_number(&stage.restored_config());
        if restored != self.newest {
            let newest = self.newest;
            differences.push(format!("`restore` gives {restored:?} and not {newest:?}"));
        }
        differences.extend(stage.verified().err());
        differences
    }
}

/// The profile of a deployment, if it has one.
fn profile_of(step: &DeployStep) -> Option<String> {
    let name = PEOPLE[step.person].0;
    match step.source {
        CredentialsSource::Profile => Some(name.to_owned()),
        CredentialsSource::ExpiredProfile => Some(format!("expired-{name}")),
        CredentialsSource::Environment => None,
    }
}
