//! Changes of the units' states beside the usage records: which of them belong to no deployment that was logged.
//!
//! Pure.

use chrono::{DateTime, Duration, Utc};

/// How long after a change its record may be: the unit that logs starts with the others, and a small one may be done before it.
/// It is also how far a clock may be from that of S3, which takes no request of one that is farther.
pub const MAX_RECORD_LAG: Duration = Duration::minutes(15);

/// A version of a unit's state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateChange {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The unit's folder within the customer's.
    pub unit: String,
}

/// Changes near each other that nobody logged: a deployment, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnloggedChanges {
    /// The first change.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many there are.
    pub changes: usize,
    /// The units that changed, each once, in the order of their names.
    pub units: Vec<String>,
}

/// The changes with no record near, in order of time. A record is near a change if it is at most `window` older, for it is
/// written where a deployment starts and a cluster takes its time, or at most [`AFTER`] newer.
#[must_use]
pub fn find_unlogged_changes(
    changes: &[StateChange],
    records: &[DateTime<Utc>],
    window: Duration,
) -> Vec<UnloggedChanges> {
    let mut records = records.to_vec();
    records.sort_unstable();
    let is_logged = |change: &&StateChange| {
        let next = records.partition_point(|at| *at < change.at - window);
        records
            .get(next)
            .is_some_and(|at| *at <= change.at + MAX_RECORD_LAG)
    };
    let mut left: Vec<&StateChange> = changes.iter().filter(|change| !is_logged(change)).collect();
    left.sort();
    let mut found: Vec<UnloggedChanges> = Vec::new();
    for change in left {
        match found.last_mut() {
            // Not from one to the next: a chain of them could go on for days.
            Some(last) if change.at - last.first <= window => {
                last.last = change.at;
                last.changes += 1;
                last.units.push(change.unit.clone());
            }
            _ => found.push(UnloggedChanges {
                first: change.at,
                last: change.at,
                changes: 1,
                units: vec![change.unit.clone()],
            }),
        }
    }
    for one in &mut found {
        one.units.sort();
        one.units.dedup();
    }
    found
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
    fn a_record_is_near_from_a_window_before_to_a_quarter_of_an_hour_after() {
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
    fn each_change_is_looked_at_beside_all_records() {
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
            (found[0].first, found[0].last, found[0].changes),
            (time_of_day("05:00:01"), time_of_day("06:00:00"), 2)
        );
    }

    #[test]
    fn changes_near_each_other_are_told_together_with_their_units_and_how_many() {
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
                changes: 3,
                units: units(&["atlas", "eks"]),
            },
            UnloggedChanges {
                first: time_of_day("11:00:01"),
                last: time_of_day("11:00:01"),
                changes: 1,
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
