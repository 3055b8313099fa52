//! What `doctor` makes of each answer; no answer is asked for here.

use super::*;
use crate::aws::{Receipt, Written};
use crate::finding::Status;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn fault(kind: Kind) -> Fault {
    Fault::new(kind, "denied here", "ask")
}

/// Status and what was seen.
fn told(finding: &Finding) -> (Status, &str) {
    (finding.status, &finding.seen)
}

/// Of `abc`, as it comes back whole; digests by FIPS 180-4, in Base64 by `sha256sum | xxd -r -p | base64`.
fn tried(place: &str) -> Tried {
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let head = Head {
        metadata: [("sha256".to_owned(), hex.to_owned())].into(),
        size: 3,
        sha256: Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=".to_owned()),
        ..Head::default()
    };
    Tried {
        place: place.to_owned(),
        put: Ok(Put { written: Written::Yes(Receipt::default()), version: None, encryption: None }),
        refused: Ok(true),
        head: Ok(Some(head)),
        got: Ok(Some(b"abc".to_vec())),
        deleted: Some(Ok(false)),
    }
}

#[test]
fn a_clock_is_bad_from_five_minutes_on_in_both_directions() {
    for (seconds, bad) in [(0, false), (299, false), (300, true), (-299, false), (-300, true), (86_400, true)] {
        let ahead = Some(TimeDelta::seconds(seconds));
        assert_eq!((is_off(ahead), clock(ahead).exit), (bad, if bad { 4 } else { 0 }), "{seconds}");
    }
    assert_eq!(clock(None).exit, 0);
}

#[test]
fn a_clock_says_in_which_direction_it_is_off_and_whole_seconds_are_not() {
    for (seconds, expected) in [
        (2, "it is that of S3"),
        (-2, "it is that of S3"),
        (3, "it is 3 s ahead of that of S3"),
        (-3, "it is 3 s behind that of S3"),
        (-600, "it is 10 minutes behind that of S3, and AWS takes 15 at the most"),
    ] {
        assert_eq!(clock(Some(TimeDelta::seconds(seconds))).seen, expected);
    }
}

#[test]
fn credentials_that_end_within_a_quarter_of_an_hour_are_worth_a_note() {
    let identity = Identity { arn: "arn:x".into(), user_id: String::new(), account: String::new() };
    let now = at("2026-11-24T12:00:00Z");
    let of = |until: Option<&str>| {
        let finding = credentials(&identity, until.map(at), now);
        (finding.status, finding.seen)
    };
    assert_eq!(of(Some("2026-11-24T12:15:00Z")), (Status::Ok, "arn:x, until 2026-11-24T12:15:00Z".into()));
    assert_eq!(of(Some("2026-11-24T12:14:59Z")), (Status::Note, "arn:x, until 2026-11-24T12:14:59Z, in 14 minutes".into()));
    assert_eq!(of(None), (Status::Ok, "arn:x, without an end that is known".into()));
}

#[test]
fn a_bucket_elsewhere_is_worth_a_note_with_the_variable_that_saves_the_round_trip() {
    assert_eq!(told(&region("eu-west-1", "eu-west-1")), (Status::Ok, "eu-west-1"));
    let elsewhere = region("us-east-1", "eu-west-1");
    assert_eq!((elsewhere.status, elsewhere.fix.as_str()), (Status::Note, "set CONFIG_BACKUP_BUCKET_REGION=eu-west-1"));
}

#[test]
fn whose_a_bucket_is_shows_in_what_is_denied() {
    let denied = || Err(fault(Kind::Denied));
    assert_eq!(told(&owner("", "1", Ok(()), denied())), (Status::Ok, "the account 1, which is your own"));
    assert_eq!(told(&owner("2", "1", Ok(()), denied())), (Status::Ok, "the account 2, as demanded"));
    assert_eq!(told(&owner("", "1", denied(), denied())), (Status::Note, "the bucket is of another account than your own, 1"));
    assert_eq!(owner("", "1", denied(), Ok(())).status, Status::Unknown, "a server that does not look");
    assert_eq!(told(&owner("", "1", Err(fault(Kind::Network)), denied())), (Status::Unknown, "denied here"));
    assert_eq!(told(&owner("", "1", Ok(()), Err(fault(Kind::Network)))), (Status::Unknown, "no clear answer"));
}

#[test]
fn a_permission_is_there_where_no_place_was_refused() {
    let denied = fault(Kind::Denied);
    assert_eq!(told(&permission("c", [("a/", Ok(())), ("b/", Ok(()))].into_iter())), (Status::Ok, "allowed below a/ and b/"));
    assert_eq!(told(&permission("c", [("a/", Ok(())), ("b/", Err(&denied))].into_iter())), (Status::Bad, "denied here"));
    // Where nothing could be written, a 403 may be a 404.
    let nothing = |got| [Tried { put: Err(fault(Kind::Denied)), got, ..tried("a/") }];
    assert_eq!(reading(&nothing(Err(fault(Kind::Denied))), false).status, Status::Unknown);
    assert_eq!(reading(&nothing(Err(fault(Kind::Denied))), true).status, Status::Bad);
    assert_eq!(reading(&nothing(Err(fault(Kind::Network))), false).status, Status::Bad);
    assert_eq!(reading(&[Tried { got: Err(fault(Kind::Denied)), ..tried("a/") }], false).status, Status::Bad);
    assert_eq!(told(&reading(&[tried("a/")], true)), (Status::Ok, "allowed below a/"));
}

#[test]
fn a_server_that_writes_over_what_is_there_is_bad() {
    let of = |refused| conditions(&[tried("a/"), Tried { refused, ..tried("b/") }]);
    assert_eq!(
        [of(Ok(true)).status, of(Ok(false)).status, of(Err(fault(Kind::Network))).status],
        [Status::Ok, Status::Bad, Status::Unknown]
    );
}

#[test]
fn what_was_written_must_come_back_whole() {
    let with = |written| Tried { put: Ok(Put { written, version: None, encryption: None }), ..tried("a/") };
    let stated = Receipt { states_sum: true, ..Receipt::default() };
    for (written, is_slower) in [(Written::Yes(stated), false), (Written::ConditionFailed, false), (Written::Yes(Receipt::default()), true)]
    {
        let found = read_back(&[with(written)]);
        assert_eq!((found.status, found.seen.contains("one round trip more")), (Status::Ok, is_slower), "{}", found.seen);
    }
    let head = || tried("a/").head.expect("an answer").expect("a head");
    let changed = |head: Head| read_back(&[tried("a/"), Tried { head: Ok(Some(head)), ..tried("b/") }]).seen;
    let seen = "what was written below b/ comes back changed: ";
    assert_eq!(changed(Head { metadata: [].into(), ..head() }), format!("{seen}its metadata"));
    assert_eq!(changed(Head { size: 4, ..head() }), format!("{seen}its size"));
    assert_eq!(changed(Head { sha256: Some("x".into()), ..head() }), format!("{seen}its SHA-256"));
    assert_eq!(read_back(&[Tried { head: Ok(Some(Head { sha256: None, ..head() })), ..tried("a/") }]).status, Status::Ok);
    assert_eq!(told(&read_back(&[Tried { head: Ok(None), ..tried("a/") }])), (Status::Unknown, "what was written below a/ is gone again"));
    assert_eq!(read_back(&[Tried { got: Err(fault(Kind::Denied)), ..tried("a/") }]).seen, "not found out: denied here");
}

#[test]
fn what_stays_of_the_attempts_is_told() {
    let of = |deleted: [Option<Result<bool, Fault>>; 2]| {
        let [first, second] = deleted;
        let seen = canary(&[Tried { deleted: first, ..tried("a/") }, Tried { deleted: second, ..tried("b/") }]).seen;
        seen.split([',', ';', ':']).next().expect("a beginning").to_owned()
    };
    assert_eq!(of([None, None]), "nothing could be written");
    assert_eq!(of([Some(Ok(false)), None]), "what was written is deleted");
    assert_eq!(canary(&[tried("a/")]).seen, "what was written is deleted");
    assert!(canary(&[Tried { deleted: Some(Ok(true)), ..tried("a/") }]).seen.ends_with("keeps its versions, under a delete marker"));
    assert_eq!(of([Some(Ok(true)), Some(Err(fault(Kind::Denied)))]), "one small object `_config-backup-doctor` stays in b/");
}
