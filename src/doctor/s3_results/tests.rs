//! What `doctor` makes of each answer; no answer is asked for here.

use super::*;
use crate::doctor::check::CheckStatus;
use crate::s3::store::{ObjectHead, PutOutcome, PutReceipt};

fn parse_time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn error_of_kind(kind: ErrorKind) -> Error {
    Error::new(kind, "denied here", "ask")
}

/// Status and what was seen.
fn status_and_text(finding: &CheckResult) -> (CheckStatus, &str) {
    (finding.status, &finding.seen)
}

/// Of `abc`, as it comes back whole; digests by FIPS 180-4, in Base64 by `sha256sum | xxd -r -p | base64`.
fn intact_probe(place: &str) -> WriteProbe {
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let head = ObjectHead {
        metadata: [("sha256".to_owned(), hex.to_owned())].into(),
        size: 3,
        sha256: Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=".to_owned()),
        ..ObjectHead::default()
    };
    WriteProbe {
        prefix: place.to_owned(),
        put: Ok(PutProbe {
            outcome: PutOutcome::Written(PutReceipt::default()),
            version_id: None,
            encryption: None,
        }),
        overwrite_refused: Ok(true),
        head: Ok(Some(head)),
        body: Ok(Some(b"abc".to_vec())),
        deleted: Some(Ok(false)),
    }
}

#[test]
fn a_clock_is_bad_from_five_minutes_on_in_both_directions() {
    for (seconds, bad) in [
        (0, false),
        (299, false),
        (300, true),
        (-299, false),
        (-300, true),
        (86_400, true),
    ] {
        let ahead = Some(TimeDelta::seconds(seconds));
        let exit = if bad {
            ExitCode::Credentials
        } else {
            ExitCode::Ok
        };
        assert_eq!(is_clock_off(ahead), bad, "{seconds}");
        assert_eq!(evaluate_clock(ahead).exit, exit, "{seconds}");
    }
    assert_eq!(evaluate_clock(None).exit, ExitCode::Ok);
}

#[test]
fn a_clock_says_in_which_direction_it_is_off_and_whole_seconds_are_not() {
    for (seconds, expected) in [
        (2, "it is that of S3"),
        (-2, "it is that of S3"),
        (3, "it is 3 s ahead of that of S3"),
        (-3, "it is 3 s behind that of S3"),
        (
            -600,
            "it is 10 minutes behind that of S3, and AWS accepts at most 15",
        ),
    ] {
        assert_eq!(
            evaluate_clock(Some(TimeDelta::seconds(seconds))).seen,
            expected
        );
    }
}

#[test]
fn credentials_that_end_within_a_quarter_of_an_hour_are_worth_a_note() {
    let identity = CallerIdentity {
        arn: "arn:x".into(),
        user_id: String::new(),
        account: String::new(),
    };
    let now = parse_time("2026-11-24T12:00:00Z");
    let of = |until: Option<&str>| {
        let finding = evaluate_credentials(&identity, until.map(parse_time), now);
        (finding.status, finding.seen)
    };
    assert_eq!(
        of(Some("2026-11-24T12:15:00Z")),
        (CheckStatus::Ok, "arn:x, until 2026-11-24T12:15:00Z".into())
    );
    assert_eq!(
        of(Some("2026-11-24T12:14:59Z")),
        (
            CheckStatus::Warning,
            "arn:x, until 2026-11-24T12:14:59Z, in 14 minutes".into()
        )
    );
    assert_eq!(
        of(None),
        (CheckStatus::Ok, "arn:x, without a known expiry".into())
    );
}

#[test]
fn a_bucket_elsewhere_is_worth_a_note_with_the_variable_that_saves_the_round_trip() {
    assert_eq!(
        status_and_text(&evaluate_region("eu-west-1", "eu-west-1")),
        (CheckStatus::Ok, "eu-west-1")
    );
    let elsewhere = evaluate_region("us-east-1", "eu-west-1");
    assert_eq!(
        (elsewhere.status, elsewhere.fix.as_str()),
        (
            CheckStatus::Warning,
            "set CONFIG_BACKUP_BUCKET_REGION=eu-west-1"
        )
    );
}

#[test]
fn whose_a_bucket_is_shows_in_what_is_denied() {
    let denied = || Err(error_of_kind(ErrorKind::Denied));
    assert_eq!(
        status_and_text(&evaluate_owner("", "1", Ok(()), denied())),
        (CheckStatus::Ok, "the account 1, which is your own")
    );
    assert_eq!(
        status_and_text(&evaluate_owner("2", "1", Ok(()), denied())),
        (CheckStatus::Ok, "the account 2, as demanded")
    );
    assert_eq!(
        status_and_text(&evaluate_owner("", "1", denied(), denied())),
        (
            CheckStatus::Warning,
            "the bucket is of another account than your own, 1"
        )
    );
    assert_eq!(
        evaluate_owner("", "1", denied(), Ok(())).status,
        CheckStatus::Unknown,
        "a server that does not look"
    );
    assert_eq!(
        status_and_text(&evaluate_owner(
            "",
            "1",
            Err(error_of_kind(ErrorKind::Network)),
            denied()
        )),
        (CheckStatus::Unknown, "denied here")
    );
    assert_eq!(
        status_and_text(&evaluate_owner(
            "",
            "1",
            Ok(()),
            Err(error_of_kind(ErrorKind::Network))
        )),
        (CheckStatus::Unknown, "no clear answer")
    );
}

#[test]
fn a_permission_is_there_where_no_place_was_refused() {
    let denied = error_of_kind(ErrorKind::Denied);
    assert_eq!(
        status_and_text(&evaluate_permission(
            CheckId::ListBucket,
            &[("a/", None), ("b/", None)]
        )),
        (CheckStatus::Ok, "allowed below a/ and b/")
    );
    assert_eq!(
        status_and_text(&evaluate_permission(
            CheckId::ListBucket,
            &[("a/", None), ("b/", Some(&denied))]
        )),
        (CheckStatus::Failed, "denied here")
    );
    // Where nothing could be written, a 403 may be a 404.
    let nothing = |got| {
        [WriteProbe {
            put: Err(error_of_kind(ErrorKind::Denied)),
            body: got,
            ..intact_probe("a/")
        }]
    };
    assert_eq!(
        evaluate_read_permission(&nothing(Err(error_of_kind(ErrorKind::Denied))), false).status,
        CheckStatus::Unknown
    );
    assert_eq!(
        evaluate_read_permission(&nothing(Err(error_of_kind(ErrorKind::Denied))), true).status,
        CheckStatus::Failed
    );
    assert_eq!(
        evaluate_read_permission(&nothing(Err(error_of_kind(ErrorKind::Network))), false).status,
        CheckStatus::Failed
    );
    assert_eq!(
        evaluate_read_permission(
            &[WriteProbe {
                body: Err(error_of_kind(ErrorKind::Denied)),
                ..intact_probe("a/")
            }],
            false
        )
        .status,
        CheckStatus::Failed
    );
    assert_eq!(
        status_and_text(&evaluate_read_permission(&[intact_probe("a/")], true)),
        (CheckStatus::Ok, "allowed below a/")
    );
}

#[test]
fn a_server_that_writes_over_what_is_there_is_bad() {
    let of = |refused, is_refused_as_unknown| {
        let probes = [
            intact_probe("a/"),
            WriteProbe {
                overwrite_refused: refused,
                ..intact_probe("b/")
            },
        ];
        evaluate_conditional_writes(&probes, is_refused_as_unknown).status
    };
    assert_eq!(of(Ok(true), false), CheckStatus::Ok);
    assert_eq!(of(Ok(true), true), CheckStatus::Failed);
    assert_eq!(of(Ok(false), false), CheckStatus::Failed);
    let unreachable = Err(error_of_kind(ErrorKind::Network));
    assert_eq!(of(unreachable, false), CheckStatus::Unknown);
}

#[test]
fn what_was_written_must_come_back_whole() {
    let with = |written| WriteProbe {
        put: Ok(PutProbe {
            outcome: written,
            version_id: None,
            encryption: None,
        }),
        ..intact_probe("a/")
    };
    let stated = PutReceipt {
        is_checksum_confirmed: true,
        ..PutReceipt::default()
    };
    for (written, is_slower) in [
        (PutOutcome::Written(stated), false),
        (PutOutcome::ConditionFailed, false),
        (PutOutcome::Written(PutReceipt::default()), true),
    ] {
        let found = evaluate_read_back(&[with(written)]);
        assert_eq!(
            (
                found.status,
                found.seen.contains("which costs a round trip")
            ),
            (CheckStatus::Ok, is_slower),
            "{}",
            found.seen
        );
    }
}

#[test]
fn says_what_comes_back_changed() {
    let head = || intact_probe("a/").head.expect("an answer").expect("a head");
    let changed = |head: ObjectHead| {
        evaluate_read_back(&[
            intact_probe("a/"),
            WriteProbe {
                head: Ok(Some(head)),
                ..intact_probe("b/")
            },
        ])
        .seen
    };
    let seen = "what was written below b/ comes back changed: ";
    assert_eq!(
        changed(ObjectHead {
            metadata: [].into(),
            ..head()
        }),
        format!("{seen}its metadata")
    );
    assert_eq!(
        changed(ObjectHead { size: 4, ..head() }),
        format!("{seen}its size")
    );
    assert_eq!(
        changed(ObjectHead {
            sha256: Some("x".into()),
            ..head()
        }),
        format!("{seen}its SHA-256")
    );
    assert_eq!(
        evaluate_read_back(&[WriteProbe {
            head: Ok(Some(ObjectHead {
                sha256: None,
                ..head()
            })),
            ..intact_probe("a/")
        }])
        .status,
        CheckStatus::Ok
    );
}

#[test]
fn what_cannot_be_read_back_is_unknown() {
    assert_eq!(
        status_and_text(&evaluate_read_back(&[WriteProbe {
            head: Ok(None),
            ..intact_probe("a/")
        }])),
        (
            CheckStatus::Unknown,
            "what was written below a/ is gone again"
        )
    );
    assert_eq!(
        evaluate_read_back(&[WriteProbe {
            body: Err(error_of_kind(ErrorKind::Denied)),
            ..intact_probe("a/")
        }])
        .seen,
        "denied here"
    );
}

#[test]
fn reports_what_remains_of_the_canary() {
    let of = |deleted: [Option<Result<bool, Error>>; 2]| {
        let [first, second] = deleted;
        let seen = evaluate_canary(&[
            WriteProbe {
                deleted: first,
                ..intact_probe("a/")
            },
            WriteProbe {
                deleted: second,
                ..intact_probe("b/")
            },
        ])
        .seen;
        seen.split([',', ';', ':'])
            .next()
            .expect("a beginning")
            .to_owned()
    };
    assert_eq!(of([None, None]), "nothing could be written");
    assert_eq!(of([Some(Ok(false)), None]), "what was written is deleted");
    assert_eq!(
        evaluate_canary(&[intact_probe("a/")]).seen,
        "what was written is deleted"
    );
    assert!(
        evaluate_canary(&[WriteProbe {
            deleted: Some(Ok(true)),
            ..intact_probe("a/")
        }])
        .seen
        .ends_with("keeps its versions, under a delete marker")
    );
    assert_eq!(
        of([Some(Ok(true)), Some(Err(error_of_kind(ErrorKind::Denied)))]),
        "one small object `_config-backup-doctor` stays in b/"
    );
}
