//! A step of a deployment that is killed or interrupted, and what must still be true of the
//! deployment.

use std::ffi::OsStr;
use std::fs;

use serde_json::Value;

use crate::config_versions::TrialVersions;
use crate::trial_runner::{DeploymentTrial, StepResult, StepRunner, TrialScene, run_helper};
use crate::violations::ViolationCounts;
use test_support::World;
use test_support::terraform_steps::wrap_request;

/// What may be ended: each command that spools or sends something, in the scenes in which it does that differently.
pub(crate) const KILLABLE_STEPS: [(&str, TrialScene); 5] = [
    ("deploy", TrialScene::Online),
    ("deploy", TrialScene::Offline),
    ("deploy", TrialScene::Late),
    ("deploy", TrialScene::Resumed),
    ("replay", TrialScene::Late),
];

/// What follows a step that was ended.
#[derive(Clone, Copy)]
pub(crate) enum AfterKill<'a> {
    /// Everything was ended, as by a power cut: the next deployment has to heal it.
    NextDeployment,
    /// Only the helper was ended: the same deployment is run again, as Terragrunt does it, and has to complete it.
    SecondRun(StepRunner<'a>),
}

impl AfterKill<'_> {
    /// One of the two, by chance.
    pub(crate) fn choose(chance: &mut fastrand::Rng) -> Self {
        if chance.bool() {
            AfterKill::SecondRun(&run_helper)
        } else {
            AfterKill::NextDeployment
        }
    }
}

/// What came of a step that was to be ended.
#[derive(Debug)]
pub(crate) struct KillOutcome {
    /// Its result, if it ended by itself.
    pub(crate) ran: Option<StepResult>,
    /// Whether the kill hit the step before it ended.
    pub(crate) was_hit: bool,
    /// Whether it may have saved an answer, which a second run returns.
    pub(crate) is_noted: bool,
    /// The names, or ends of names, of the files that must be durable by then.
    pub(crate) spooled: Vec<String>,
}

/// Runs a step, kills it, continues with `next`, and then deploys without faults. `None` if the
/// step was not hit.
pub(crate) fn run_killed_step(
    name: String,
    (command, scene): (&str, TrialScene),
    next: AfterKill,
    blow: impl FnOnce(&mut World, Option<&Value>) -> KillOutcome,
) -> Option<ViolationCounts> {
    let mut trial = DeploymentTrial::new(name, scene);
    if command == "replay" {
        trial.spooled = spooled_files(&trial.world);
        let blow = blow(&mut trial.world, None);
        return blow.was_hit.then(|| trial.finish());
    }
    let version = &TrialVersions::get().hard;
    trial.unit.write_config(&version.bytes);
    let context = trial.plan(&run_helper, &mut std::time::Duration::default());
    let request = wrap_request(&trial.unit.deploy_request(&context));
    trial.begin_if_resumed(&request);
    let before = spooled_files(&trial.world);
    let blow = blow(&mut trial.world, Some(&request));
    if !blow.was_hit {
        return None;
    }
    trial.spooled = [before, blow.spooled].concat();
    let mut answer = blow.ran.and_then(|ran| trial.check_answer(command, &ran));
    if let AfterKill::SecondRun(runner) = next {
        let ran = runner(&trial.world, command, &request);
        answer = trial.check_answer(command, &ran);
        trial.check_duration("the second run", ran.took);
    }
    trial.record_deployment(&context, version, answer);
    if matches!(next, AfterKill::SecondRun(_)) && scene != TrialScene::Offline && !blow.is_noted {
        trial.violations.check_completed(
            &trial.name,
            &trial.world,
            trial.deployed.last().expect("it"),
        );
    }
    Some(trial.finish())
}

/// The ends of the spool file names before the first request, because everything is spooled before
/// the network is used.
pub(crate) fn expected_spool_files(command: &str, query: Option<&Value>) -> Vec<String> {
    let Some(query) = query.filter(|_| command == "deploy") else {
        return Vec::new();
    };
    let id = request_in_query(query)["deployment_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    ["config", "record"]
        .map(|what| format!("-{what}-{id}.item"))
        .to_vec()
}

/// The request in the query of `deploy`.
pub(crate) fn request_in_query(query: &Value) -> Value {
    serde_json::from_str(query["request"].as_str().expect("a request")).expect("JSON")
}

/// The spool files in the state directory and in the temporary fallback directories of the world.
pub(crate) fn spooled_files(world: &World) -> Vec<String> {
    let temporary = fs::read_dir(world.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry"));
    let fallbacks = temporary
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("config-backup-")
        })
        .map(|entry| entry.path());
    let spools = fallbacks
        .chain([world.state_dir()])
        .map(|place| place.join("spool"));
    let files = spools
        .filter_map(|spool| fs::read_dir(spool).ok())
        .flatten()
        .map(|entry| entry.expect("an entry").path());
    let names = files
        .filter(|path| path.extension().is_some_and(|it| it == "item"))
        .filter_map(|path| path.file_name().map(OsStr::to_owned));
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
