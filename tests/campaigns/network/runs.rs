//! Lists the runs: every fault at every request of a deployment and in each of its phases.

use std::collections::HashSet;
use std::fmt;

use crate::bad_endpoints::{self, AffectedServices, BadEndpoint};
use crate::request_faults::{self, RequestFault};
use crate::request_points::{RequestPoint, RequestShape};
use crate::rule_proxy::FaultRule;
use test_support::campaign::Campaign;

/// The deployments before the one with the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketBefore {
    Nothing,
    AnotherConfig,
    TheSameConfig,
    /// Another config, still spooled with its record.
    Kept,
}

pub(crate) const ALL_BEFORE: [BucketBefore; 4] = [
    BucketBefore::Nothing,
    BucketBefore::AnotherConfig,
    BucketBefore::TheSameConfig,
    BucketBefore::Kept,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkTrouble {
    Wire(RequestFault),
    Place(BadEndpoint),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultScope {
    /// At one request, and this many of its class in the same step.
    At(RequestPoint, usize),
    /// At every request of these steps.
    During(FaultPhase, AffectedServices),
}

/// Steps of a deployment.
pub(crate) type FaultPhase = &'static [&'static str];

const PHASES: [FaultPhase; 3] = [&["context"], &["deploy"], &["context", "deploy"]];
const TIMES: [usize; 3] = [1, 2, usize::MAX];

/// A deployment with a fault, and then a healthy one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetworkRun {
    pub(crate) kind: &'static str,
    pub(crate) trouble: NetworkTrouble,
    pub(crate) scope: FaultScope,
    pub(crate) before: BucketBefore,
    /// Whether the server states the SHA-256 of uploads. Otherwise each upload needs a HEAD.
    pub(crate) states_sums: bool,
    /// Whether the config changes again before the healthy deployment.
    pub(crate) newer: bool,
}

impl NetworkRun {
    /// The rule of the proxy for this run.
    pub(crate) fn rule(&self) -> FaultRule {
        let (trouble, scope) = (self.trouble, self.scope);
        Box::new(move |point| match (trouble, scope) {
            (NetworkTrouble::Wire(fault), FaultScope::At(at, times)) => {
                let same = at.step == point.step && at.class == point.class;
                (same && (at.nth..at.nth.saturating_add(times)).contains(&point.nth))
                    .then_some(fault)
            }
            (NetworkTrouble::Wire(fault), FaultScope::During(phase, _)) => {
                phase.contains(&point.step).then_some(fault)
            }
            (NetworkTrouble::Place(_), _) => None,
        })
    }
}

impl fmt::Display for NetworkRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}), ", self.kind, self.trouble)?;
        match self.scope {
            FaultScope::At(point, usize::MAX) => write!(f, "from {point} on")?,
            FaultScope::At(point, times) => write!(f, "{times} times from {point} on")?,
            FaultScope::During(phase, which) => {
                write!(f, "during {} ({which:?})", phase.join(" and "))?;
            }
        }
        write!(
            f,
            "; before: {:?}, newer: {}, states sums: {}",
            self.before, self.newer, self.states_sums
        )
    }
}

/// A deployment without a fault.
pub(crate) struct HealthyRun {
    pub(crate) before: BucketBefore,
    pub(crate) states_sums: bool,
    /// Its requests.
    pub(crate) seen: Vec<(RequestPoint, RequestShape)>,
}

/// All runs: every fault at every request to which it applies.
pub(crate) fn list_runs(healthy: &[HealthyRun]) -> Vec<NetworkRun> {
    let mut runs = Vec::new();
    for HealthyRun {
        before,
        states_sums,
        seen,
    } in healthy
    {
        let made: Vec<FaultPhase> = PHASES
            .into_iter()
            .filter(|phase| {
                phase
                    .iter()
                    .all(|step| seen.iter().any(|(it, _)| it.step == *step))
            })
            .collect();
        let mut add = |kind, trouble, scope| {
            // Every second run continues with a newer config.
            let newer = runs.len() % 2 == 1;
            runs.push(NetworkRun {
                kind,
                trouble,
                scope,
                before: *before,
                states_sums: *states_sums,
                newer,
            });
        };
        for (kind, fault) in request_faults::ALL {
            let fitting: Vec<RequestPoint> = seen
                .iter()
                .filter(|(_, shape)| fault.applies_to(*shape))
                .map(|(point, _)| *point)
                .collect();
            for (point, times) in fitting
                .iter()
                .flat_map(|point| TIMES.map(|times| (*point, times)))
            {
                add(
                    kind,
                    NetworkTrouble::Wire(fault),
                    FaultScope::At(point, times),
                );
            }
            for phase in made
                .iter()
                .filter(|phase| fitting.iter().any(|point| phase.contains(&point.step)))
            {
                add(
                    kind,
                    NetworkTrouble::Wire(fault),
                    FaultScope::During(phase, AffectedServices::Both),
                );
            }
        }
        for (kind, place) in bad_endpoints::ALL_ENDPOINTS {
            // A credential process serves both services.
            let whichs: &[AffectedServices] = if place == BadEndpoint::HungProcess {
                &[AffectedServices::Both]
            } else {
                &[
                    AffectedServices::Both,
                    AffectedServices::S3,
                    AffectedServices::Sts,
                ]
            };
            for (phase, which) in made
                .iter()
                .flat_map(|phase| whichs.iter().map(|which| (*phase, *which)))
            {
                add(
                    kind,
                    NetworkTrouble::Place(place),
                    FaultScope::During(phase, which),
                );
            }
        }
    }
    runs
}

/// A random subset of the runs, with as many kinds of faults as possible.
pub(crate) fn choose_runs(
    campaign: &Campaign,
    mut runs: Vec<NetworkRun>,
    count: usize,
) -> Vec<NetworkRun> {
    campaign.rng(usize::MAX).shuffle(&mut runs);
    let mut kinds = HashSet::new();
    let (mut chosen, others): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|run| kinds.insert(run.kind));
    chosen.extend(others);
    chosen.truncate(count);
    chosen
}
