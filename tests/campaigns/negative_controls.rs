//! Broken helpers, each of which must be counted under the promise that it breaks and under no
//! other.

use serde_json::json;

use crate::config_versions::TrialVersions;
use crate::kill_step::{AfterKill, KillOutcome, run_killed_step, spooled_files};
use crate::trial_runner::{DeploymentTrial, TrialScene, run_behind_script, run_helper};
use crate::violations::ViolationCounts;
use test_support::{BUCKET, World, run_with_input};

/// A deployment with a broken helper, and one with the real helper.
fn deploy_by(script: &str, scene: TrialScene) -> ViolationCounts {
    let mut trial = DeploymentTrial::new(script.to_owned(), scene);
    trial.deploy(&TrialVersions::get().hard, &run_behind_script(script));
    trial.finish()
}

#[test]
fn finds_nothing_with_the_real_helper() {
    for scene in [TrialScene::Online, TrialScene::Offline, TrialScene::Late] {
        let violations = deploy_by("exec \"$1\" \"$2\"", scene);
        assert_eq!(violations.total(), 0, "{violations:?}");
    }
}

#[test]
fn detects_a_helper_that_empties_its_spool() {
    let violations = deploy_by(
        "\"$1\" \"$2\"; rm -rf \"$HOME\"/.local/state/config-backup/spool",
        TrialScene::Offline,
    );
    assert_eq!(
        (violations.lost.len(), violations.total()),
        (1, 1),
        "{violations:?}"
    );
}

#[test]
fn detects_a_helper_that_hides_its_warning() {
    let violations = deploy_by(
        "\"$1\" \"$2\" | sed 's/\"status\":\"error\"/\"status\":\"ok\"/'",
        TrialScene::Offline,
    );
    assert_eq!(
        (violations.lost.len(), violations.total()),
        (1, 1),
        "{violations:?}"
    );
}

#[test]
fn detects_a_helper_that_fails_or_prints_too_much() {
    for script in [
        "\"$1\" \"$2\"; exit 1",
        "echo a word >&2; exec \"$1\" \"$2\"",
        "\"$1\" \"$2\"; echo a word",
    ] {
        let violations = deploy_by(script, TrialScene::Online);
        assert_eq!(
            (
                violations.failed.len() >= 2,
                violations.total() - violations.failed.len()
            ),
            (true, 0),
            "{script}: {violations:?}"
        );
    }
}

#[test]
fn detects_a_helper_that_takes_too_long() {
    let mut trial = DeploymentTrial::new("slow".to_owned(), TrialScene::Online);
    trial.limit = std::time::Duration::from_millis(1500);
    trial.deploy(
        &TrialVersions::get().hard,
        &run_behind_script("[ \"$2\" != deploy ] || sleep 2; exec \"$1\" \"$2\""),
    );
    assert_eq!(
        (trial.violations.blocked.len(), trial.violations.total()),
        (1, 1),
        "{:?}",
        trial.violations
    );
}

#[test]
fn detects_a_helper_that_wrongly_blames_the_deadline() {
    let violations = deploy_by(
        "\"$1\" \"$2\" | sed 's/Connection refused/no answer within the 10 s/'",
        TrialScene::Offline,
    );
    assert_eq!(
        (violations.misled.len(), violations.total()),
        (1, 1),
        "{violations:?}"
    );
}

#[test]
fn detects_a_helper_that_prints_the_config() {
    let violations = deploy_by(
        "\"$1\" \"$2\"; [ \"$2\" != deploy ] || cat 'customers of ours/airbnb/config.yaml'",
        TrialScene::Online,
    );
    assert_eq!(
        (
            violations.leaked.len(),
            violations.lost.len(),
            violations.torn.len()
        ),
        (1, 0, 0),
        "{violations:?}"
    );
}

#[test]
fn detects_torn_objects() {
    let hard = &TrialVersions::get().hard;
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
        let mut trial = DeploymentTrial::new(format!("a torn {key}"), TrialScene::Online);
        trial.deploy(&hard.clone(), &run_helper);
        trial
            .world
            .server
            .put(BUCKET, key, body, &[("md5", &hard.md5)])
            .expect("put");
        let violations = trial.finish();
        assert_eq!(
            (violations.torn.len(), violations.total()),
            (1, 1),
            "{key}: {violations:?}"
        );
    }
}

#[test]
fn detects_a_late_record_without_its_flag() {
    let trial = DeploymentTrial::new("a late record without a word".to_owned(), TrialScene::Late);
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
    let violations = trial.finish();
    assert_eq!(
        (violations.misled.len(), violations.total()),
        (1, 1),
        "{violations:?}"
    );
}

#[test]
fn detects_a_second_record_of_a_deployment() {
    let mut trial = DeploymentTrial::new("a record sent twice".to_owned(), TrialScene::Online);
    trial.deploy(&TrialVersions::get().hard, &run_helper);
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
    let violations = trial.finish();
    assert_eq!(
        (violations.duplicated.len(), violations.total()),
        (1, 1),
        "{violations:?}"
    );
}

#[test]
fn detects_spooled_items_that_never_arrive() {
    for step in [
        ("deploy", TrialScene::Offline),
        ("deploy", TrialScene::Resumed),
        ("replay", TrialScene::Late),
    ] {
        let violations = run_killed_step(
            format!("{step:?}"),
            step,
            AfterKill::NextDeployment,
            |world: &mut World, query| {
                if let (TrialScene::Offline, Some(query)) = (step.1, query) {
                    run_with_input(
                        world.helper_command(&[step.0]),
                        query.to_string().as_bytes(),
                    );
                }
                let kept = spooled_files(world);
                std::fs::remove_dir_all(world.state_dir().join("spool")).expect("a spool");
                KillOutcome {
                    ran: None,
                    was_hit: true,
                    is_noted: false,
                    spooled: kept,
                }
            },
        );
        let violations = violations.expect("the step was hit");
        assert!(!violations.lost.is_empty(), "{step:?}: {violations:?}");
        assert_eq!(
            violations.total(),
            violations.lost.len(),
            "{step:?}: {violations:?}"
        );
    }
}

/// A deployment that is killed before its first request, and run again by a shell script.
fn run_again_by(script: &str) -> ViolationCounts {
    let again = run_behind_script(script);
    let step = ("deploy", TrialScene::Resumed);
    let blow = |_: &mut World, _: Option<&serde_json::Value>| KillOutcome {
        ran: None,
        was_hit: true,
        is_noted: false,
        spooled: Vec::new(),
    };
    run_killed_step(script.to_owned(), step, AfterKill::SecondRun(&again), blow)
        .expect("the step was hit")
}

#[test]
fn finds_nothing_with_a_second_run_of_the_real_helper() {
    let violations = run_again_by("exec \"$1\" \"$2\"");
    assert_eq!(violations.total(), 0, "{violations:?}");
}

#[test]
fn detects_a_second_run_that_completes_nothing() {
    for script in [
        "echo '{\"status\":\"ok\",\"message\":\"\"}'",
        "\"$1\" \"$2\" </dev/null",
    ] {
        let violations = run_again_by(script);
        assert!(!violations.lost.is_empty(), "{script}: {violations:?}");
    }
}

#[test]
fn detects_a_second_run_with_a_new_id() {
    let violations = run_again_by("sed 's/Z-/Z-0/g' | \"$1\" \"$2\"");
    assert!(!violations.duplicated.is_empty(), "{violations:?}");
}

#[test]
fn detects_a_second_copy_of_a_config() {
    let mut trial = DeploymentTrial::new("a copy sent twice".to_owned(), TrialScene::Online);
    let hard = &TrialVersions::get().hard;
    trial.deploy(hard, &run_helper);
    let copy = format!(
        "terragrunt/airbnb/config-history/2026-11-24_000000_{}.yaml",
        hard.md5
    );
    trial
        .world
        .server
        .put(BUCKET, &copy, &hard.bytes, &[("md5", &hard.md5)])
        .expect("put");
    let violations = trial.finish();
    assert_eq!(violations.duplicated.len(), 1, "{violations:?}");
}
