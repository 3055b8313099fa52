//! Objects that the bucket does not return: each is a finding, and all others are verified.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use test_support::faulty_proxy::RequestFate;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, World, to_text};

use super::{DENIED, parse_findings, run_verify, start_proxy};

/// All files below a folder.
fn find_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(find_files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn bytes_that_rotted_in_the_store_hide_no_other_finding() {
    let world = World::new();
    for customer in ["airbnb", "beta"] {
        let mut unit = CustomerUnit::in_folder(&world, customer);
        unit.set_variable("customer_name", customer);
        unit.deploy(&world).expect_success();
    }
    // The checksum that the server has of it stays as it was.
    let files = find_files(world.path());
    let is_copy = |path: &&PathBuf| {
        let is_named = path.to_string_lossy().contains("config-history");
        is_named && path.to_string_lossy().contains("/terragrunt/airbnb/")
    };
    let copy = files
        .iter()
        .filter(is_copy)
        .find(|path| fs::read(path).is_ok_and(|body| body == CONFIG.as_bytes()))
        .expect("the file of the copy");
    fs::write(copy, CONFIG.replace("M30", "M31")).expect("rotted");
    let (key, _) = world.usage_records().pop().expect("a record of beta");
    assert!(key.contains("/beta/"), "{key}");
    let record = to_text(&world.server.object(BUCKET, &key).expect("it").body);
    let edited = record.replace("john.doe", "jane.roe");
    world
        .server
        .put(BUCKET, &key, edited.as_bytes(), &[])
        .expect("edited");

    let found = parse_findings(&run_verify(&world, &["--json"]));
    let customers: Vec<&str> = found
        .iter()
        .map(|(customer, ..)| customer.as_str())
        .collect();
    assert_eq!(customers, ["airbnb", "beta"], "{found:?}");
    assert!(
        ["unreadable", "edited"].contains(&found[0].1.as_str()),
        "{found:?}"
    );
    assert!(found[0].2.contains("/config-history/"), "{found:?}");
    assert_eq!((found[1].1.as_str(), &found[1].2), ("edited", &key));
}

#[test]
fn a_config_that_is_not_returned_is_one_finding() {
    for part in ["/config-history/2", "/config.yaml"] {
        let mut world = World::new();
        CustomerUnit::new(&world).deploy(&world).expect_success();
        let (_proxy, refuses) = start_proxy(&mut world, move |line| {
            if line.starts_with("GET ") && line.contains(part) {
                RequestFate::Answer("403 Forbidden", DENIED)
            } else {
                RequestFate::Pass
            }
        });
        refuses.store(true, Ordering::SeqCst);
        let output = run_verify(&world, &["--json"]);
        let found = parse_findings(&output);
        assert_eq!(found.len(), 1, "{output:?}");
        assert_eq!(found[0].1, "unreadable");
        assert!(found[0].2.contains(part), "{found:?}");
        refuses.store(false, Ordering::SeqCst);
        assert_eq!(parse_findings(&run_verify(&world, &["--json"])), []);
    }
}
