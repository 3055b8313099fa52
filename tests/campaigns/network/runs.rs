//! Which runs there are: every fault at every request of a deployment, and in each of its phases.

use std::collections::HashSet;
use std::fmt;

use crate::bad_endpoints::{self, Place, Which};
use crate::request_faults::{self, Fault};
use crate::request_points::{Point, Shape};
use crate::rule_proxy::Rule;
use test_support::campaign::Campaign;

/// What was deployed before the deployment with the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    AnotherConfig,
    TheSameConfig,
    /// Another config, which is still kept on this machine, with its record.
    Kept,
}

pub(crate) const BEFORE: [Before; 4] = [
    Before::Nothing,
    Before::AnotherConfig,
    Before::TheSameConfig,
    Before::Kept,
];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Wire(Fault),
    Place(Place),
}

/// Where and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// At one request, and at so many in all of its class in this step.
    At(Point, usize),
    /// At everything that these steps do.
    During(Phase, Which),
}

/// Steps of a deployment.
pub(crate) type Phase = &'static [&'static str];

const PHASES: [Phase; 3] = [&["context"], &["deploy"], &["context", "deploy"]];
const TIMES: [usize; 3] = [1, 2, usize::MAX];

/// One run: a deployment with a fault, and then a healthy one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) kind: &'static str,
    pub(crate) trouble: Trouble,
    pub(crate) scope: Scope,
    pub(crate) before: Before,
    /// Whether the server states the SHA-256 of what was written; otherwise each upload is looked for.
    pub(crate) states_sums: bool,
    /// Whether the healthy deployment is of a config that changed once more.
    pub(crate) newer: bool,
}

impl Run {
    /// What becomes of the requests in this run.
    pub(crate) fn rule(&self) -> Rule {
        let (trouble, scope) = (self.trouble, self.scope);
        Box::new(move |point| match (trouble, scope) {
            (Trouble::Wire(fault), Scope::At(at, times)) => {
                let same = at.step == point.step && at.class == point.class;
                (same && (at.nth..at.nth.saturating_add(times)).contains(&point.nth))
                    .then_some(fault)
            }
            (Trouble::Wire(fault), Scope::During(phase, _)) => {
                phase.contains(&point.step).then_some(fault)
            }
            (Trouble::Place(_), _) => None,
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}), ", self.kind, self.trouble)?;
        match self.scope {
            Scope::At(point, usize::MAX) => write!(f, "from {point} on")?,
            Scope::At(point, times) => write!(f, "{times} times from {point} on")?,
            Scope::During(phase, which) => write!(f, "during {} ({which:?})", phase.join(" and "))?,
        }
        write!(
            f,
            "; before: {:?}, newer: {}, states sums: {}",
            self.before, self.newer, self.states_sums
        )
    }
}

/// A deployment that meets no fault.
pub(crate) struct Healthy {
    pub(crate) before: Before,
    pub(crate) states_sums: bool,
    /// Its requests.
    pub(crate) seen: Vec<(Point, Shape)>,
}

/// All runs: every fault wherever one of these deployments has something that it is about.
pub(crate) fn all(healthy: &[Healthy]) -> Vec<Run> {
    let mut runs = Vec::new();
    for Healthy {
        before,
        states_sums,
        seen,
    } in healthy
    {
        let made: Vec<Phase> = PHASES
            .into_iter()
            .filter(|phase| {
                phase
                    .iter()
                    .all(|step| seen.iter().any(|(it, _)| it.step == *step))
            })
            .collect();
        let mut add = |kind, trouble, scope| {
            // Every second one goes on with a newer config.
            let newer = runs.len() % 2 == 1;
            runs.push(Run {
                kind,
                trouble,
                scope,
                before: *before,
                states_sums: *states_sums,
                newer,
            });
        };
        for (kind, fault) in request_faults::ALL {
            let fitting: Vec<Point> = seen
                .iter()
                .filter(|(_, shape)| fault.fits(*shape))
                .map(|(point, _)| *point)
                .collect();
            for (point, times) in fitting
                .iter()
                .flat_map(|point| TIMES.map(|times| (*point, times)))
            {
                add(kind, Trouble::Wire(fault), Scope::At(point, times));
            }
            for phase in made
                .iter()
                .filter(|phase| fitting.iter().any(|point| phase.contains(&point.step)))
            {
                add(
                    kind,
                    Trouble::Wire(fault),
                    Scope::During(phase, Which::Both),
                );
            }
        }
        for (kind, place) in bad_endpoints::ALL {
            // A program that brings the credentials brings them for both services.
            let whichs: &[Which] = if place == Place::HungProcess {
                &[Which::Both]
            } else {
                &[Which::Both, Which::S3, Which::Sts]
            };
            for (phase, which) in made
                .iter()
                .flat_map(|phase| whichs.iter().map(|which| (*phase, *which)))
            {
                add(kind, Trouble::Place(place), Scope::During(phase, which));
            }
        }
    }
    runs
}

/// So many of all runs, chosen by the campaign's seed; every kind is among them, as far as there is room.
pub(crate) fn choose(campaign: &Campaign, mut runs: Vec<Run>, count: usize) -> Vec<Run> {
    campaign.rng(usize::MAX).shuffle(&mut runs);
    let mut kinds = HashSet::new();
    let (mut chosen, others): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|run| kinds.insert(run.kind));
    chosen.extend(others);
    chosen.truncate(count);
    chosen
}
