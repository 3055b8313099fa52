//! `doctor` on a customer folder without Terragrunt, or with one that hangs or fails.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::doctor::customer_folder::{
    append_text, examine, init_refusal, prepared_world, search_path,
};
use crate::doctor::healthy::{prepare_customer_folder, run_doctor};
use test_support::{CONFIG, SECRET_CANARIES, World, helper_path, project_dir};

#[test]
fn without_terragrunt_checks_the_text_and_says_so() {
    let (mut world, folder) = prepared_world();
    world.set_variable("PATH", Some("/usr/bin:/bin"));
    world.set_variable("CONFIG_BACKUP_HELPER", helper_path().to_str());
    examine(&world, &folder).assert_check(
        "unit",
        "ok",
        "not checked by terragrunt: it is not in PATH",
        "",
    );
    append_text(
        &folder.join("config-backup/terragrunt.hcl"),
        "exclude {\n  if      = get_env(\"CI\", \"\") != \"\"\n  actions = [\"all\"]\n}\n",
    );
    examine(&world, &folder).assert_check("unit", "bad", "`exclude`", "remove it");
}

#[test]
fn stops_a_hanging_terragrunt_and_its_children_in_time() {
    let mut world = World::new();
    let folder = prepare_customer_folder(&mut world);
    let programs = world.path().join("programs");
    fs::create_dir(&programs).expect("a folder");
    let script = "#!/bin/sh\ncase $1 in --version) echo 'terragrunt version v1.1.3' ;; *) sleep 600 & echo $! >\"$HOME/pid\"; wait ;; esac\n";
    write_executable(&programs.join("terragrunt"), script);
    world.set_variable(
        "PATH",
        Some(&format!("{}:{}", programs.display(), search_path())),
    );
    let found = run_doctor(&world, &[folder.to_str().expect("UTF-8"), "--timeout", "4"]);
    found.assert_no_problem().assert_check(
        "unit",
        "ok",
        "not checked by terragrunt: it gave no answer in time",
        "",
    );
    let pid = fs::read_to_string(world.home().join("pid")).expect("it was started");
    // The process has been killed, but the kernel may still remove it. Otherwise it sleeps for ten
    // minutes.
    let has_ended = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !has_ended() {
        assert!(Instant::now() < until, "it still runs");
        thread::yield_now();
    }
}

/// Terragrunt takes longer to start than all other checks of a machine together.
#[test]
fn asks_terragrunt_each_question_once() {
    let (mut world, folder) = prepared_world();
    let (programs, asked) = (world.path().join("programs"), world.path().join("asked"));
    fs::create_dir(&programs).expect("a folder");
    let script = format!(
        "#!/bin/sh\necho \"$1 $2\" >>'{}'\nexec '{}' \"$@\"\n",
        asked.display(),
        project_dir().join(".tools/bin/terragrunt").display()
    );
    write_executable(&programs.join("terragrunt"), &script);
    let path = format!("{}:{}", programs.display(), search_path());
    world.set_variable("PATH", Some(&path));
    let found = examine(&world, &folder);
    found.assert_check("unit", "ok", "is as version", "");
    found.assert_check("terragrunt", "ok", "Terragrunt ", "");
    let asked = fs::read_to_string(asked).expect("it was started");
    let mut asked: Vec<&str> = asked.lines().map(str::trim).collect();
    asked.sort_unstable();
    assert_eq!(
        asked,
        ["--version", "dag graph", "hcl validate", "render --format"]
    );
}

fn write_executable(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, script).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn shows_nothing_of_the_config_when_terragrunt_fails() {
    let (world, folder) = prepared_world();
    fs::write(
        folder.join("config.yaml"),
        CONFIG.replace(&format!("{}\"", SECRET_CANARIES[1]), SECRET_CANARIES[1]),
    )
    .expect("a config");
    // `run_doctor` and `init_refusal` check for secrets themselves.
    examine(&world, &folder).assert_check(
        "root.hcl",
        "bad",
        "cannot evaluate `root.hcl`, line 2",
        "terragrunt hcl validate",
    );
    let said = init_refusal(&world, &folder);
    assert!(
        !said.contains("yamldecode") && !said.contains("did not find"),
        "no text of Terragrunt: {said}"
    );
}
