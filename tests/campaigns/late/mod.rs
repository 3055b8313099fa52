//! Random histories of two machines and three people: plan and apply apart, phases without a
//! network, credentials that are out of reach, and late uploads by other people.
//!
//! After each history every deployment must have one record that names its own user or, if that is
//! not known, none; `config.yaml` and `restore` must have the config of the newest deployment; and
//! nothing may be left in a spool.

mod expectation;
mod history;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::broken_helper::{REPLAYS_CONFIGS_AS_NEWER, wrap_helper};
use expectation::HistoryExpectation;
use history::{LateStep, random_late_history};
use stage::LateStage;
use test_support::World;
use test_support::campaign::Campaign;

/// More histories at a time than processors: each waits for the next second between its steps.
const CONCURRENT_HISTORIES: usize = 24;

/// Plays a history. Returns what is wrong afterwards.
fn play(steps: &[LateStep], arrange: impl FnOnce(&mut World)) -> Vec<String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = LateStage::new(arrange);
        let mut expectation = HistoryExpectation::default();
        let mut differences = Vec::new();
        for step in steps {
            let deployed = stage.take_step(step);
            differences.extend(expectation.follow_step(step, deployed.as_ref()));
        }
        stage.send_everything();
        expectation.follow_final_replays();
        differences.extend(expectation.compare(&stage));
        differences
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        vec![text.unwrap_or_else(|| "a panic".to_owned())]
    })
}

#[test]
fn late_uploads_name_the_right_people_and_keep_the_newest_config() {
    let campaign = Campaign::start("late");
    let count: usize = campaign.pick(24, 10_000);
    let results = campaign.run_each(count, CONCURRENT_HISTORIES, |number| {
        let steps = random_late_history(&mut campaign.rng(number));
        let differences = play(&steps, |_| {});
        for difference in &differences {
            campaign.print_line(format!(
                "history {number} of seed {}: {difference}; {steps:?}",
                campaign.seed
            ));
        }
        (steps.len(), differences.len())
    });
    let steps: usize = results.iter().map(|result| result.0).sum();
    let differences: usize = results.iter().map(|result| result.1).sum();
    campaign.print_line(format!(
        "{count} histories ({steps} steps): {differences} differences"
    ));
    assert_eq!(differences, 0);
}

/// Plays a history with a broken helper, and returns what is wrong, in one text.
fn play_broken(steps: &[LateStep], wrong: &str) -> String {
    let differences = play(steps, |world| wrap_helper(world, wrong));
    differences.join("\n")
}

#[test]
fn detects_a_replay_that_names_its_sender() {
    let wrong = r#"if [ "$1" = replay ]; then
  for item in "$HOME"/.local/state/config-backup/spool/*-record-*.item; do
    [ ! -e "$item" ] || /bin/sed -i '1s/"credentials_id":"[0-9a-f]*"/"credentials_id":"'"$(printf %s "$AWS_ACCESS_KEY_ID" | sha256sum | cut -c1-16)"'"/' "$item"
  done
fi"#;
    let steps = [history::offline_deployment(0), history::replay_by(1)];
    let what = play_broken(&steps, wrong);
    assert!(what.contains("names the user"), "{what}");
}

#[test]
fn detects_a_replay_that_restores_an_old_config() {
    let steps = [
        history::offline_deployment(0),
        history::good_deployment_elsewhere(1),
        history::replay_by(0),
    ];
    let what = play_broken(&steps, REPLAYS_CONFIGS_AS_NEWER);
    assert!(what.contains("config.yaml has the content"), "{what}");
}

#[test]
fn detects_a_replay_that_sends_nothing() {
    let wrong = "case $1 in replay) exit 0 ;; esac";
    let what = play_broken(&[history::offline_deployment(0)], wrong);
    assert!(what.contains("is stuck in a spool"), "{what}");
}
