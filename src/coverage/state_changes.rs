//! Which changes of the units' states have no usage record near them.

use chrono::{DateTime, Duration, Utc};

use crate::snapshot::StateChange;

/// How long after a change its record may be written.
///
/// The unit that logs starts with the others, and a small one may be applied before it. S3 refuses
/// requests of a clock that is off by more than this.
pub const MAX_RECORD_LAG: Duration = Duration::minutes(15);

/// Changes near each other without a record, which are probably one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnloggedChanges {
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    pub count: usize,
    /// Sorted, each once.
    pub units: Vec<String>,
}

/// The changes without a record near them, by time.
///
/// A record is near if it is at most `window` older than the change, because a deployment writes
/// it at its start and a cluster takes hours, or at most [`MAX_RECORD_LAG`] newer.
#[must_use]
pub fn find_unlogged_changes(
    changes: &[StateChange],
    records: &[DateTime<Utc>],
    window: Duration,
) -> Vec<UnloggedChanges> {
    let mut records = records.to_vec();
    records.sort_unstable();
    let mut unlogged = Vec::new();
    for change in changes {
        let first_near = records.partition_point(|at| *at < change.at - window);
        let is_logged = match records.get(first_near) {
            Some(record) => *record <= change.at + MAX_RECORD_LAG,
            None => false,
        };
        if !is_logged {
            unlogged.push(change);
        }
    }
    unlogged.sort();
    group_by_window(&unlogged, window)
}

/// Groups sorted changes so that each group is at most `window` long.
fn group_by_window(changes: &[&StateChange], window: Duration) -> Vec<UnloggedChanges> {
    let mut groups: Vec<UnloggedChanges> = Vec::new();
    for change in changes {
        match groups.last_mut() {
            // From the first change of the group: from one to the next, a group could last days.
            Some(group) if change.at - group.first <= window => {
                group.last = change.at;
                group.count += 1;
                group.units.push(change.unit.clone());
            }
            _ => groups.push(UnloggedChanges {
                first: change.at,
                last: change.at,
                count: 1,
                units: vec![change.unit.clone()],
            }),
        }
    }
    for group in &mut groups {
        group.units.sort();
        group.units.dedup();
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of_day(text: &str) -> DateTime<Utc> {
        format!("2026-10-01T{text}Z").parse().expect("a time")
    }

    fn unit_change(time: &str, unit: &str) -> StateChange {
        StateChange {
            at: time_of_day(time),
            unit: unit.to_owned(),
        }
    }

    fn is_logged(change_at: &str, record_at: &str) -> bool {
        find_unlogged_changes(
            &[unit_change(change_at, "eks")],
            &[time_of_day(record_at)],
            Duration::hours(3),
        )
        .is_empty()
    }

    #[test]
    fn a_record_counts_from_a_window_before_to_15_minutes_after() {
        for (record, expected) in [
            ("08:59:59", false),
            ("09:00:00", true),
            ("12:00:00", true),
            ("12:15:00", true),
            ("12:15:01", false),
            ("23:00:00", false),
        ] {
            assert_eq!(is_logged("12:00:00", record), expected, "{record}");
        }
    }

    #[test]
    fn each_change_is_compared_with_all_records() {
        let records = ["20:00:00", "02:00:00", "09:30:00"].map(time_of_day);
        let changes = [
            unit_change("12:00:00", "eks"),
            unit_change("06:00:00", "atlas"),
            unit_change("19:50:00", "eks"),
            unit_change("05:00:01", "atlas"),
        ];
        let found = find_unlogged_changes(&changes, &records, Duration::hours(3));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].first, found[0].last, found[0].count),
            (time_of_day("05:00:01"), time_of_day("06:00:00"), 2)
        );
    }

    #[test]
    fn changes_near_each_other_are_one_group() {
        let changes = [
            unit_change("09:00:00", "eks"),
            unit_change("08:00:00", "eks"),
            unit_change("11:00:00", "atlas"),
            unit_change("11:00:01", "eks"),
        ];
        let units = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let expected = [
            UnloggedChanges {
                first: time_of_day("08:00:00"),
                last: time_of_day("11:00:00"),
                count: 3,
                units: units(&["atlas", "eks"]),
            },
            UnloggedChanges {
                first: time_of_day("11:00:01"),
                last: time_of_day("11:00:01"),
                count: 1,
                units: units(&["eks"]),
            },
        ];
        assert_eq!(
            find_unlogged_changes(&changes, &[], Duration::hours(3)),
            expected
        );
        assert_eq!(
            find_unlogged_changes(&[], &[time_of_day("08:00:00")], Duration::hours(3)),
            []
        );
    }
}
