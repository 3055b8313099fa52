//! A step of a deployment that something ends before its time, and what must be true of the deployment all the same.

use std::ffi::OsStr;
use std::fs;

use serde_json::Value;

use crate::config_versions::Versions;
use crate::trial_runner::{Ran, Runner, Scene, Trial, helper};
use crate::violations::Wrongs;
use test_support::World;
use test_support::terraform_steps::wrap_request;

/// What may be ended: each command that spools or sends something, in the scenes in which it does that differently.
pub(crate) const STEPS: [(&str, Scene); 5] = [
    ("deploy", Scene::Online),
    ("deploy", Scene::Offline),
    ("deploy", Scene::Late),
    ("deploy", Scene::Resumed),
    ("replay", Scene::Late),
];

/// What follows a step that was ended.
#[derive(Clone, Copy)]
pub(crate) enum Next<'a> {
    /// Everything was ended, as by a power cut: the next deployment has to heal it.
    Heal,
    /// Only the helper was ended: the same deployment is run again, as Terragrunt does it, and has to complete it.
    Again(Runner<'a>),
}

impl Next<'_> {
    /// One of the two, by chance.
    pub(crate) fn choose(chance: &mut fastrand::Rng) -> Self {
        if chance.bool() {
            Next::Again(&helper)
        } else {
            Next::Heal
        }
    }
}

/// What came of a step that was to be ended.
#[derive(Debug)]
pub(crate) struct Blow {
    /// What it did, if it came to an end of its own.
    pub(crate) ran: Option<Ran>,
    /// Whether it was hit at all: otherwise it had ended before.
    pub(crate) struck: bool,
    /// Whether it may have noted an answer of its own, which a second run returns.
    pub(crate) is_noted: bool,
    /// What it must have kept for good by then, by the names of the files, or the ends of them.
    pub(crate) kept: Vec<String>,
}

/// Deploys, or replays, with a blow to that step, goes on with `next`, and then deploys in good health. `None` if the step was
/// not hit.
pub(crate) fn endure(
    name: String,
    (verb, scene): (&str, Scene),
    next: Next,
    blow: impl FnOnce(&mut World, Option<&Value>) -> Blow,
) -> Option<Wrongs> {
    let mut trial = Trial::begin(name, scene);
    if verb == "replay" {
        trial.kept = items(&trial.world);
        let blow = blow(&mut trial.world, None);
        return blow.struck.then(|| trial.heal());
    }
    let version = &Versions::get().hard;
    trial.unit.write_config(&version.bytes);
    let context = trial.plan(&helper, &mut std::time::Duration::default());
    let request = wrap_request(&trial.unit.deploy_request(&context));
    trial.begin_if_resumed(&request);
    let before = items(&trial.world);
    let blow = blow(&mut trial.world, Some(&request));
    if !blow.struck {
        return None;
    }
    trial.kept = [before, blow.kept].concat();
    let mut answer = blow.ran.and_then(|ran| trial.check_answer(verb, &ran));
    if let Next::Again(runner) = next {
        let ran = runner(&trial.world, verb, &request);
        answer = trial.check_answer(verb, &ran);
        trial.check_took("the second run", ran.took);
    }
    trial.enter(&context, version, answer);
    if matches!(next, Next::Again(_)) && scene != Scene::Offline && !blow.is_noted {
        trial.wrongs.check_completed(
            &trial.name,
            &trial.world,
            trial.deployed.last().expect("it"),
        );
    }
    Some(trial.heal())
}

/// What a step has in the spool before it makes its first request, or has sent: everything is spooled before the network is tried.
pub(crate) fn promised(verb: &str, query: Option<&Value>) -> Vec<String> {
    let Some(query) = query.filter(|_| verb == "deploy") else {
        return Vec::new();
    };
    let id = requested(query)["deployment_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    ["config", "record"]
        .map(|what| format!("-{what}-{id}.item"))
        .to_vec()
}

/// The request in the query of `deploy`.
pub(crate) fn requested(query: &Value) -> Value {
    serde_json::from_str(query["request"].as_str().expect("a request")).expect("JSON")
}

/// The names of what is kept, in the state folder and in the one among the temporary files, which are the world's own.
pub(crate) fn items(world: &World) -> Vec<String> {
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
