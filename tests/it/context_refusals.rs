//! What `context`, `backup`, `log` and `outcome` say to a query that they cannot use: always an answer, always exit 0.

use serde_json::{Value, json};

use crate::by_hand::{Unit, external, string};
use crate::support::{World, feed, text};

fn answer(world: &World, verb: &str, input: &[u8]) -> String {
    let output = feed(world.helper(&[verb]), input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{verb}");
    text(&output.stdout)
}

/// Queries, and the words that must name what is wrong with each.
fn refused(unit: &Unit) -> Vec<(Vec<u8>, &'static str)> {
    let with = |key: &str, value: Value| {
        let mut query = unit.query();
        query[key] = value;
        query.to_string().into_bytes()
    };
    let mut without = unit.query();
    without.as_object_mut().expect("an object").remove("config_file_path");
    vec![
        (with("buckett", json!("b")), "unknown key `buckett`"),
        (with("timeout", json!(10)), "`timeout` must be a string, not a number"),
        (with("customer_name", json!(["a"])), "`customer_name` must be a string, not an array"),
        (with("customer_name", Value::Null), "`customer_name` must be a string, not null"),
        (with("timeout", json!("ten")), "`timeout` must be a whole number"),
        (with("additional_users_count", json!("-1")), "`additional_users_count` must be a whole number"),
        (with("deployment_id", json!("../../x")), "`deployment_id` must be"),
        (with("config_file_path", json!("")), "`config_file_path` is missing"),
        (without.to_string().into_bytes(), "`config_file_path` is missing"),
        (b"".to_vec(), "no JSON"),
        (b"{\"config_file_path\":".to_vec(), "no JSON"),
        (b"[]".to_vec(), "no JSON object"),
        (b"\xff\xfe".to_vec(), "no JSON"),
        (vec![b' '; 2 << 20], "longer than"),
    ]
}

#[test]
fn context_and_outcome_name_what_is_wrong_with_a_query() {
    let world = World::new();
    let unit = Unit::new(&world);
    for (query, words) in refused(&unit) {
        for verb in ["context", "outcome"] {
            let answer = external(&answer(&world, verb, &query));
            assert_eq!(string(&answer, "status"), "error", "{verb}: {words}");
            assert!(string(&answer, "message").contains(words), "{verb}, {words}: {answer}");
        }
    }
    assert_eq!(world.server.requests().len(), 0, "nobody is asked on behalf of a query that is not understood");
}

#[test]
fn a_context_that_refuses_still_gives_every_deployment_an_id() {
    let world = World::new();
    let one = external(&answer(&world, "context", b""));
    let two = external(&answer(&world, "context", b""));
    assert_ne!(string(&one, "deployment_id"), string(&two, "deployment_id"));
    assert_eq!(one["config_hash"], "");
}

#[test]
fn log_warns_in_one_line_of_a_query_that_it_cannot_use_and_backup_does_not_warn() {
    let world = World::new();
    let unit = Unit::new(&world);
    for (query, words) in refused(&unit) {
        let log = answer(&world, "log", &query);
        assert!(log.starts_with("config-backup: WARNING: ") && log.contains(words), "{words}: {log}");
        assert_eq!(log.matches('\n').count(), 1, "{log}");
        let backup = answer(&world, "backup", &query);
        assert!(backup.starts_with("config-backup: ") && backup.contains(words) && !backup.contains("WARNING"), "{words}: {backup}");
    }
}

#[test]
fn an_outcome_without_a_deployment_is_an_error_and_no_good_news() {
    let world = World::new();
    let unit = Unit::new(&world);
    for id in ["", "20261123T000000Z-0000000000000000"] {
        let outcome = unit.outcome(&world, id);
        assert_eq!(string(&outcome, "status"), "error");
        assert_ne!(string(&outcome, "message"), "");
    }
    assert!(!world.state().exists(), "`outcome` is a data source and only reads");
}
