//! Helpers that are broken on purpose: each must be caught, by the counter of the promise that it breaks and by no other.

use serde_json::json;

use crate::config_versions::Versions;
use crate::kill_step::{Blow, Next, endure, items};
use crate::trial_runner::{Scene, Trial, behind, helper};
use crate::violations::Wrongs;
use test_support::{BUCKET, World, run_with_input};

/// A deployment by a broken helper, and a healthy one.
fn by(script: &str, scene: Scene) -> Wrongs {
    let mut trial = Trial::begin(script.to_owned(), scene);
    trial.deploy(&Versions::get().hard, &behind(script));
    trial.heal()
}

#[test]
fn a_helper_in_good_health_breaks_nothing() {
    for scene in [Scene::Online, Scene::Offline, Scene::Late] {
        let wrongs = by("exec \"$1\" \"$2\"", scene);
        assert_eq!(wrongs.count(), 0, "{wrongs:?}");
    }
}

#[test]
fn a_helper_that_empties_its_spool_is_caught_as_one_that_loses() {
    let wrongs = by(
        "\"$1\" \"$2\"; rm -rf \"$HOME\"/.local/state/config-backup/spool",
        Scene::Offline,
    );
    assert_eq!((wrongs.lost.len(), wrongs.count()), (1, 1), "{wrongs:?}");
}

#[test]
fn a_helper_that_swallows_its_warning_is_caught_as_one_that_loses_untold() {
    let wrongs = by(
        "\"$1\" \"$2\" | sed 's/\"status\":\"error\"/\"status\":\"ok\"/'",
        Scene::Offline,
    );
    assert_eq!((wrongs.lost.len(), wrongs.count()), (1, 1), "{wrongs:?}");
}

#[test]
fn a_helper_that_fails_or_chats_is_caught_at_each_of_its_steps() {
    for script in [
        "\"$1\" \"$2\"; exit 1",
        "echo a word >&2; exec \"$1\" \"$2\"",
        "\"$1\" \"$2\"; echo a word",
    ] {
        let wrongs = by(script, Scene::Online);
        assert_eq!(
            (
                wrongs.failed.len() >= 2,
                wrongs.count() - wrongs.failed.len()
            ),
            (true, 0),
            "{script}: {wrongs:?}"
        );
    }
}

#[test]
fn a_helper_that_takes_longer_than_it_may_is_caught() {
    let mut trial = Trial::begin("slow".to_owned(), Scene::Online);
    trial.limit = std::time::Duration::from_millis(1500);
    trial.deploy(
        &Versions::get().hard,
        &behind("[ \"$2\" != deploy ] || sleep 2; exec \"$1\" \"$2\""),
    );
    assert_eq!(
        (trial.wrongs.blocked.len(), trial.wrongs.count()),
        (1, 1),
        "{:?}",
        trial.wrongs
    );
}

#[test]
fn a_helper_that_blames_the_time_while_there_is_plenty_is_caught() {
    let wrongs = by(
        "\"$1\" \"$2\" | sed 's/Connection refused/no answer within the 10 s/'",
        Scene::Offline,
    );
    assert_eq!((wrongs.misled.len(), wrongs.count()), (1, 1), "{wrongs:?}");
}

#[test]
fn a_helper_that_prints_the_config_is_caught() {
    let wrongs = by(
        "\"$1\" \"$2\"; [ \"$2\" != deploy ] || cat 'customers of ours/airbnb/config.yaml'",
        Scene::Online,
    );
    assert_eq!(
        (wrongs.leaked.len(), wrongs.lost.len(), wrongs.torn.len()),
        (1, 0, 0),
        "{wrongs:?}"
    );
}

#[test]
fn objects_that_are_torn_are_caught() {
    let hard = &Versions::get().hard;
    let half = &hard.bytes[..hard.bytes.len() / 2];
    let copy = format!(
        "terragrunt/airbnb/config-history/2026-11-24_000000_{}.yaml",
        hard.md5
    );
    let of_a_record = b"{\"timestamp\":\"2026-11-24T00:00:00Z\",\"customer\":\"air";
    for (key, body) in [
        (copy.as_str(), half),
        ("usage-logs/airbnb/2026-11-24_000000.json", of_a_record),
    ] {
        let mut trial = Trial::begin(format!("a torn {key}"), Scene::Online);
        trial.deploy(&hard.clone(), &helper);
        trial
            .world
            .server
            .put(BUCKET, key, body, &[("md5", &hard.md5)])
            .expect("put");
        let wrongs = trial.heal();
        assert_eq!(
            (wrongs.torn.len(), wrongs.count()),
            (1, 1),
            "{key}: {wrongs:?}"
        );
    }
}

#[test]
fn a_late_record_that_says_it_was_in_time_is_caught() {
    let trial = Trial::begin("a late record without a word".to_owned(), Scene::Late);
    let line = format!(
        "{}\n",
        json!({"customer": "airbnb", "deployment_id": trial.deployed[0].id})
    );
    run_with_input(trial.world.helper_command(&["replay"]), b"");
    let key = trial.world.server.keys(BUCKET, "usage-logs/").remove(0);
    trial
        .world
        .server
        .put(BUCKET, &key, line.as_bytes(), &[])
        .expect("put");
    let wrongs = trial.heal();
    assert_eq!((wrongs.misled.len(), wrongs.count()), (1, 1), "{wrongs:?}");
}

#[test]
fn a_second_record_of_a_deployment_is_caught() {
    let mut trial = Trial::begin("a record sent twice".to_owned(), Scene::Online);
    trial.deploy(&Versions::get().hard, &helper);
    let line = format!(
        "{}\n",
        json!({"customer": "airbnb", "deployment_id": trial.deployed[0].id})
    );
    trial
        .world
        .server
        .put(
            BUCKET,
            "usage-logs/airbnb/2026-11-24_000000-0badcafe.json",
            line.as_bytes(),
            &[],
        )
        .expect("put");
    let wrongs = trial.heal();
    assert_eq!(
        (wrongs.duplicated.len(), wrongs.count()),
        (1, 1),
        "{wrongs:?}"
    );
}

#[test]
fn what_was_kept_before_a_kill_and_did_not_come_is_caught() {
    for step in [
        ("deploy", Scene::Offline),
        ("deploy", Scene::Resumed),
        ("replay", Scene::Late),
    ] {
        let wrongs = endure(
            format!("{step:?}"),
            step,
            Next::Heal,
            |world: &mut World, query| {
                if let (Scene::Offline, Some(query)) = (step.1, query) {
                    run_with_input(
                        world.helper_command(&[step.0]),
                        query.to_string().as_bytes(),
                    );
                }
                let kept = items(world);
                std::fs::remove_dir_all(world.state_dir().join("spool")).expect("a spool");
                Blow {
                    ran: None,
                    struck: true,
                    is_noted: false,
                    kept,
                }
            },
        );
        let wrongs = wrongs.expect("it was struck");
        assert!(!wrongs.lost.is_empty(), "{step:?}: {wrongs:?}");
        assert_eq!(wrongs.count(), wrongs.lost.len(), "{step:?}: {wrongs:?}");
    }
}

/// A deployment that is killed before it has sent anything, and run again by a script of `sh`.
fn again_by(script: &str) -> Wrongs {
    let again = behind(script);
    let step = ("deploy", Scene::Resumed);
    let blow = |_: &mut World, _: Option<&serde_json::Value>| Blow {
        ran: None,
        struck: true,
        is_noted: false,
        kept: Vec::new(),
    };
    endure(script.to_owned(), step, Next::Again(&again), blow).expect("it was struck")
}

#[test]
fn a_second_run_in_good_health_breaks_nothing() {
    let wrongs = again_by("exec \"$1\" \"$2\"");
    assert_eq!(wrongs.count(), 0, "{wrongs:?}");
}

#[test]
fn a_second_run_that_completes_nothing_is_caught() {
    for script in [
        "echo '{\"status\":\"ok\",\"message\":\"\"}'",
        "\"$1\" \"$2\" </dev/null",
    ] {
        let wrongs = again_by(script);
        assert!(!wrongs.lost.is_empty(), "{script}: {wrongs:?}");
    }
}

#[test]
fn a_second_run_with_a_new_id_is_caught_as_one_that_duplicates() {
    let wrongs = again_by("sed 's/Z-/Z-0/g' | \"$1\" \"$2\"");
    assert!(!wrongs.duplicated.is_empty(), "{wrongs:?}");
}

#[test]
fn a_second_copy_of_a_config_is_caught() {
    let mut trial = Trial::begin("a copy sent twice".to_owned(), Scene::Online);
    let hard = &Versions::get().hard;
    trial.deploy(hard, &helper);
    let copy = format!(
        "terragrunt/airbnb/config-history/2026-11-24_000000_{}.yaml",
        hard.md5
    );
    trial
        .world
        .server
        .put(BUCKET, &copy, &hard.bytes, &[("md5", &hard.md5)])
        .expect("put");
    let wrongs = trial.heal();
    assert_eq!(wrongs.duplicated.len(), 1, "{wrongs:?}");
}
