//! Sets of many objects, as they grow, and after one change.

use super::*;

const PREFIX: &str = "usage-logs/acme/";

fn day(days: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-09-01T00:00:00Z".parse().expect("a time");
    start + TimeDelta::days(days)
}

fn names() -> SetNames<'static> {
    SetNames {
        plural: "records",
        prefix: PREFIX,
        seen_at: day(80),
    }
}

/// The record of a day, written at once.
fn object(days: i64) -> SeenObject {
    SeenObject {
        name: format!("{}.json", day(days).format("%Y-%m-%d_%H%M%S")),
        digest: Some(sha256_hex(&days.to_be_bytes())),
        last_modified: day(days),
        at: Some(day(days)),
        arrival: Arrival::InTime,
    }
}

fn history() -> Vec<SeenObject> {
    (0..80).map(object).collect()
}

fn learned() -> KnownSet {
    KnownSet::learn(&history(), day(80) - TimeDelta::hours(1))
}

fn findings_after(change: impl FnOnce(&mut Vec<SeenObject>)) -> Vec<(FindingKind, String)> {
    let mut objects = history();
    change(&mut objects);
    learned()
        .compare(&objects, names(), RecordRetention::default())
        .into_iter()
        .map(|it| (it.kind, it.key))
        .collect()
}

#[test]
fn old_objects_are_summed_up_by_month() {
    let known = learned();
    assert_eq!(known.recent.len(), MIN_RECENT);
    let counts: Vec<_> = known.months.values().map(|(count, _)| *count).collect();
    assert_eq!((counts, known.count()), (vec![30, 31, 14], 80));
    let line = serde_json::to_string(&known).expect("JSON");
    assert!(line.len() < 600, "{} bytes", line.len());
    assert_eq!(serde_json::from_str::<KnownSet>(&line).expect("it"), known);
}

#[test]
fn what_is_added_is_no_finding() {
    assert_eq!(findings_after(|_| ()), []);
    let grown = findings_after(|it| {
        it.push(object(80));
        // A late one of a month that is summed up.
        let mut late = object(5);
        late.name = "2026-09-06_000001.json".to_owned();
        late.last_modified = day(80);
        late.arrival = Arrival::AnyTime;
        it.push(late);
        // Written by a machine whose clock is behind, while `verify` ran.
        let mut skewed = object(79);
        skewed.name = "2026-11-19_000001.json".to_owned();
        skewed.last_modified = day(80) - TimeDelta::minutes(30);
        it.push(skewed);
    });
    assert_eq!(grown, []);
}

#[test]
fn a_restored_bucket_is_no_finding() {
    // All objects are written again, in any order.
    let restored = findings_after(|it| {
        for object in it.iter_mut() {
            object.last_modified = day(90);
        }
        it.push(object(91));
    });
    assert_eq!(restored, []);
}

#[test]
fn each_deletion_and_each_change_is_found() {
    for place in [0, 29, 30, 63] {
        let month = format!("{PREFIX}{}", day(place).format("%Y-%m"));
        let place = usize::try_from(place).expect("a place");
        let deleted = findings_after(|it| drop(it.remove(place)));
        assert_eq!(deleted, [(FindingKind::Missing, month.clone())]);
        for last_modified in [day(0), day(90)] {
            let edited = findings_after(|it| {
                it[place].digest = Some("e".repeat(64));
                it[place].last_modified = last_modified;
            });
            assert_eq!(edited.len(), 1, "{edited:?}");
            assert_eq!(edited[0].1, month);
        }
    }
    let name = format!("{PREFIX}{}", object(79).name);
    let deleted = findings_after(|it| drop(it.pop()));
    assert_eq!(deleted, [(FindingKind::Missing, name.clone())]);
    let edited = findings_after(|it| it[79].digest = Some("e".repeat(64)));
    assert_eq!(edited, [(FindingKind::Edited, name)]);
    let gone = findings_after(Vec::clear);
    assert_eq!(gone, [(FindingKind::Missing, PREFIX.to_owned())]);
    let rolled_back = findings_after(|it| it.truncate(40));
    assert!(!rolled_back.is_empty());
}

#[test]
fn an_object_of_the_past_is_found_unless_it_is_late() {
    let added = |days: i64, arrival: Arrival| {
        findings_after(|it| {
            let mut forged = object(days);
            forged.name = "forged.json".to_owned();
            forged.last_modified = day(81);
            forged.arrival = arrival;
            it.push(forged);
        })
    };
    let backdated = [(FindingKind::Backdated, format!("{PREFIX}forged.json"))];
    assert_eq!(added(3, Arrival::InTime), backdated);
    assert_eq!(added(78, Arrival::Unchained), backdated);
    assert_eq!(added(78, Arrival::AnyTime), []);
    assert_eq!(added(80, Arrival::Unchained), []);
}

#[test]
fn expired_months_are_not_compared() {
    let found = |gone: usize, until: i64| {
        let limit = RecordRetention::until(day(until));
        learned().compare(&history()[gone..], names(), limit).len()
    };
    assert_eq!(found(40, 41), 0);
    assert_eq!(found(40, 20), 1, "October did not begin to expire");
    assert_eq!(found(80, 100), 0);
}
