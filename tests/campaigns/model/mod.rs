//! Random histories of the deployments of a customer, compared with a small reference model after
//! each step.
//!
//! A history has 3 to 8 steps on two machines: edits, plans applied later, network faults, kills
//! and wrong clocks. At the end the network works and both machines replay: everything must be in
//! the bucket exactly once.

mod driver;
mod events;
mod killable_helper;
mod observer;
mod reference;
mod steps;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::broken_helper::{REPLAYS_CONFIGS_AS_NEWER, wrap_helper};
use driver::ModelDriver;
use events::{ModelDeployment, ModelEvent};
use observer::ModelObserver;
use reference::{ModelState, ReferenceModel};
use steps::{ModelStep, NetworkState, ObjectKind, random_history};
use test_support::World;
use test_support::campaign::Campaign;

const HISTORIES_PER_WORLD: usize = 5;

/// The result of a history.
#[derive(Debug, Default)]
struct HistoryTally {
    steps: usize,
    /// Plans that ran out of time on a busy machine.
    gave_up: usize,
    differences: Vec<String>,
}

/// Plays a history, and replays until everything is sent.
fn play_history(world: &mut World, customer: &str, steps: &[ModelStep]) -> HistoryTally {
    let mut tally = HistoryTally::default();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut driver = ModelDriver::new(world, customer);
        let mut reference = ReferenceModel::new();
        for step in steps {
            tally.steps += 1;
            take_turn(&mut driver, &mut reference, *step)
                .map_err(|what| format!("{step:?}: {what}"))?;
        }
        tally.gave_up = driver.gave_up;
        replay_until_sent(&mut driver, &mut reference).map_err(|what| format!("in the end: {what}"))
    }));
    match played {
        Ok(Ok(())) => {}
        Ok(Err(what)) => tally.differences.push(what),
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            tally
                .differences
                .push(what.unwrap_or_else(|| "a panic".to_owned()));
        }
    }
    tally
}

/// With a good network, both machines replay their spools.
fn replay_until_sent(
    driver: &mut ModelDriver,
    reference: &mut ReferenceModel,
) -> Result<(), String> {
    for _ in 0..2 {
        take_turn(driver, reference, ModelStep::Replay(NetworkState::Good))?;
        take_turn(driver, reference, ModelStep::Move)?;
    }
    let kept = reference
        .state
        .spools
        .iter()
        .any(|spool| !spool.configs.is_empty() || !spool.records.is_empty());
    if kept {
        return Err(format!("something stays: {:?}", reference.state.spools));
    }
    ModelObserver(driver).check_copies()
}

/// Runs one step with the helper and in the reference, and compares.
fn take_turn(
    driver: &mut ModelDriver,
    reference: &mut ReferenceModel,
    step: ModelStep,
) -> Result<(), String> {
    let machine = driver.machine;
    let mut event = driver.take_step(step);
    let seen = ModelObserver(driver).read_state()?;
    if let ModelEvent::Deployed(deployment) = &mut event {
        set_times(deployment, &seen, machine)?;
    }
    check_event(reference, &event, machine, seen).map_err(|what| format!("{what}; {event:?}"))?;
    reference.logged = ModelObserver(driver).logged_times()?;
    Ok(())
}

/// Sets the times of config and record from files and objects; they must be within this step.
fn set_times(it: &mut ModelDeployment, seen: &ModelState, machine: usize) -> Result<(), String> {
    let id = &it.plan.id;
    let spool = &seen.spools[machine];
    let uploaded = seen
        .config
        .as_ref()
        .filter(|config| config.deployment == *id)
        .map(|config| config.at);
    let kept = || {
        spool
            .configs
            .keys()
            .find(|when| when.1 == *id)
            .map(|when| when.0)
    };
    it.config_at = uploaded.or_else(kept).unwrap_or(it.started);
    it.record_at = spool
        .records
        .keys()
        .find(|when| when.1 == *id)
        .map_or(it.started, |when| when.0);
    let step = it.started..=it.ended;
    if step.contains(&it.config_at) && step.contains(&it.record_at) {
        Ok(())
    } else {
        Err(format!("a time of another step: {it:?}"))
    }
}

fn check_event(
    reference: &mut ReferenceModel,
    event: &ModelEvent,
    machine: usize,
    seen: ModelState,
) -> Result<(), String> {
    match event {
        ModelEvent::Nothing => {}
        ModelEvent::Planned(plan) => reference.check_plan(plan)?,
        ModelEvent::Deployed(it) => {
            reference.order.push(it.plan.id.clone());
            if !it.saved {
                reference.check_plan(&it.plan)?;
            }
            if it.network.is_open() {
                return reference
                    .adopt_seen(&seen, Some(it), machine)
                    .map_err(|what| describe_difference(&what, &reference.state, &seen));
            }
            let check = |status: Option<&str>| match status {
                Some(status) if it.status.as_deref() != Some(status) => {
                    Err(format!("it must be {status}"))
                }
                _ => Ok(()),
            };
            return follow_deployment(reference, &seen, Some(it), |next| {
                check(next.apply_deployment(it, machine))
            });
        }
        ModelEvent::Repeated { first, second } => {
            if first != second {
                return Err(
                    "a deployment that had ended answers otherwise when it runs again".to_owned(),
                );
            }
        }
        ModelEvent::Replayed {
            network,
            code,
            output,
        } => {
            let spool = &reference.state.spools[machine];
            let kept = spool.configs.len() + spool.records.len();
            if let (Some((line, exit)), true) = (network.replay(kept), spool.garbage.is_empty())
                && (output != &line || *code != Some(exit))
            {
                return Err(format!("a replay must say {line:?} and exit with {exit}"));
            }
            if network.is_open() {
                return reference
                    .adopt_seen(&seen, None, machine)
                    .map_err(|what| describe_difference(&what, &reference.state, &seen));
            }
            let sends = !network.is_down();
            return follow_deployment(reference, &seen, None, |next| {
                if sends {
                    next.apply_replay(machine, None);
                }
                Ok(())
            });
        }
    }
    // Only foreign files may be new.
    let mut expected = reference.state.clone();
    for (spool, seen) in expected.spools.iter_mut().zip(&seen.spools) {
        (spool.garbage, spool.in_the_way) = (seen.garbage.clone(), seen.in_the_way);
    }
    if expected != seen {
        return Err(describe_difference(
            "nothing may have changed",
            &expected,
            &seen,
        ));
    }
    reference.state = seen;
    Ok(())
}

/// Updates the reference, which must then match what is seen.
fn follow_deployment(
    reference: &mut ReferenceModel,
    seen: &ModelState,
    deployment: Option<&ModelDeployment>,
    go: impl Fn(&mut ReferenceModel) -> Result<(), String>,
) -> Result<(), String> {
    let mut next = reference.clone();
    go(&mut next)?;
    next.align_with_seen(seen, deployment);
    if next.state != *seen {
        return Err(describe_difference("a difference", &next.state, seen));
    }
    *reference = next;
    Ok(())
}

fn describe_difference(what: &str, expected: &ModelState, seen: &ModelState) -> String {
    let mut parts = vec![what.to_owned()];
    let mut compare = |name: &str, expected: String, seen: String| {
        if expected != seen {
            parts.push(format!("{name}: expected {expected}, seen {seen}"));
        }
    };
    compare(
        "config.yaml",
        format!("{:?}", expected.config),
        format!("{:?}", seen.config),
    );
    compare(
        "history",
        format!("{:?}", expected.history),
        format!("{:?}", seen.history),
    );
    compare(
        "records",
        format!("{:?}", expected.records),
        format!("{:?}", seen.records),
    );
    compare(
        "spool 0",
        format!("{:?}", expected.spools[0]),
        format!("{:?}", seen.spools[0]),
    );
    compare(
        "spool 1",
        format!("{:?}", expected.spools[1]),
        format!("{:?}", seen.spools[1]),
    );
    parts.join("; ")
}

/// Removes steps from a failing history as long as it still fails.
fn shrink_history(
    world: &mut World,
    customer: &str,
    mut steps: Vec<ModelStep>,
) -> (Vec<ModelStep>, String) {
    let (mut what, mut index, mut tries) = (String::new(), 0, 0);
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        tries += 1;
        match play_history(world, &format!("{customer}-{tries}"), &fewer)
            .differences
            .pop()
        {
            Some(difference) => (steps, what) = (fewer, difference),
            None => index += 1,
        }
    }
    (steps, what)
}

fn model_world() -> World {
    let mut world = World::new();
    // Without git and tools, which take most of the time and do not matter here.
    world.set_variable("PATH", Some("/nonexistent"));
    world
}

#[test]
fn every_history_leaves_what_the_reference_says() {
    let campaign = Campaign::start("model");
    let count: usize = campaign.pick(60, 10_000);
    let worlds: Vec<HistoryTally> =
        campaign.run_each(count.div_ceil(HISTORIES_PER_WORLD), 8, |number| {
            let mut world = model_world();
            let mut sum = HistoryTally::default();
            for number in
                number * HISTORIES_PER_WORLD..count.min((number + 1) * HISTORIES_PER_WORLD)
            {
                let steps = random_history(&mut campaign.rng(number));
                let tally = play_history(&mut world, &format!("c{number}"), &steps);
                sum.steps += tally.steps;
                sum.gave_up += tally.gave_up;
                for what in tally.differences {
                    campaign.print_line(format!(
                        "history {number} of seed {}: {what}; {steps:?}",
                        campaign.seed
                    ));
                    let (steps, less) =
                        shrink_history(&mut world, &format!("c{number}"), steps.clone());
                    let less = if less.is_empty() {
                        "no step can be left out"
                    } else {
                        &less
                    };
                    campaign.print_line(format!("history {number}, shrunk: {less}; {steps:?}"));
                    sum.differences.push(what);
                }
            }
            sum
        });
    let sum = |part: fn(&HistoryTally) -> usize| worlds.iter().map(part).sum::<usize>();
    let (steps, differences) = (sum(|it| it.steps), sum(|it| it.differences.len()));
    let gave_up = sum(|it| it.gave_up);
    let mut line = format!("{count} histories ({steps} steps): {differences} differences");
    if gave_up > 0 {
        let _ = write!(line, "; the machine was too busy for {gave_up} plans");
    }
    campaign.print_line(line);
    assert_eq!(differences, 0);
}

/// Plays a history with a broken helper, and returns the difference.
fn expect_difference(wrong: &str, steps: &[ModelStep]) -> String {
    let mut world = model_world();
    wrap_helper(&mut world, wrong);
    play_history(&mut world, "careless", steps)
        .differences
        .pop()
        .expect("a difference")
}

#[test]
fn detects_a_helper_that_drops_every_other_record() {
    let wrong = r#"case $1 in
  deploy)
    echo turn >>"$folder/turns"
    turns=0
    while read -r _; do turns=$((turns + 1)); done <"$folder/turns"
    [ $((turns % 2)) -eq 1 ] || { echo '{"status":"ok","message":"done"}' && exit 0; }
    ;;
esac"#;
    let what = expect_difference(
        wrong,
        &[
            ModelStep::Apply(NetworkState::Good),
            ModelStep::Apply(NetworkState::Good),
        ],
    );
    assert!(what.contains("a difference; records: expected {"), "{what}");
}

#[test]
fn detects_a_replay_that_overwrites_a_newer_config() {
    let steps = [
        ModelStep::Apply(NetworkState::Offline),
        ModelStep::Move,
        ModelStep::Edit(1),
        ModelStep::Apply(NetworkState::Good),
        ModelStep::Move,
        ModelStep::Replay(NetworkState::Good),
    ];
    let what = expect_difference(REPLAYS_CONFIGS_AS_NEWER, &steps);
    assert!(
        what.contains("a difference; config.yaml: expected Some(UploadedConfig { content: 1"),
        "{what}"
    );
}

#[test]
fn detects_a_helper_that_writes_a_record_twice() {
    // A second later, and without the saved answer.
    let wrong = r#"if [ "$1" = deploy ]; then
  read -r request
  printf '%s' "$request" | "$helper" deploy >/dev/null
  now=$(/bin/date +%s)
  while [ "$(/bin/date +%s)" = "$now" ]; do :; done
  /bin/rm -r "$HOME/.local/state/config-backup/deployments"
  printf '%s' "$request" | "$helper" deploy
  exit 0
fi"#;
    let what = expect_difference(wrong, &[ModelStep::Apply(NetworkState::Good)]);
    assert!(what.contains("a second record of one deployment"), "{what}");
}

#[test]
fn detects_a_second_run_that_becomes_another_deployment() {
    let wrong = r#"if [ "$1" = deploy ]; then
  [ -e "$folder/ran" ] || { : >"$folder/ran" && exec "$helper" deploy; }
  /bin/sed 's/Z-/Z-0/g' | "$helper" deploy
  exit 0
fi"#;
    let what = expect_difference(
        wrong,
        &[ModelStep::Apply(NetworkState::Good), ModelStep::Repeat],
    );
    assert!(
        what.contains("answers otherwise when it runs again"),
        "{what}"
    );
}

#[test]
fn detects_a_killed_deployment_that_is_not_completed() {
    let wrong = r#"if [ "$1" = deploy ]; then
  [ -e "$folder/ran" ] || { : >"$folder/ran" && exec "$helper" deploy; }
  echo '{"status":"ok","message":"done"}'
  exit 0
fi"#;
    let what = expect_difference(
        wrong,
        &[ModelStep::Apply(NetworkState::Killed {
            request: 2,
            done: false,
            again: true,
        })],
    );
    assert!(
        what.contains("a second run did not complete the deployment"),
        "{what}"
    );
}

/// Each kind of step occurs, also in the small size.
#[test]
fn histories_have_every_kind_of_step() {
    let kinds = |step: &ModelStep| {
        format!("{step:?}")
            .split(['(', ' ', '{'])
            .next()
            .map(str::to_owned)
    };
    let campaign = Campaign::start("model");
    let seen: BTreeSet<String> = (0..60)
        .flat_map(|number| random_history(&mut campaign.rng(number)))
        .filter_map(|it| kinds(&it))
        .collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
    let lost = |object| {
        (0..60).any(|number| {
            random_history(&mut campaign.rng(number))
                .contains(&ModelStep::Apply(NetworkState::Lost(object)))
        })
    };
    assert!(
        [ObjectKind::Copy, ObjectKind::Config, ObjectKind::Record]
            .into_iter()
            .all(lost)
    );
}
