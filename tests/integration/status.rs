//! `status`: what is kept on this machine, shown and not touched.

use std::fs;

use serde_json::{Value, json};

use test_support::terraform_steps::Unit;
use test_support::{World, assert_no_secret, nobody_there, text};

fn status(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.helper(&["status"]).args(arguments).output().expect("status");
    assert_eq!(text(&output.stderr), "");
    let said = text(&output.stdout);
    assert_no_secret("status", &said);
    (output.status.code(), said)
}

#[test]
fn nothing_kept_is_said_and_leaves_no_trace() {
    let world = World::new();
    assert_eq!(status(&world, &[]), (Some(0), "0 kept, 0 in quarantine\n".to_owned()));
    assert!(!world.state().exists());
}

#[test]
fn what_is_kept_is_shown_with_whose_it_is_and_stays() {
    let mut world = World::new();
    let unit = Unit::new(&world);
    world.set_endpoint(&nobody_there());
    let deployed = unit.deploy(&world);
    let spool = world.state().join("spool");
    fs::write(spool.join("notes.txt"), "not of ours").expect("a file");
    let kept = world.spooled();
    let (code, said) = status(&world, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 4), "{said}");
    for words in ["config.yaml of `airbnb`, ", "usage record of `airbnb`, ", "notes.txt` is not of ours", "2 kept, 0 in quarantine; "] {
        assert!(said.contains(words), "`{words}`: {said}");
    }
    let (_, said) = status(&world, &["--json"]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let items = said["kept"].as_array().expect("a list");
    assert_eq!(items.iter().map(|item| &item["what"]).collect::<Vec<_>>(), [&json!("config"), &json!("record")]);
    for item in items {
        assert_eq!((&item["deployment_id"], &item["customer"]), (&json!(deployed.id()), &json!("airbnb")));
        assert_eq!((&item["bucket"], &item["profile"]), (&json!("mongodb-arena"), &json!("default")));
    }
    assert_eq!(world.spooled(), kept, "it is only shown");

    world.heal();
    unit.deploy(&world).warning();
    let (code, said) = status(&world, &[]);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    assert!(said.contains("quarantine/notes.txt") && said.ends_with("0 kept, 1 in quarantine\n"), "{said}");
}
