//! A step of a deployment that something ends before its time, and what must be true of the deployment all the same.

use std::ffi::OsStr;
use std::fs;

use serde_json::Value;

use crate::support::World;
use crate::trial::{Ran, Scene, Trial, helper};
use crate::versions::Versions;
use crate::wrongs::Wrongs;

/// What may be ended: each verb that keeps or sends something, in the scenes in which it does that differently.
pub(crate) const STEPS: [(&str, Scene); 6] = [
    ("backup", Scene::Online),
    ("backup", Scene::Offline),
    ("log", Scene::Online),
    ("log", Scene::Offline),
    ("log", Scene::Late),
    ("replay", Scene::Late),
];

/// What came of a step that was to be ended.
#[derive(Debug)]
pub(crate) struct Blow {
    /// What it did, if it came to an end of its own.
    pub(crate) ran: Option<Ran>,
    /// Whether it was hit at all: otherwise it had ended before.
    pub(crate) struck: bool,
    /// What it must have kept for good by then, by the names of the files, or the ends of them.
    pub(crate) kept: Vec<String>,
}

/// Deploys, or replays, with a blow to one step, and then deploys in good health. `None` if the step was not hit.
///
/// With `goes_on` only this step is ended, as by a kernel short of memory; otherwise the whole deployment is, as by a
/// power cut.
pub(crate) fn endure(
    name: String,
    (verb, scene): (&str, Scene),
    goes_on: bool,
    blow: impl FnOnce(&mut World, Option<&Value>) -> Blow,
) -> Option<Wrongs> {
    let mut trial = Trial::begin(name, scene);
    if verb == "replay" {
        trial.kept = items(&trial.world);
        let blow = blow(&mut trial.world, None);
        return blow.struck.then(|| trial.heal());
    }
    let version = &Versions::get().hard;
    trial.unit.write(&version.bytes);
    let context = trial.plan(&helper, &mut std::time::Duration::default());
    let request = trial.unit.request(&context);
    if verb == "log" {
        helper(&trial.world, "backup", &request);
    }
    let before = items(&trial.world);
    let blow = blow(&mut trial.world, Some(&request));
    if !blow.struck {
        return None;
    }
    trial.kept = [before, blow.kept].concat();
    if let Some(ran) = &blow.ran {
        trial.check_line(verb, ran);
    }
    let mut log = blow.ran.filter(|_| verb == "log").map(|ran| ran.output);
    if goes_on && verb == "backup" {
        let ran = helper(&trial.world, "log", &request);
        trial.check_line("log", &ran);
        log = Some(ran.output);
    }
    let outcome = goes_on.then(|| trial.ask_outcome(&context, &helper));
    let outcome = outcome.and_then(|ran| trial.check_answer("outcome", &ran));
    trial.enter(&context, version, log, outcome);
    Some(trial.heal())
}

/// The names of what is kept, in the state folder and in the one among the temporary files, which are the world's own.
pub(crate) fn items(world: &World) -> Vec<String> {
    let temporary = fs::read_dir(world.path()).expect("a folder").map(|entry| entry.expect("an entry"));
    let fallbacks = temporary.filter(|entry| entry.file_name().to_string_lossy().starts_with("config-backup-")).map(|entry| entry.path());
    let spools = fallbacks.chain([world.state()]).map(|place| place.join("spool"));
    let files = spools.filter_map(|spool| fs::read_dir(spool).ok()).flatten().map(|entry| entry.expect("an entry").path());
    let names =
        files.filter(|path| path.extension().is_some_and(|it| it == "item")).filter_map(|path| path.file_name().map(OsStr::to_owned));
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}
