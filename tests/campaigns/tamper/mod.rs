//! Kinds of edits by an attacker who knows the whole bucket and can compute everything again, and what
//! `verify` finds: without a memory, and with one. docs/security.md lists what it cannot find.
//!
//! - `history.rs`: what helpers write
//! - `sandbox.rs`: what edits are made of
//! - `record_kinds.rs`, `seal_kinds.rs`, `config_kinds.rs`: the kinds of edits
//! - `healthy.rs`: histories without an edit, in which nothing may be found

mod config_kinds;
mod healthy;
mod history;
mod record_kinds;
mod sandbox;
mod seal_kinds;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use test_support::campaign::Campaign;
use test_support::oracle::{unix_now, unix_time};
use test_support::terraform_steps::string_field;
use test_support::{BUCKET, World, project_dir};

use history::{Object, Objects};
use sandbox::Sandbox;

/// The name of a kind of edit, and the edit.
type EditKind = (&'static str, fn(&mut Sandbox));

/// A customer that is never edited, so a finding there is a false alarm.
const SPARED: &str = "spared";

/// What an attacker may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attacker {
    /// `s3:PutObject`: adds and overwrites, also where the edit wants a deletion.
    Writes,
    /// `s3:DeleteObject`, too: only the edits with a deletion.
    Deletes,
}

fn all_kinds() -> Vec<EditKind> {
    let parts = [
        record_kinds::RECORD_KINDS,
        record_kinds::FORGED_KINDS,
        seal_kinds::SEAL_KINDS,
        seal_kinds::RECOMPUTED_KINDS,
        config_kinds::CONFIG_KINDS,
    ];
    parts.concat()
}

fn customer_of(kind: &str) -> String {
    kind.replace('_', "-")
}

fn put_objects(world: &World, objects: &Objects) {
    for (key, object) in objects {
        let metadata: Vec<(&str, &str)> = object
            .metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let modified = unix_time(object.modified);
        world
            .server
            .put_at(BUCKET, key, &object.body, &metadata, modified)
            .expect("an object");
    }
}

/// The objects after an edit by this attacker, with the times at which S3 sees it. `None` if the
/// attacker cannot do it.
fn edit_customer(attacker: Attacker, kind: EditKind, now: u64) -> Option<(Objects, Objects)> {
    let (name, edit) = kind;
    let mut sandbox = Sandbox::new(&customer_of(name), now);
    let clean = sandbox.objects.clone();
    edit(&mut sandbox);
    let mut edited = sandbox.objects;
    let has_deletion = clean.keys().any(|key| !edited.contains_key(key));
    if attacker == Attacker::Deletes && !has_deletion {
        return None;
    }
    for (key, object) in &clean {
        match edited.get_mut(key) {
            Some(now) if is_same(now, object) => *now = object.clone(),
            None if attacker == Attacker::Writes => {
                edited.insert(key.clone(), object.clone());
            }
            _ => {}
        }
    }
    for (key, object) in &mut edited {
        if clean.get(key) != Some(object) {
            object.modified = now;
        }
    }
    (edited != clean).then_some((clean, edited))
}

fn is_same(a: &Object, b: &Object) -> bool {
    (&a.body, &a.metadata) == (&b.body, &b.metadata)
}

/// The customers with findings. `known` is the name of the memory.
fn verify(world: &World, known: &str) -> BTreeSet<String> {
    let known = world.path().join(known);
    let known = known.to_str().expect("UTF-8");
    let output = world
        .helper_command(&["verify", "--json", "--known", known])
        .output()
        .expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found: BTreeSet<String> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|it| string_field(it, "customer").to_owned())
        .collect();
    let code = if found.is_empty() { 0 } else { 7 };
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    found
}

/// The kinds that were not found.
#[derive(Debug, Default, PartialEq, Eq)]
struct MissedKinds {
    without_memory: BTreeSet<String>,
    with_memory: BTreeSet<String>,
    tried: usize,
    false_alarms: usize,
}

fn try_kinds(attacker: Attacker, kinds: &[EditKind]) -> MissedKinds {
    let world = World::new();
    let now = unix_now() - 30;
    let edits: Vec<(&str, (Objects, Objects))> = kinds
        .iter()
        .filter_map(|kind| Some((kind.0, edit_customer(attacker, *kind, now)?)))
        .collect();
    for (_, (clean, _)) in &edits {
        put_objects(&world, clean);
    }
    put_objects(&world, &Sandbox::new(SPARED, now).objects);
    assert_eq!(verify(&world, "known"), BTreeSet::new(), "before any edit");

    for (_, (clean, edited)) in &edits {
        for key in clean.keys().filter(|key| !edited.contains_key(*key)) {
            world.server.delete(BUCKET, key).expect("deleted");
        }
        let changed = edited
            .iter()
            .filter(|(key, it)| clean.get(*key) != Some(it));
        let changed = changed.map(|(key, object)| (key.clone(), object.clone()));
        put_objects(&world, &changed.collect());
    }
    let missed = |known: &str| {
        let found = verify(&world, known);
        let missed = edits.iter().map(|(name, _)| *name);
        let missed = missed.filter(|name| !found.contains(&customer_of(name)));
        let missed: BTreeSet<String> = missed.map(str::to_owned).collect();
        (missed, usize::from(found.contains(SPARED)))
    };
    let (without_memory, first_alarms) = missed("nothing");
    let (with_memory, more_alarms) = missed("known");
    MissedKinds {
        without_memory,
        with_memory,
        tried: edits.len(),
        false_alarms: first_alarms + more_alarms,
    }
}

/// The kinds in the table of docs/security.md, and whether memory finds them.
fn documented_kinds() -> (BTreeSet<String>, BTreeSet<String>) {
    let page = fs::read_to_string(project_dir().join("docs/security.md")).expect("a page");
    let (_, table) = page
        .split_once("| What `verify` does not find |")
        .expect("the table");
    let table = table.split("\n\n").next().expect("its rows");
    let (mut without, mut with) = (BTreeSet::new(), BTreeSet::new());
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let names = cells[0].split('`').skip(1).step_by(2).map(str::to_owned);
        let names: Vec<String> = names.collect();
        if cells[1].trim() == "no" {
            with.extend(names.clone());
        }
        without.extend(names);
    }
    (without, with)
}

#[test]
fn each_kind_of_edit_is_found_or_documented() {
    let campaign = Campaign::start("tamper");
    let kinds = all_kinds();
    let names: BTreeSet<&str> = kinds.iter().map(|(name, _)| *name).collect();
    assert!(names.len() == kinds.len() && kinds.len() >= 60);

    let attackers = [Attacker::Writes, Attacker::Deletes];
    let results = campaign.run_each(2, 2, |number| try_kinds(attackers[number], &kinds));
    for (attacker, result) in attackers.iter().zip(&results) {
        campaign.print_line(format!(
            "{} kinds of edits by who {attacker:?}: {} missed without memory, {} with it, \
             {} false alarms",
            result.tried,
            result.without_memory.len(),
            result.with_memory.len(),
            result.false_alarms
        ));
        assert_eq!(result.false_alarms, 0);
    }
    let union = |get: fn(&MissedKinds) -> &BTreeSet<String>| {
        results
            .iter()
            .flat_map(|it| get(it).clone())
            .collect::<BTreeSet<String>>()
    };
    let (without_memory, with_memory) = documented_kinds();
    let missed = MissedKinds {
        without_memory: union(|it| &it.without_memory),
        with_memory: union(|it| &it.with_memory),
        ..MissedKinds::default()
    };
    let documented = MissedKinds {
        without_memory,
        with_memory,
        ..MissedKinds::default()
    };
    assert_eq!(missed, documented);
}

/// Each counter sees what it is there for.
#[test]
fn controls_are_counted() {
    let harmless: EditKind = ("harmless", |it| {
        let object = Object {
            body: b"x".to_vec(),
            metadata: Vec::new(),
            modified: 0,
        };
        let key = format!("terragrunt/{}/notes.txt", it.history.customer);
        it.objects.insert(key, object);
    });
    let in_other_customer: EditKind = ("in_other_customer", |it| {
        let key = format!("usage-logs/{SPARED}/2026-10-01_000000.json");
        let object = Object {
            body: b"x".to_vec(),
            metadata: Vec::new(),
            modified: 0,
        };
        it.objects.insert(key, object);
    });
    let result = try_kinds(Attacker::Writes, &[harmless, in_other_customer]);
    let both: BTreeSet<String> = ["harmless", "in_other_customer"].map(str::to_owned).into();
    let expected = MissedKinds {
        without_memory: both.clone(),
        with_memory: both,
        tried: 2,
        false_alarms: 2,
    };
    assert_eq!(result, expected);
}
