//! Random histories of a customer's deployments, each step of which leaves exactly what a small reference says.
//!
//! A history takes 3 to 8 steps at two machines: edits, plans applied later, networks that fail in many ways, kills, clocks that are
//! wrong. Then the network is good, and both machines replay: everything must be in the bucket, once.

mod driver;
mod events;
mod killable_helper;
mod observer;
mod reference;
mod steps;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::broken_helper::wrap;
use driver::Stage;
use events::{Deployment, Event};
use observer::Look;
use reference::{Reference, State};
use steps::{Network, Object, Step, history};
use test_support::World;
use test_support::campaign::Campaign;

/// Histories that share a world.
const SHARED: usize = 5;

/// What a history came to.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    /// Plans that gave up, because the machine was busy.
    gave_up: usize,
    differences: Vec<String>,
}

/// Plays a history from its beginning, and on until all is sent.
fn play(world: &mut World, customer: &str, steps: &[Step]) -> Tally {
    let mut tally = Tally::default();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new(world, customer);
        let mut reference = Reference::new();
        for step in steps {
            tally.steps += 1;
            turn(&mut stage, &mut reference, *step).map_err(|what| format!("{step:?}: {what}"))?;
        }
        tally.gave_up = stage.gave_up;
        arrive(&mut stage, &mut reference).map_err(|what| format!("in the end: {what}"))
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

/// The network is good, and both machines send what they keep.
fn arrive(stage: &mut Stage, reference: &mut Reference) -> Result<(), String> {
    for _ in 0..2 {
        turn(stage, reference, Step::Replay(Network::Good))?;
        turn(stage, reference, Step::Move)?;
    }
    let kept = reference
        .state
        .spools
        .iter()
        .any(|spool| !spool.configs.is_empty() || !spool.records.is_empty());
    if kept {
        return Err(format!("something stays: {:?}", reference.state.spools));
    }
    Look(stage).check_copies()
}

/// Takes one step in reality and in the reference, and compares.
fn turn(stage: &mut Stage, reference: &mut Reference, step: Step) -> Result<(), String> {
    let machine = stage.machine;
    let mut event = stage.take(step);
    let seen = Look(stage).state()?;
    if let Event::Deployed(deployment) = &mut event {
        date(deployment, &seen, machine)?;
    }
    judge(reference, &event, machine, seen).map_err(|what| format!("{what}; {event:?}"))?;
    reference.logged = Look(stage).logged()?;
    Ok(())
}

/// When the config was read and the record written, by the files and objects that say so; it must have been in this step.
fn date(it: &mut Deployment, seen: &State, machine: usize) -> Result<(), String> {
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

fn judge(
    reference: &mut Reference,
    event: &Event,
    machine: usize,
    seen: State,
) -> Result<(), String> {
    match event {
        Event::Nothing => {}
        Event::Planned(plan) => reference.check_plan(plan)?,
        Event::Deployed(it) => {
            if !it.saved {
                reference.check_plan(&it.plan)?;
            }
            if it.network.is_open() {
                return reference
                    .adopt(&seen, Some(it), machine)
                    .map_err(|what| different(&what, &reference.state, &seen));
            }
            let check = |status: Option<&str>| match status {
                Some(status) if it.status.as_deref() != Some(status) => {
                    Err(format!("it must be {status}"))
                }
                _ => Ok(()),
            };
            return follow(reference, &seen, Some(it), |next| {
                check(next.deployed(it, machine))
            });
        }
        Event::Repeated { first, second } => {
            if first != second {
                return Err(
                    "a deployment that had ended answers otherwise when it runs again".to_owned(),
                );
            }
        }
        Event::Replayed {
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
                    .adopt(&seen, None, machine)
                    .map_err(|what| different(&what, &reference.state, &seen));
            }
            let sends = !network.is_down();
            return follow(reference, &seen, None, |next| {
                if sends {
                    next.replayed(machine);
                }
                Ok(())
            });
        }
    }
    // Files may have come that are not ours; nothing else may have changed.
    let mut expected = reference.state.clone();
    for (spool, seen) in expected.spools.iter_mut().zip(&seen.spools) {
        (spool.garbage, spool.in_the_way) = (seen.garbage.clone(), seen.in_the_way);
    }
    if expected != seen {
        return Err(different("nothing may have changed", &expected, &seen));
    }
    reference.state = seen;
    Ok(())
}

/// Brings the reference to what is seen, which must be what it says.
fn follow(
    reference: &mut Reference,
    seen: &State,
    deployment: Option<&Deployment>,
    go: impl Fn(&mut Reference) -> Result<(), String>,
) -> Result<(), String> {
    let mut next = reference.clone();
    go(&mut next)?;
    next.align(seen, deployment);
    if next.state != *seen {
        return Err(different("a difference", &next.state, seen));
    }
    *reference = next;
    Ok(())
}

/// Names what is not the same.
fn different(what: &str, expected: &State, seen: &State) -> String {
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

/// The same history without the steps that it fails without as well.
fn shrunk(world: &mut World, customer: &str, mut steps: Vec<Step>) -> (Vec<Step>, String) {
    let (mut what, mut index, mut tries) = (String::new(), 0, 0);
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        tries += 1;
        match play(world, &format!("{customer}-{tries}"), &fewer)
            .differences
            .pop()
        {
            Some(difference) => (steps, what) = (fewer, difference),
            None => index += 1,
        }
    }
    (steps, what)
}

fn world() -> World {
    let mut world = World::new();
    // Neither git nor the tools: what they say is not what this is about, and asking them takes longer than all the rest.
    world.set_variable("PATH", Some("/nonexistent"));
    world
}

#[test]
fn every_history_leaves_what_the_reference_says() {
    let campaign = Campaign::start("model");
    let count: usize = campaign.pick(60, 10_000);
    let worlds: Vec<Tally> = campaign.run_each(count.div_ceil(SHARED), 8, |number| {
        let mut world = world();
        let mut sum = Tally::default();
        for number in number * SHARED..count.min((number + 1) * SHARED) {
            let steps = history(&mut campaign.rng(number));
            let tally = play(&mut world, &format!("c{number}"), &steps);
            sum.steps += tally.steps;
            sum.gave_up += tally.gave_up;
            for what in tally.differences {
                campaign.print_line(format!(
                    "history {number} of seed {}: {what}; {steps:?}",
                    campaign.seed
                ));
                let (steps, less) = shrunk(&mut world, &format!("c{number}"), steps.clone());
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
    let sum = |part: fn(&Tally) -> usize| worlds.iter().map(part).sum::<usize>();
    let (steps, differences) = (sum(|it| it.steps), sum(|it| it.differences.len()));
    let gave_up = sum(|it| it.gave_up);
    let mut line = format!("{count} histories ({steps} steps): {differences} differences");
    if gave_up > 0 {
        let _ = write!(line, "; the machine was too busy for {gave_up} plans");
    }
    campaign.print_line(line);
    assert_eq!(differences, 0);
}

/// Plays a history with a helper that does wrong, and gives the difference.
fn found_out(wrong: &str, steps: &[Step]) -> String {
    let mut world = world();
    wrap(&mut world, wrong);
    play(&mut world, "careless", steps)
        .differences
        .pop()
        .expect("a difference")
}

#[test]
fn a_helper_that_drops_every_other_record_is_found_out() {
    let wrong = r#"case $1 in
  deploy)
    echo turn >>"$folder/turns"
    turns=0
    while read -r _; do turns=$((turns + 1)); done <"$folder/turns"
    [ $((turns % 2)) -eq 1 ] || { echo '{"status":"ok","message":"done"}' && exit 0; }
    ;;
esac"#;
    let what = found_out(
        wrong,
        &[Step::Apply(Network::Good), Step::Apply(Network::Good)],
    );
    assert!(what.contains("a difference; records: expected {"), "{what}");
}

#[test]
fn a_helper_whose_replay_overwrites_a_newer_config_is_found_out() {
    let wrong = r#"if [ "$1" = replay ]; then
  for item in "$HOME"/.local/state/config-backup/spool/*-config-*.item; do
    [ ! -e "$item" ] || /bin/sed -i '1s/"at":"20/"at":"21/' "$item"
  done
fi"#;
    let steps = [
        Step::Apply(Network::Offline),
        Step::Move,
        Step::Edit(1),
        Step::Apply(Network::Good),
        Step::Move,
        Step::Replay(Network::Good),
    ];
    let what = found_out(wrong, &steps);
    assert!(
        what.contains("a difference; config.yaml: expected Some(Version { content: 1"),
        "{what}"
    );
}

#[test]
fn a_helper_that_writes_a_record_twice_is_found_out() {
    // A second apart, and without what it noted the first time.
    let wrong = r#"if [ "$1" = deploy ]; then
  read -r request
  printf '%s' "$request" | "$helper" deploy >/dev/null
  now=$(/bin/date +%s)
  while [ "$(/bin/date +%s)" = "$now" ]; do :; done
  /bin/rm -r "$HOME/.local/state/config-backup/deployments"
  printf '%s' "$request" | "$helper" deploy
  exit 0
fi"#;
    let what = found_out(wrong, &[Step::Apply(Network::Good)]);
    assert!(what.contains("a second record of one deployment"), "{what}");
}

#[test]
fn a_helper_that_takes_a_second_run_for_another_deployment_is_found_out() {
    let wrong = r#"if [ "$1" = deploy ]; then
  [ -e "$folder/ran" ] || { : >"$folder/ran" && exec "$helper" deploy; }
  /bin/sed 's/Z-/Z-0/g' | "$helper" deploy
  exit 0
fi"#;
    let what = found_out(wrong, &[Step::Apply(Network::Good), Step::Repeat]);
    assert!(
        what.contains("answers otherwise when it runs again"),
        "{what}"
    );
}

#[test]
fn a_helper_that_does_not_complete_a_killed_deployment_is_found_out() {
    let wrong = r#"if [ "$1" = deploy ]; then
  [ -e "$folder/ran" ] || { : >"$folder/ran" && exec "$helper" deploy; }
  echo '{"status":"ok","message":"done"}'
  exit 0
fi"#;
    let what = found_out(
        wrong,
        &[Step::Apply(Network::Killed {
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

/// What the campaign is for: each kind of step comes up, in the small size, too.
#[test]
fn histories_have_every_kind_of_step() {
    let kinds = |step: &Step| {
        format!("{step:?}")
            .split(['(', ' ', '{'])
            .next()
            .map(str::to_owned)
    };
    let campaign = Campaign::start("model");
    let seen: BTreeSet<String> = (0..60)
        .flat_map(|number| history(&mut campaign.rng(number)))
        .filter_map(|it| kinds(&it))
        .collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
    let lost = |object| {
        (0..60).any(|number| {
            history(&mut campaign.rng(number)).contains(&Step::Apply(Network::Lost(object)))
        })
    };
    assert!(
        [Object::Copy, Object::Config, Object::Record]
            .into_iter()
            .all(lost)
    );
}
