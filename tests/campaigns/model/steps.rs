//! The steps of a history, and random histories.

use fastrand::Rng;

/// The number of config contents; the last one is invalid YAML.
pub(crate) const CONTENTS: usize = 5;
pub(crate) const GARBAGE: usize = 3;

/// A step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelStep {
    /// The config changes to this content.
    Edit(usize),
    /// `terraform plan -out`, to be applied by the next apply.
    Plan,
    /// `terraform apply`, of the saved plan if there is one.
    Apply(NetworkState),
    /// The same, with a clock that is wrong by this many seconds.
    Skewed(i64),
    /// The next steps happen on the other machine.
    Move,
    /// The last apply of this machine runs again, as Terragrunt does after a failure.
    Repeat,
    /// `config-backup replay`.
    Replay(NetworkState),
    /// A foreign file appears in the spool.
    Garbage(usize),
}

/// The network during a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkState {
    Good,
    /// All connections are refused.
    Offline,
    /// Connections to S3 are refused; STS answers.
    WithoutS3,
    /// The answer to the PUT with this number is lost once.
    LostOnce(usize),
    /// All answers to PUTs of this kind are lost.
    Lost(ObjectKind),
    /// The process is killed at its request with this number, before or after the server executes
    /// it. Then the same deployment may run again.
    Killed {
        request: usize,
        done: bool,
        again: bool,
    },
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Copy,
    Config,
    Record,
}

impl NetworkState {
    /// Whether several results are correct.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Lost(_) | Self::Killed { .. })
    }

    /// Whether a plan gets no answer.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Offline | Self::WithoutS3)
    }
}

/// A history: 3 to 8 steps.
pub(crate) fn random_history(choices: &mut Rng) -> Vec<ModelStep> {
    (0..choices.usize(3..=8))
        .map(|_| random_step(choices))
        .collect()
}

fn random_step(choices: &mut Rng) -> ModelStep {
    match choices.usize(0..100) {
        0..=19 => ModelStep::Edit(choices.usize(0..CONTENTS)),
        20..=24 => ModelStep::Plan,
        25..=47 => ModelStep::Apply(NetworkState::Good),
        48..=58 => ModelStep::Apply(NetworkState::Offline),
        59..=63 => ModelStep::Apply(NetworkState::WithoutS3),
        64..=71 => ModelStep::Apply(random_lost_answer(choices)),
        72..=80 => ModelStep::Apply(random_kill(choices)),
        81..=84 => ModelStep::Skewed(choices.i64(-3600..=3600)),
        85..=89 => ModelStep::Move,
        90..=92 => ModelStep::Repeat,
        93..=94 => ModelStep::Replay(NetworkState::Good),
        95 => ModelStep::Replay(random_lost_answer(choices)),
        96 => ModelStep::Replay(NetworkState::Offline),
        97 => ModelStep::Replay(NetworkState::Killed {
            request: choices.usize(1..=8),
            done: choices.bool(),
            again: false,
        }),
        _ => ModelStep::Garbage(choices.usize(0..GARBAGE)),
    }
}

fn random_lost_answer(choices: &mut Rng) -> NetworkState {
    match choices.usize(0..6) {
        0 => NetworkState::Lost(ObjectKind::Copy),
        1 => NetworkState::Lost(ObjectKind::Config),
        2 => NetworkState::Lost(ObjectKind::Record),
        _ => NetworkState::LostOnce(choices.usize(1..=4)),
    }
}

fn random_kill(choices: &mut Rng) -> NetworkState {
    NetworkState::Killed {
        request: choices.usize(1..=8),
        done: choices.bool(),
        again: choices.bool(),
    }
}
