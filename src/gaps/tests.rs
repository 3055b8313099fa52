//! Each gap alone, at the edges of what is one; nothing here lists or reads.

use super::*;
use crate::evidence::Kept;
use crate::seal::Seal;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-10-{text}Z").parse().expect("a time")
}

fn copy(time: &str, md5: &str, id: &str) -> Held {
    Held { key: format!("copy of {time} {md5}"), at: at(time), md5: md5.to_owned(), deployment_id: id.to_owned() }
}

fn current(of: &Held) -> Held {
    Held { key: "config.yaml".to_owned(), ..of.clone() }
}

fn record(time: &str, id: &str, of: &Held) -> Logged {
    let (config_hash, backup_key) = (of.md5.clone(), of.key.clone());
    Logged { at: at(time), deployment_id: id.to_owned(), config_hash, backup_key, ..Logged::default() }
}

fn change(time: &str, unit: &str) -> Change {
    Change { at: at(time), unit: unit.to_owned() }
}

/// A, then B, each with its record and the changes of that deployment, and one more deployment of B.
fn clean() -> Customer {
    let copies = vec![copy("01T08:00:00", A, "one"), copy("02T08:00:00", B, "two")];
    let records = vec![
        record("02T08:00:09", "two", &copies[1]),
        record("01T08:00:09", "one", &copies[0]),
        record("03T08:00:09", "three", &copies[1]),
    ];
    Customer {
        name: "acme".to_owned(),
        units: BTreeSet::from(["atlas".to_owned(), "eks".to_owned()]),
        changes: vec![change("03T09:00:00", "eks"), change("03T08:01:00", "atlas"), change("02T10:59:00", "eks")],
        current: Some(current(&copies[1])),
        records,
        copies,
        ..Customer::default()
    }
}

const SCOPE: Scope = Scope { window: Duration::hours(3), since: None };

/// The kinds of the gaps, and their phrases.
fn gaps(customer: &Customer) -> Vec<(Kind, String)> {
    customer.gaps(&SCOPE).into_iter().map(|gap| (gap.kind, gap.text)).collect()
}

/// The phrase of the only gap, which is of this kind.
fn only(customer: &Customer, kind: Kind) -> String {
    let found = gaps(customer);
    assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [kind], "{found:?}");
    found[0].1.clone()
}

#[test]
fn what_is_whole_has_no_gaps() {
    assert_eq!(gaps(&clean()), []);
    assert_eq!(gaps(&Customer::default()), []);
}

#[test]
fn changes_that_nobody_logged_are_one_gap_with_their_units() {
    let mut customer = clean();
    customer.changes.extend([change("05T08:00:00", "eks"), change("05T09:30:00", "atlas"), change("05T09:30:01", "eks")]);
    let text = only(&customer, Kind::Unlogged);
    assert_eq!(text, "2026-10-05T08:00:00Z to 2026-10-05T09:30:01Z: 3 changes of `atlas`, `eks`, and no usage record is near");
    let gap = &customer.gaps(&SCOPE)[0];
    assert_eq!((gap.at.as_str(), gap.count, gap.units.len(), gap.customer.as_str()), ("2026-10-05T08:00:00Z", 3, 2, "acme"));
    let since = |time| customer.gaps(&Scope { since: Some(at(time)), ..SCOPE }).iter().map(|gap| gap.count).collect::<Vec<_>>();
    assert_eq!((since("05T09:30:01"), since("05T09:30:02")), (vec![1], vec![]));
    let longer = Scope { window: Duration::days(3), ..SCOPE };
    assert_eq!(customer.gaps(&longer), []);
}

#[test]
fn a_state_without_any_config_is_a_customer_without_a_backup() {
    let mut customer = clean();
    (customer.current, customer.copies) = (None, Vec::new());
    let text = only(&customer, Kind::NoBackup);
    assert!(text.starts_with("there is a state of `atlas`, `eks` and no config; ") && text.contains("`customer.name`"), "{text}");
    for has in [
        Customer { current: clean().current, ..customer.clone() },
        Customer { copies: clean().copies, ..customer.clone() },
        Customer { units: BTreeSet::new(), ..customer.clone() },
    ] {
        assert!(gaps(&has).iter().all(|(kind, _)| *kind != Kind::NoBackup));
    }
}

#[test]
fn a_config_that_the_last_deployment_did_not_have_is_outdated() {
    let mut customer = clean();
    customer.current = Some(current(&customer.copies[0]));
    let text = only(&customer, Kind::Outdated);
    assert_eq!(
        text,
        "config.yaml is aaaaaaaaaaaa of 2026-10-01T08:00:00Z, and the last deployment, 2026-10-03T08:00:09Z, had bbbbbbbbbbbb"
    );
    customer.current = None;
    assert!(only(&customer, Kind::Outdated).starts_with("there is no config.yaml, only copies"));
}

#[test]
fn who_goes_back_to_an_older_config_must_find_it_in_the_bucket() {
    let mut customer = clean();
    let again = record("04T08:00:09", "four", &copy("04T08:00:00", A, "four"));
    customer.records.push(Logged { backup_key: customer.copies[0].key.clone(), ..again.clone() });
    only(&customer, Kind::Outdated);
    // As it is where that deployment uploaded it, with a copy of its own time.
    customer.records.pop();
    customer.copies.push(copy("04T08:00:00", A, "four"));
    customer.records.push(again);
    customer.current = Some(current(&customer.copies[2]));
    assert_eq!(gaps(&customer), []);
    // The record of the deployment between them comes late.
    customer.records.rotate_left(1);
    assert_eq!(gaps(&customer), []);
}

#[test]
fn what_is_not_known_is_not_held_against_the_config() {
    let mut customer = clean();
    // The last deployment could not read its config.
    customer.records.push(Logged { at: at("04T08:00:00"), deployment_id: "four".into(), ..Logged::default() });
    assert_eq!(gaps(&customer), []);
    // Two deployments within a second, in either order.
    let mut customer = clean();
    customer.records.push(record("03T08:00:09", "four", &customer.copies[0]));
    customer.records.rotate_left(2);
    assert_eq!(gaps(&customer), []);
    // It could not be read either.
    let mut customer = clean();
    customer.current = Some(Held { md5: String::new(), ..current(&customer.copies[0]) });
    assert_eq!(gaps(&customer), []);
    // The record of the deployment that brought it is missing, which is told as such.
    let mut customer = clean();
    customer.records.retain(|it| it.deployment_id == "one");
    customer.changes.clear();
    only(&customer, Kind::MissingRecord);
}

#[test]
fn a_record_of_the_earlier_module_is_compared_by_the_hash() {
    let mut customer = Customer { copies: Vec::new(), ..clean() };
    let brought = Held { deployment_id: String::new(), at: at("04T08:00:00"), ..clean().current.expect("a config") };
    customer.records = vec![Logged { at: at("03T08:00:09"), config_hash: B.to_owned(), ..Logged::default() }];
    customer.changes.truncate(2);
    customer.current = Some(brought.clone());
    assert_eq!(gaps(&customer), []);
    customer.current = Some(Held { md5: A.to_owned(), ..brought });
    let found = gaps(&customer);
    assert_eq!(found[0].0, Kind::Outdated);
    assert!(found.len() == 2 && found[1].1.starts_with(&format!("no config with the MD5 {B} is there, by 1 record of ")), "{found:?}");
    customer.earlier.insert(B.to_owned());
    only(&customer, Kind::Outdated);
}

#[test]
fn a_version_that_records_name_must_be_there() {
    let mut customer = clean();
    let gone = customer.copies.remove(1);
    let text = only(&customer, Kind::MissingVersion);
    assert_eq!(text, format!("`{}` is not there, by 2 records of 2026-10-02T08:00:09Z to 2026-10-03T08:00:09Z", gone.key));
    let since = |time| customer.gaps(&Scope { since: Some(at(time)), ..SCOPE }).iter().map(|gap| gap.count).collect::<Vec<_>>();
    assert_eq!((since("03T08:00:09"), since("03T08:00:10")), (vec![1], vec![]));
    let mut customer = clean();
    customer.records.push(Logged { at: at("03T08:00:00"), failed: true, ..Logged::default() });
    assert!(only(&customer, Kind::MissingVersion).starts_with("the config could not be read, and is not backed up, by 1 record"));
}

#[test]
fn a_deployment_that_left_a_config_and_no_record_is_named_once() {
    let mut customer = clean();
    customer.copies.push(copy("04T08:00:00", A, "four"));
    customer.current = Some(current(&customer.copies[2]));
    let text = only(&customer, Kind::MissingRecord);
    assert_eq!(text, format!("2026-10-04T08:00:00Z: the deployment four left `{}`, and has no usage record", customer.copies[2].key));
    assert_eq!(customer.gaps(&Scope { since: Some(at("04T08:00:01")), ..SCOPE }), []);
    customer.copies[2].deployment_id = String::new();
    customer.current = Some(current(&customer.copies[1]));
    assert_eq!(gaps(&customer), [], "nobody knows whose it is");
}

#[test]
fn only_copies_that_no_record_of_their_time_names_are_looked_at() {
    let mut customer = clean();
    assert_eq!(customer.unexplained(), Vec::<usize>::new());
    customer.records.retain(|it| it.deployment_id != "two");
    assert_eq!(customer.unexplained(), [1], "a later deployment names it, but did not bring it");
    for (time, expected) in [("02T07:59:59", true), ("02T08:00:00", false), ("02T08:15:00", false), ("02T08:15:01", true)] {
        let mut customer = customer.clone();
        customer.records.push(record(time, "two", &customer.copies[1]));
        assert_eq!(customer.unexplained() == [1], expected, "{time}");
    }
}

#[test]
fn what_is_kept_here_is_pending_and_missing_in_no_other_way() {
    let mut customer = clean();
    let config = copy("05T08:00:00", A, "five");
    let logged = record("05T08:00:09", "five", &config);
    customer.kept = vec![Kept { path: "/spool/1".into(), thing: Thing::Record(logged.clone()) }];
    customer.changes.push(change("05T09:00:00", "eks"));
    let text = only(&customer, Kind::Pending);
    assert_eq!(text, "2026-10-05T08:00:09Z: the usage record of the deployment five is kept on this machine: /spool/1");
    customer.kept = vec![Kept { path: "/spool/2".into(), thing: Thing::Config(config) }];
    customer.records.push(logged);
    assert!(only(&customer, Kind::Pending).contains("config.yaml of the deployment five is kept on this machine: /spool/2"));
    (customer.current, customer.copies) = (None, Vec::new());
    customer.records.retain(|it| it.deployment_id == "five");
    customer.changes.retain(|it| it.at > at("05T00:00:00"));
    only(&customer, Kind::Pending);
}

#[test]
fn a_place_in_a_chain_that_nothing_is_in_is_a_missing_record() {
    let chain = |number, previous: &str| Some(Chain { writer: "w".to_owned(), number, previous: previous.to_owned() });
    let record = |number, sha256: &str, previous| Logged {
        at: at("03T08:00:00"),
        deployment_id: format!("d{number}"),
        sha256: sha256.to_owned(),
        chain: chain(number, previous),
        ..Logged::default()
    };
    let key = "usage-logs/acme/2026-11-03_080000.json".to_owned();
    let seal = Seal { writer: "w".to_owned(), number: 3, key: key.clone(), sha256: "c".to_owned(), deployment_id: "d3".to_owned() };
    let whole = [record(1, "a", ""), record(2, "b", "a"), record(3, "c", "b")];
    for (deleted, expected) in
        [(None, ""), (Some(0), "record 1 of the chain w"), (Some(1), "record 2 of the chain w"), (Some(2), key.as_str())]
    {
        let mut customer = Customer { name: "acme".to_owned(), records: whole.to_vec(), seals: vec![seal.clone()], ..Customer::default() };
        if let Some(place) = deleted {
            customer.records.remove(place);
        }
        let gaps = customer.broken_chains(&SCOPE);
        if deleted == Some(2) {
            assert_eq!((gaps[0].key.as_str(), gaps[0].deployment_id.as_str()), (key.as_str(), "d3"));
        }
        let told: Vec<String> = gaps.into_iter().map(|gap| gap.text).collect();
        assert_eq!(told.len(), usize::from(deleted.is_some()), "{told:?}");
        assert!(told.iter().all(|text| text.contains(expected)), "{told:?}");
    }
    let mut edited = Customer { records: whole.to_vec(), seals: vec![seal], ..Customer::default() };
    edited.records[1].sha256 = "x".to_owned();
    assert_eq!(edited.broken_chains(&SCOPE).len(), 0, "an edited record is there");
}

#[test]
fn each_gap_names_the_object_and_the_deployment_that_it_is_of() {
    let told = |customer: &Customer| -> Vec<String> {
        let line = |it: Gap| format!("{} {} {} {} {:?}", it.kind.name(), it.count, it.key, it.deployment_id, it.units);
        customer.gaps(&SCOPE).into_iter().map(line).collect()
    };
    let mut outdated = clean();
    outdated.current = Some(Held { key: "current".into(), ..current(&outdated.copies[0]) });
    assert_eq!(told(&outdated), ["outdated 1 current three []"]);
    let mut missing = clean();
    let gone = missing.copies.remove(1);
    assert_eq!(told(&missing), [format!("missing-version 2 {} two []", gone.key)]);
    let mut left = clean();
    left.copies.push(copy("04T08:00:00", B, "four"));
    assert_eq!(told(&left), [format!("missing-record 1 {} four []", left.copies[2].key)]);
    let bare = Customer { current: None, copies: Vec::new(), changes: vec![change("20T08:00:00", "eks")], ..clean() };
    assert_eq!(told(&bare), ["unlogged 1   [\"eks\"]", "no-backup 1   [\"atlas\", \"eks\"]"]);
    let kept = |thing| Customer { kept: vec![Kept { path: "p".into(), thing }], ..clean() };
    let config = copy("05T08:00:00", B, "five");
    let record = record("05T08:00:09", "five", &config);
    assert_eq!(told(&kept(Thing::Config(config.clone()))), [format!("pending 1 {} five []", config.key)]);
    assert_eq!(told(&kept(Thing::Record(Logged { backup_key: String::new(), ..record }))), ["pending 1  five []"]);
}

#[test]
fn without_any_config_none_is_outdated() {
    let customer = Customer { current: None, copies: Vec::new(), units: BTreeSet::new(), changes: Vec::new(), ..clean() };
    assert!(gaps(&customer).iter().all(|(kind, _)| *kind == Kind::MissingVersion), "{:?}", gaps(&customer));
}

#[test]
fn a_config_that_came_in_the_second_of_the_last_deployment_is_no_later_one() {
    let mut customer = clean();
    customer.current = Some(Held { md5: A.into(), deployment_id: "x".into(), at: at("03T08:00:09"), ..clean().current.expect("a config") });
    assert!(gaps(&customer).iter().any(|(kind, _)| *kind == Kind::Outdated));
    customer.current.as_mut().expect("it").at = at("03T08:00:10");
    assert!(gaps(&customer).iter().all(|(kind, _)| *kind != Kind::Outdated));
}

#[test]
fn of_many_units_four_are_named() {
    let names = |count: usize| (1..=count).map(|number| format!("u{number}")).collect::<Vec<_>>();
    assert_eq!(listed(&names(4)), "`u1`, `u2`, `u3`, `u4`");
    assert_eq!(listed(&names(6)), "`u1`, `u2`, `u3`, `u4`, … (+2)");
}
