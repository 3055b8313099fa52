//! What can happen to a customer's deployments, one step each, and histories of steps by chance.

use fastrand::Rng;

/// How many contents a config can have; the last one is no valid YAML.
pub(crate) const CONTENTS: usize = 5;
/// How many kinds of foreign files there are.
pub(crate) const GARBAGE: usize = 3;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The config gets one of the contents.
    Edit(usize),
    /// `terraform plan -out`, to be applied by the next apply.
    Plan,
    /// `terraform apply`: of the saved plan, if there is one.
    Apply(Network),
    /// The same, from a machine whose clock is off by so many seconds.
    Skewed(i64),
    /// Whatever follows happens at the other machine.
    Move,
    /// The last apply at this machine runs once more, as Terragrunt does it after a failure.
    Repeat,
    /// `config-backup replay`.
    Replay(Network),
    /// A file that is not ours gets into the spool.
    Garbage(usize),
}

/// What the network does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Good,
    /// Nobody listens.
    Offline,
    /// Nobody listens where S3 is; STS answers.
    WithoutS3,
    /// The answer to the PUT of this number is lost, once.
    LostOnce(usize),
    /// All answers to PUTs of this kind of object are lost.
    Lost(Object),
    /// The process that makes the request of this number is killed, before or after the server has done it.
    /// Then the same deployment may run again.
    Killed {
        request: usize,
        done: bool,
        again: bool,
    },
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Copy,
    Config,
    Record,
}

impl Network {
    /// Whether what comes to be is one of several things, all of them right.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Lost(_) | Self::Killed { .. })
    }

    /// Whether a plan finds nothing out.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Offline | Self::WithoutS3)
    }
}

/// A history: 3 to 8 steps.
pub(crate) fn history(choices: &mut Rng) -> Vec<Step> {
    (0..choices.usize(3..=8)).map(|_| step(choices)).collect()
}

fn step(choices: &mut Rng) -> Step {
    match choices.usize(0..100) {
        0..=19 => Step::Edit(choices.usize(0..CONTENTS)),
        20..=24 => Step::Plan,
        25..=47 => Step::Apply(Network::Good),
        48..=58 => Step::Apply(Network::Offline),
        59..=63 => Step::Apply(Network::WithoutS3),
        64..=71 => Step::Apply(lost(choices)),
        72..=80 => Step::Apply(killed(choices)),
        81..=84 => Step::Skewed(choices.i64(-3600..=3600)),
        85..=89 => Step::Move,
        90..=92 => Step::Repeat,
        93..=94 => Step::Replay(Network::Good),
        95 => Step::Replay(lost(choices)),
        96 => Step::Replay(Network::Offline),
        97 => Step::Replay(Network::Killed {
            request: choices.usize(1..=8),
            done: choices.bool(),
            again: false,
        }),
        _ => Step::Garbage(choices.usize(0..GARBAGE)),
    }
}

fn lost(choices: &mut Rng) -> Network {
    match choices.usize(0..6) {
        0 => Network::Lost(Object::Copy),
        1 => Network::Lost(Object::Config),
        2 => Network::Lost(Object::Record),
        _ => Network::LostOnce(choices.usize(1..=4)),
    }
}

fn killed(choices: &mut Rng) -> Network {
    Network::Killed {
        request: choices.usize(1..=8),
        done: choices.bool(),
        again: choices.bool(),
    }
}
