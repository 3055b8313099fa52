//! A set of objects, summed up in a few lines: each of the last ones, and the number and a digest of
//! those of each month before.
//!
//! Objects are only added to a set. A late one can have any time in its key. So the time when S3
//! wrote it decides whether it was there before: that time is not in the hands of who writes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::finding::{AuditFinding, FindingKind};
use crate::audit::retention::RecordRetention;
use crate::digest::sha256_hex;

/// At least so many objects are remembered one by one, so that a finding can name them.
const MIN_RECENT: usize = 5;

/// How many hex digits of a SHA-256 are remembered.
const DIGEST_DIGITS: usize = 32;

/// A record that was not sent late is in the bucket soon after its time: a deployment takes
/// seconds, the runs of one Terragrunt process hours, and clocks differ by minutes.
const MAX_DELAY: TimeDelta = TimeDelta::hours(24);

/// The same for records outside of chains, which only helpers of long ago write.
const MAX_UNCHAINED_DELAY: TimeDelta = TimeDelta::hours(1);

/// One object as it is in the bucket now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenObject {
    /// Without the prefix that all keys of the set have.
    pub name: String,
    /// Of all that must not change; `None` if it cannot be read.
    pub digest: Option<String>,
    pub last_modified: DateTime<Utc>,
    /// When the deployment happened.
    pub at: Option<DateTime<Utc>>,
    pub arrival: Arrival,
}

/// How long after its time an object may arrive in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A late record, or a config.
    AnyTime,
    /// A record that the deployment itself sent.
    InTime,
    /// A record outside of chains. Nothing else holds it.
    Unchained,
}

impl Arrival {
    fn max_delay(self) -> Option<TimeDelta> {
        match self {
            Self::AnyTime => None,
            Self::InTime => Some(MAX_DELAY),
            Self::Unchained => Some(MAX_UNCHAINED_DELAY),
        }
    }
}

/// What is remembered of a set of objects. The field names are part of the file format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSet {
    /// All objects that S3 wrote before this time are summed up in `months`.
    cutoff: DateTime<Utc>,
    /// The digests of the others, by name.
    recent: BTreeMap<String, String>,
    /// Number and digest of the objects of each month, such as `2026-11`.
    months: BTreeMap<String, (usize, String)>,
}

/// How a set is called in findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetNames<'a> {
    /// `records` or `configs`.
    pub plural: &'static str,
    /// The beginning of all keys.
    pub prefix: &'a str,
    /// When the last `verify` looked.
    pub seen_at: DateTime<Utc>,
}

impl KnownSet {
    /// Sums up all objects. Those since `settled_before` are remembered one by one, because a
    /// concurrent deployment may still add to them.
    pub(super) fn learn(objects: &[SeenObject], settled_before: DateTime<Utc>) -> Self {
        let mut times: Vec<DateTime<Utc>> = objects.iter().map(|it| it.last_modified).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let nth = times.get(MIN_RECENT - 1).or(times.last()).copied();
        let cutoff = nth.map_or(settled_before, |at| at.min(settled_before));

        let mut recent = BTreeMap::new();
        let mut by_month: BTreeMap<String, Vec<&SeenObject>> = BTreeMap::new();
        for object in objects {
            if object.last_modified >= cutoff {
                let digest = object.digest.as_deref().unwrap_or_default();
                recent.insert(object.name.clone(), shorten(digest));
            } else {
                by_month.entry(month_of(object)).or_default().push(object);
            }
        }
        let mut months = BTreeMap::new();
        for (month, objects) in by_month {
            if let Some(sum) = sum_up(&objects) {
                months.insert(month, sum);
            }
        }
        Self {
            cutoff,
            recent,
            months,
        }
    }

    pub(super) fn count(&self) -> usize {
        let older: usize = self.months.values().map(|(count, _)| count).sum();
        self.recent.len() + older
    }

    /// What shrank or changed since.
    pub(super) fn compare(
        &self,
        objects: &[SeenObject],
        names: SetNames<'_>,
        retention: RecordRetention,
    ) -> Vec<AuditFinding> {
        let mut findings = Vec::new();
        if objects.is_empty() && self.count() > 0 && !retention.is_limited() {
            let detail = format!(
                "all {} {} that `verify` saw before are gone",
                self.count(),
                names.plural
            );
            let finding = AuditFinding::new(FindingKind::Missing, names.prefix, detail);
            return vec![finding];
        }
        self.compare_recent(objects, names, retention, &mut findings);
        let changed = self.compare_months(objects, names, retention, &mut findings);
        self.find_backdated(objects, names, &changed, &mut findings);
        findings
    }

    fn compare_recent(
        &self,
        objects: &[SeenObject],
        names: SetNames<'_>,
        retention: RecordRetention,
        findings: &mut Vec<AuditFinding>,
    ) {
        let mut by_name: BTreeMap<&str, &SeenObject> = BTreeMap::new();
        for object in objects {
            by_name.insert(&object.name, object);
        }
        for (name, digest) in &self.recent {
            let key = format!("{}{name}", names.prefix);
            let Some(object) = by_name.get(name.as_str()) else {
                if !retention.may_have_expired_key(&key) {
                    let detail = "it was there when `verify` ran before";
                    findings.push(AuditFinding::new(FindingKind::Missing, &key, detail));
                }
                continue;
            };
            let is_changed = match &object.digest {
                Some(now) => shorten(now) != *digest,
                // It is a finding of its own.
                None => false,
            };
            if is_changed {
                let detail = "it is not what it was when `verify` ran before";
                findings.push(AuditFinding::new(FindingKind::Edited, &key, detail));
            }
        }
    }

    /// Returns the months whose objects S3 says are new, for example after a restore of the bucket.
    fn compare_months(
        &self,
        objects: &[SeenObject],
        names: SetNames<'_>,
        retention: RecordRetention,
        findings: &mut Vec<AuditFinding>,
    ) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let older = |it: &&SeenObject| !self.recent.contains_key(&it.name);
        let older: Vec<&SeenObject> = objects.iter().filter(older).collect();
        for (month, known) in &self.months {
            if retention.may_have_expired(start_of_month(month)) {
                continue;
            }
            let of_month = older.iter().filter(|it| month_of(it) == *month);
            let of_month: Vec<&SeenObject> = of_month.copied().collect();
            if of_month.iter().any(|it| it.digest.is_none()) {
                continue;
            }
            let written_before = of_month.iter().filter(|it| it.last_modified < self.cutoff);
            let written_before: Vec<&SeenObject> = written_before.copied().collect();
            if sum_up(&written_before).as_ref() == Some(known) {
                continue;
            }
            changed.insert(month.clone());
            let dated_before = of_month
                .iter()
                .filter(|it| it.at.is_none_or(|at| at < self.cutoff));
            let dated_before: Vec<&SeenObject> = dated_before.copied().collect();
            if sum_up(&dated_before).as_ref() == Some(known) {
                continue;
            }
            let left = written_before.len().max(dated_before.len());
            findings.push(describe_change(month, known.0, left, names));
        }
        changed
    }

    /// Reports objects that are new although they should have been there before.
    fn find_backdated(
        &self,
        objects: &[SeenObject],
        names: SetNames<'_>,
        changed_months: &BTreeSet<String>,
        findings: &mut Vec<AuditFinding>,
    ) {
        for object in objects {
            let is_new =
                object.last_modified >= self.cutoff && !self.recent.contains_key(&object.name);
            let (Some(at), Some(max_delay)) = (object.at, object.arrival.max_delay()) else {
                continue;
            };
            let is_of_past = at < names.seen_at - max_delay;
            if is_new && is_of_past && !changed_months.contains(&month_of(object)) {
                let key = format!("{}{}", names.prefix, object.name);
                let detail = "it was not there when `verify` ran before, long after its time";
                findings.push(AuditFinding::new(FindingKind::Backdated, &key, detail));
            }
        }
    }
}

fn describe_change(month: &str, known: usize, left: usize, names: SetNames<'_>) -> AuditFinding {
    let SetNames { plural, prefix, .. } = names;
    let key = format!("{prefix}{month}");
    if left < known {
        let detail = format!(
            "of {known} {plural} of this month that `verify` saw before, {} are gone",
            known - left
        );
        return AuditFinding::new(FindingKind::Missing, &key, detail);
    }
    let detail =
        format!("the {known} {plural} of this month are not those that `verify` saw before");
    AuditFinding::new(FindingKind::Edited, &key, detail)
}

pub(super) fn shorten(digest: &str) -> String {
    digest.chars().take(DIGEST_DIGITS).collect()
}

/// Number and digest; `None` for an empty list, or if an object cannot be read.
fn sum_up(objects: &[&SeenObject]) -> Option<(usize, String)> {
    let mut lines = Vec::new();
    for object in objects {
        let digest = object.digest.as_deref()?;
        lines.push(format!("{} {digest}\n", object.name));
    }
    if lines.is_empty() {
        return None;
    }
    lines.sort_unstable();
    let digest = shorten(&sha256_hex(lines.concat().as_bytes()));
    Some((lines.len(), digest))
}

fn month_of(object: &SeenObject) -> String {
    match object.at {
        Some(at) => at.format("%Y-%m").to_string(),
        None => String::new(),
    }
}

fn start_of_month(month: &str) -> Option<DateTime<Utc>> {
    format!("{month}-01T00:00:00Z").parse().ok()
}

#[cfg(test)]
mod tests;
