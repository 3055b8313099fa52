//! `status` lists the spooled items of this machine and does not change them.

use std::fs;

use serde_json::{Value, json};

use test_support::terraform_steps::CustomerUnit;
use test_support::{World, assert_no_secret, refused_endpoint, to_text};

fn run_status(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world
        .helper_command(&["status"])
        .args(arguments)
        .output()
        .expect("status");
    assert_eq!(to_text(&output.stderr), "");
    let said = to_text(&output.stdout);
    assert_no_secret("status", &said);
    (output.status.code(), said)
}

#[test]
fn reports_an_empty_spool_and_leaves_no_files() {
    let world = World::new();
    assert_eq!(
        run_status(&world, &[]),
        (Some(0), "0 queued, 0 in quarantine\n".to_owned())
    );
    assert!(!world.state_dir().exists());
}

#[test]
fn lists_spooled_items_with_their_customers_and_keeps_them() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    let deployed = unit.deploy(&world);
    let spool = world.state_dir().join("spool");
    fs::write(spool.join("notes.txt"), "not of ours").expect("a file");
    let kept = world.spooled_items();
    let (code, said) = run_status(&world, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 4), "{said}");
    for words in [
        "config.yaml of `airbnb`, ",
        "usage record of `airbnb`, ",
        "notes.txt` is not a spool file",
        "2 queued, 0 in quarantine; ",
    ] {
        assert!(said.contains(words), "`{words}`: {said}");
    }
    let (_, said) = run_status(&world, &["--json"]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let items = said["kept"].as_array().expect("a list");
    assert_eq!(
        items.iter().map(|item| &item["what"]).collect::<Vec<_>>(),
        [&json!("record"), &json!("config")]
    );
    for item in items {
        assert_eq!(
            (&item["deployment_id"], &item["customer"]),
            (&json!(deployed.deployment_id()), &json!("airbnb"))
        );
        assert_eq!(
            (&item["bucket"], &item["profile"]),
            (&json!("mongodb-arena"), &json!("default"))
        );
    }
    assert_eq!(world.spooled_items(), kept, "it is only shown");

    world.restore_endpoints();
    unit.deploy(&world).expect_warning();
    let (code, said) = run_status(&world, &[]);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    assert!(
        said.contains("quarantine/notes.txt") && said.ends_with("0 queued, 1 in quarantine\n"),
        "{said}"
    );
}
