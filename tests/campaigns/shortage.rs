//! Missing resources, without strace: few open files, small files, folders that are not folders,
//! and no certificates.
//!
//! Limits also apply to root, and so do the rules of /proc and /dev. Permissions would not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::config_versions::TrialVersions;
use crate::trial_runner::{DeploymentTrial, TrialScene, run_behind_script};
use crate::violations::ViolationCounts;
use test_support::World;
use test_support::campaign::Campaign;
use test_support::terraform_steps::{parse_external_answer, wrap_request};

/// From the fewest open files with which a program can start to more than enough.
const FILES: std::ops::Range<usize> = 4..20;
/// File size limits in blocks of 512 bytes; a spooled config has eight.
const BLOCKS: std::ops::Range<usize> = 0..10;

/// A machine without trusted authorities, such as a container without ca-certificates.
const NO_CERTIFICATES: &str = "export SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent";

/// A state directory that is not usable.
struct UnusableFolder {
    name: &'static str,
    make: fn(&mut World),
}

const UNUSABLE_FOLDERS: [UnusableFolder; 12] = [
    UnusableFolder {
        name: "the state folder is a file",
        make: |world| write_empty_file(&world.state_dir()),
    },
    UnusableFolder {
        name: "the folder above it is a file",
        make: |world| write_empty_file(&world.home().join(".local")),
    },
    UnusableFolder {
        name: "the spool is a file",
        make: |world| write_empty_file(&world.state_dir().join("spool")),
    },
    UnusableFolder {
        name: "the folder of the claims is a file",
        make: |world| write_empty_file(&world.state_dir().join("deployments")),
    },
    UnusableFolder {
        name: "the spool is a link to nowhere",
        make: |world| make_link(world, "nowhere", "spool"),
    },
    UnusableFolder {
        name: "the spool is a link to /proc",
        make: |world| make_link(world, "/proc", "spool"),
    },
    UnusableFolder {
        name: "the folder of the claims is a link to /dev/full",
        make: |world| make_link(world, "/dev/full", "deployments"),
    },
    UnusableFolder {
        name: "there is no HOME",
        make: |world| set_home(world, None),
    },
    UnusableFolder {
        name: "HOME is not there yet",
        make: |world| set_home(world, Some("home/not there")),
    },
    UnusableFolder {
        name: "HOME is a device",
        make: |world| set_home(world, Some("/dev/null")),
    },
    UnusableFolder {
        name: "XDG_STATE_HOME is in /proc",
        make: |world| world.set_variable("XDG_STATE_HOME", Some("/proc/self")),
    },
    UnusableFolder {
        name: "neither HOME nor TMPDIR can be written to",
        make: |world| {
            world.set_variable("XDG_STATE_HOME", Some("/proc"));
            world.set_variable("TMPDIR", Some("/proc"));
        },
    },
];

#[test]
fn no_shortage_blocks_fails_or_silently_loses_a_deployment() {
    let campaign = Campaign::start("shortage");
    let files = FILES.map(|files| {
        (
            format!("at most {files} open files"),
            format!("ulimit -n {files}"),
            None,
        )
    });
    // Ignoring the signal turns it into an error; by default it would end the helper.
    let blocks = BLOCKS.map(|blocks| {
        (
            format!("at most {blocks} blocks a file"),
            format!("trap '' XFSZ; ulimit -f {blocks}"),
            None,
        )
    });
    // The limit does not apply to root. dash has another letter for it.
    let threads = [(
        "no threads".to_owned(),
        "ulimit -u 1 2>/dev/null || ulimit -p 1".to_owned(),
        None,
    )];
    let places = UNUSABLE_FOLDERS
        .iter()
        .map(|place| (place.name.to_owned(), ":".to_owned(), Some(place.make)));
    let certificates = [(
        "no certificates".to_owned(),
        NO_CERTIFICATES.to_owned(),
        None,
    )];
    let shortages: Vec<_> = files
        .chain(blocks)
        .chain(places)
        .chain(certificates)
        .chain(threads)
        .collect();
    let scenes = [TrialScene::Offline, TrialScene::Online, TrialScene::Late].into_iter();
    let mut cases: Vec<_> = scenes
        .flat_map(|scene| shortages.iter().map(move |shortage| (scene, shortage)))
        .collect();
    // Another state directory has no earlier deployment.
    cases.retain(|(scene, (_, _, make))| *scene != TrialScene::Late || make.is_none());
    campaign.rng(0).shuffle(&mut cases);
    cases.sort_by_key(|(scene, (_, limit, _))| {
        (*scene, limit.as_str()) != (TrialScene::Online, NO_CERTIFICATES)
    });
    cases.truncate(campaign.pick(16, usize::MAX));
    let violations = ViolationCounts::sum(campaign.run_each(cases.len(), 4, |number| {
        let (scene, (name, limit, make)) = cases[number];
        let mut trial = DeploymentTrial::new(format!("{name} {scene:?}"), scene);
        if let Some(make) = make {
            make(&mut trial.world);
        }
        trial.deploy(
            &TrialVersions::get().hard,
            &run_behind_script(&format!("{limit}; exec \"$1\" \"$2\"")),
        );
        trial.finish()
    }));
    campaign.print_line(format!(
        "{} shortages: {}",
        cases.len(),
        violations.summary()
    ));
    violations.assert_none(&campaign);
}

#[cfg(target_os = "linux")] // others have no /dev/full
#[test]
fn a_stdout_that_is_full_costs_the_line_and_nothing_else() {
    let world = World::new();
    let unit = test_support::terraform_steps::CustomerUnit::new(&world);
    let full = run_behind_script("exec \"$1\" \"$2\" >/dev/full");
    let context = unit.plan(&world);
    let request = wrap_request(&unit.deploy_request(&context));
    for (command, query) in [("context", unit.query()), ("deploy", request.clone())] {
        let ran = full(&world, command, &query);
        assert_eq!(
            (ran.exit, ran.output.as_str(), ran.errors.as_str()),
            (Some(0), "", ""),
            "{command}"
        );
    }
    assert_eq!(
        (world.usage_records().len(), world.spooled_items()),
        (1, Vec::new())
    );
    let requests = world.server.requests().len();
    let answer = parse_external_answer(&world.run_protocol_command("deploy", &request));
    assert_eq!(
        (&answer["status"], world.server.requests().len()),
        (&json!("ok"), requests),
        "the answer was noted: {answer}"
    );
}

/// Sets or removes HOME, without moving the profiles.
fn set_home(world: &mut World, folder: Option<&str>) {
    let profiles = world.home().join(".aws/credentials");
    world.set_variable("AWS_SHARED_CREDENTIALS_FILE", profiles.to_str());
    let folder = folder.map(|folder| world.path().join(folder));
    world.set_variable("HOME", folder.as_deref().and_then(Path::to_str));
}

fn write_empty_file(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let _ = fs::remove_dir_all(path);
    fs::write(path, "no folder").expect("a file");
}

fn make_link(world: &World, target: &str, name: &str) {
    fs::create_dir_all(world.state_dir()).expect("a folder");
    let _ = fs::remove_dir_all(world.state_dir().join(name));
    symlink(target, world.state_dir().join(name)).expect("a link");
}
