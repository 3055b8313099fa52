//! Negative controls of the oracles: each must fail for a broken product.

use std::panic::catch_unwind;

use config_backup::archive::ArchiveError;
use config_backup::config::fields;
use config_backup::config::fields::ConfigFields;
use config_backup::keys;
use config_backup::output::sanitize;
use config_backup::record::parse;
use config_backup::s3::caller;

use crate::targets;

#[track_caller]
fn found(name: &str, judge: impl FnOnce() + std::panic::UnwindSafe) {
    assert!(catch_unwind(judge).is_err(), "{name} passes");
}

#[test]
fn detects_a_problem_that_quotes_the_config() {
    let config = b"customer:\n  name: [s3cret]\n";
    let honest = fields::parse_config_fields(config);
    targets::config::judge(config, &honest);
    for quote in [
        "its customer.name is not a text: s3cret",
        "it is not valid YAML at line 1, column 4711471147114711",
        "s3cret",
    ] {
        let quoting = ConfigFields {
            problems: vec![quote.to_owned()],
            ..honest.clone()
        };
        found(quote, move || targets::config::judge(config, &quoting));
    }
}

#[test]
fn detects_a_key_outside_of_its_prefix() {
    targets::key::judge_segment("../x", &keys::customer_segment("../x"));
    for segment in ["../x", "..", "x", "", "~..~2Fx"] {
        found(segment, move || {
            targets::key::judge_segment("../x", segment);
        });
    }
}

#[test]
fn detects_a_quoted_or_wrong_archive_file() {
    let whole = config_backup::archive::parquet::decode_archive(targets::part::whole().to_vec());
    assert_eq!(whole.as_ref().map(Vec::len), Ok(3));
    targets::part::judge(&whole);
    for refusal in [
        "it says canary".to_owned(),
        "two\nlines".to_owned(),
        "x".repeat(400),
    ] {
        found("a refusal", || {
            targets::part::judge(&Err(ArchiveError::Unavailable(refusal)));
        });
    }
    found("another length", move || {
        let mut records = whole.unwrap();
        records[0].body.pop();
        targets::part::judge(&Ok(records));
    });
}

#[test]
fn detects_a_refusal_that_quotes_a_value() {
    targets::query::judge_refusal(
        b"{}",
        "cannot parse the query on stdin: the key `config_file_path` is missing",
    );
    for said in ["not JSON: s3cret", "the key `s3cret` is missing"] {
        found(said, move || {
            targets::query::judge_refusal(
                b"{}",
                &format!("cannot parse the query on stdin: {said}"),
            );
        });
    }
    targets::query::judge_problem(
        "the setting `timeout` must be a whole number of seconds from 1 to 300; 10 is used",
    );
    for said in [
        "`timeout` must be a whole number, not s3cret",
        "`a\nb` is unknown and ignored; known are x",
    ] {
        found(said, move || {
            targets::query::judge_problem(&format!("the setting {said}"));
        });
    }
}

#[test]
fn detects_a_query_that_was_not_sent() {
    let asked = b"{\"config_file_path\":\"/c\"}";
    let query = config_backup::deployment::protocol::ModuleQuery::read(&asked[..]).unwrap();
    targets::query::judge(asked, &query);
    found("another bucket", || {
        targets::query::judge(b"{\"config_file_path\":\"/c\",\"bucket\":\"b\"}", &query);
    });
}

#[test]
fn detects_a_name_other_than_the_end_of_the_arn() {
    let arn = "arn:aws:iam::1:user/a:b";
    targets::arn::judge(arn, caller::user_name_from_arn(arn));
    found("a role of a user", || {
        targets::arn::judge(
            "arn:aws:iam::1:assumed-role/Deployer/1700000000",
            "Deployer",
        );
    });
    found("the path", || targets::arn::judge(arn, "user/a:b"));
    found("too little", || targets::arn::judge(arn, "b"));
}

#[test]
fn detects_a_record_that_quotes_or_changes() {
    let quoting = parse::ParsedRecord {
        problems: vec!["`user` is s3cret".to_owned()],
        ..parse::ParsedRecord::default()
    };
    found("a quote", || targets::record::judge(&Ok(quoting)));
    let when = parse::ParsedRecord {
        deployed_at: Some(chrono::DateTime::default()),
        ..parse::ParsedRecord::default()
    };
    found("1970", || targets::record::judge(&Ok(when)));
    found("two lines", || {
        let record = targets::record::record(b"acme\0arn");
        let line = [record.to_line(), record.to_line()].concat();
        targets::record::judge_line(
            &record,
            &line,
            &parse::parse_record(&record.to_line()).unwrap(),
        );
    });
    found("another user", || {
        let record = targets::record::record(b"acme\0arn");
        let line = record.to_line();
        let reading = parse::ParsedRecord {
            user: "somebody".to_owned(),
            ..parse::parse_record(&line).unwrap()
        };
        targets::record::judge_line(&record, &line, &reading);
    });
}

#[test]
fn detects_an_unsafe_or_changed_cell() {
    targets::cell::judge(
        "=1",
        &sanitize::sanitize("=1"),
        &sanitize::escape_formula("=1"),
    );
    found("a formula", || targets::cell::judge("=1", "=1", "=1"));
    found("an escape", || {
        targets::cell::judge("\u{1b}[2J", "\u{1b}[2J", "\u{1b}[2J");
    });
    found("another text", || targets::cell::judge("a", "b", "b"));
    found("markup", || targets::cell::judge_html("<b>", "<b>"));
    let cells = ["a", "b,", "c", "d"].map(str::to_owned);
    targets::cell::judge_csv(&cells, "a,b\na,\"b,\"\nc,d\n");
    found("a comma too many", || {
        targets::cell::judge_csv(&cells, "a,b\na,b,\nc,d\n");
    });
}

#[test]
fn detects_an_input_that_takes_too_long() {
    targets::yaml::judge(b"quick", std::time::Duration::ZERO);
    found("six seconds", || {
        targets::yaml::judge(b"slow", std::time::Duration::from_secs(6));
    });
}
