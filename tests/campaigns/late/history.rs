//! The steps of a history.

use fastrand::Rng;

/// The number of config contents.
pub(super) const LATE_CONTENTS: usize = 4;

/// A person: a profile, an access key and an ARN of the test account.
pub(super) const PEOPLE: [(&str, &str); 3] = [
    ("default", test_support::JOHN_ARN),
    ("jane", test_support::JANE_ARN),
    ("max", test_support::MAX_ARN),
];

/// Where a deployment has its credentials from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialsSource {
    /// A profile with the access key of the person.
    Profile,
    /// The variables of the environment; the config names no profile.
    Environment,
    /// A profile of the person whose program for the credentials fails until the end of the history.
    ExpiredProfile,
}

/// The network at plan or at apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LateNetwork {
    Good,
    /// Neither S3 nor STS can be reached.
    Offline,
    /// STS answers, and S3 cannot be reached.
    WithoutS3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeployStep {
    pub(super) machine: usize,
    /// Who applies.
    pub(super) person: usize,
    /// Who planned: another person if a saved plan is applied.
    pub(super) planner: usize,
    pub(super) source: CredentialsSource,
    pub(super) content: usize,
    pub(super) plan: LateNetwork,
    pub(super) apply: LateNetwork,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LateStep {
    Deploy(DeployStep),
    /// `config-backup replay` with the access key of a person in the environment.
    Replay {
        machine: usize,
        person: usize,
    },
}

/// A history of 3 to 7 steps.
pub(super) fn random_late_history(choices: &mut Rng) -> Vec<LateStep> {
    (0..choices.usize(3..=7))
        .map(|_| random_late_step(choices))
        .collect()
}

fn random_late_step(choices: &mut Rng) -> LateStep {
    let (machine, person) = (choices.usize(0..2), choices.usize(0..3));
    if choices.usize(0..6) == 0 {
        return LateStep::Replay { machine, person };
    }
    let source = match choices.usize(0..8) {
        0..=2 => CredentialsSource::Profile,
        3..=6 => CredentialsSource::Environment,
        _ => CredentialsSource::ExpiredProfile,
    };
    let is_saved_by_other = source == CredentialsSource::Environment && choices.usize(0..5) == 0;
    LateStep::Deploy(DeployStep {
        machine,
        person,
        planner: if is_saved_by_other {
            choices.usize(0..3)
        } else {
            person
        },
        source,
        content: choices.usize(0..LATE_CONTENTS),
        plan: random_network(choices),
        apply: random_network(choices),
    })
}

fn random_network(choices: &mut Rng) -> LateNetwork {
    match choices.usize(0..10) {
        0..=4 => LateNetwork::Good,
        5..=8 => LateNetwork::Offline,
        _ => LateNetwork::WithoutS3,
    }
}

/// A deployment without a network, with the environment's credentials.
pub(super) fn offline_deployment(person: usize) -> LateStep {
    LateStep::Deploy(DeployStep {
        machine: 0,
        person,
        planner: person,
        source: CredentialsSource::Environment,
        content: 0,
        plan: LateNetwork::Offline,
        apply: LateNetwork::Offline,
    })
}

/// A deployment of another config on the other machine.
pub(super) fn good_deployment_elsewhere(content: usize) -> LateStep {
    LateStep::Deploy(DeployStep {
        machine: 1,
        person: 1,
        planner: 1,
        source: CredentialsSource::Profile,
        content,
        plan: LateNetwork::Good,
        apply: LateNetwork::Good,
    })
}

pub(super) fn replay_by(person: usize) -> LateStep {
    LateStep::Replay { machine: 0, person }
}
