//! Failures on this machine: an unreadable or invalid config, and a folder that is not writable.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::oracle::python_digest;
use test_support::terraform_steps::{AppliedDeployment, CustomerUnit, string_field};
use test_support::{
    BUCKET, CONFIG, SECRET_CANARIES, World, assert_no_secret, refused_endpoint, to_text,
};

const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";

/// A config without readable bytes is logged and reported, but not uploaded or spooled.
fn logged_without_a_config(world: &World, unit: &mut CustomerUnit, words: &str) {
    let deployed = unit.deploy(world);
    assert_eq!(
        string_field(&deployed.context, "status"),
        "warning",
        "{deployed:?}"
    );
    assert!(
        string_field(&deployed.context, "message").contains(words),
        "{deployed:?}"
    );
    let said = deployed.expect_warning();
    assert!(
        said.contains("config.yaml is not backed up: cannot read `") && said.contains(words),
        "{said}"
    );
    assert!(!said.contains("not logged"), "{said}");
    let (key, record) = deployed.record(world);
    assert!(key.starts_with("usage-logs/airbnb/"), "{key}");
    let logged = format!("; deployment logged for john.doe: s3://{BUCKET}/{key}");
    assert!(said.ends_with(&logged), "{said}");
    let values = [
        "backup",
        "backup_key",
        "config_hash",
        "customer",
        "project_name",
    ]
    .map(|name| string_field(&record, name));
    assert_eq!(values, ["failed", "", "", "airbnb", ""]);
    assert_eq!(
        (
            world.server.keys(BUCKET, "terragrunt/airbnb/config"),
            world.spooled_items()
        ),
        (Vec::<String>::new(), Vec::new())
    );
}

#[test]
fn logs_and_names_a_missing_config() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    fs::remove_file(&unit.config).expect("gone");
    logged_without_a_config(&world, &mut unit, "No such file");
}

#[test]
fn logs_and_names_a_folder_in_place_of_the_config() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    fs::remove_file(&unit.config).expect("gone");
    fs::create_dir(&unit.config).expect("a folder");
    logged_without_a_config(&world, &mut unit, "not a regular file");
}

#[test]
fn a_fifo_in_place_of_the_config_does_not_block() {
    let world = World::new();
    let mut unit = CustomerUnit::new(&world);
    fs::remove_file(&unit.config).expect("gone");
    assert!(
        world
            .command("mkfifo")
            .arg(&unit.config)
            .status()
            .expect("mkfifo")
            .success()
    );
    logged_without_a_config(&world, &mut unit, "not a regular file");
}

/// An invalid config is backed up byte for byte and logged, and the message names its line.
fn backed_up_without_its_facts(content: &[u8], words: &str) {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    unit.write_config(content);
    let deployed = unit.deploy(&world);
    assert!(
        string_field(&deployed.context, "message").contains(words),
        "{deployed:?}"
    );
    assert!(deployed.expect_warning().contains(words), "{deployed:?}");
    assert_eq!(
        string_field(&deployed.answer, "status"),
        "warning",
        "{deployed:?}"
    );
    assert_no_secret("what was printed", &format!("{deployed:?}"));
    assert_eq!(
        world
            .server
            .object(BUCKET, CONFIG_KEY)
            .expect("config.yaml")
            .body,
        content
    );
    let (_, record) = deployed.record(&world);
    assert_eq!(
        string_field(&record, "config_hash"),
        python_digest("md5", content)
    );
    let values = ["backup", "customer", "project_name", "cluster_name"]
        .map(|name| string_field(&record, name));
    assert_eq!(values, ["uploaded", "airbnb", "", ""]);
    assert_eq!(record["additional_users_count"], 0);
}

#[test]
fn backs_up_logs_and_reports_an_empty_config() {
    backed_up_without_its_facts(b"", "config.yaml: it is empty");
}

#[test]
fn backs_up_invalid_yaml_and_names_its_line_without_its_text() {
    // Line 7 of the sample holds a secret; its closing quote goes missing.
    let broken = CONFIG.replace(&format!("{}\"", SECRET_CANARIES[1]), SECRET_CANARIES[1]);
    assert!(
        broken
            .lines()
            .nth(6)
            .expect("a line")
            .contains(SECRET_CANARIES[1])
    );
    backed_up_without_its_facts(broken.as_bytes(), "it is not valid YAML at line ");
}

#[test]
fn a_tab_for_indentation_is_named_by_its_line() {
    backed_up_without_its_facts(
        b"customer:\n  name: airbnb\nmongodb:\n\tproject_name: p\n",
        "it is not valid YAML at line 4",
    );
}

#[test]
fn backs_up_a_config_that_is_not_utf8_and_names_its_line() {
    backed_up_without_its_facts(
        b"customer:\n  name: airb\xffnb\n",
        "it is not valid UTF-8 at line 2",
    );
}

#[test]
fn backs_up_nested_brackets_without_reading_them() {
    let bomb = format!("a: 1\nb: {}", "[".repeat(100_000));
    backed_up_without_its_facts(bomb.as_bytes(), "it is nested deeper than 64 levels");
}

/// `break_it` leaves the helper without a writable state directory.
fn world_without_state_dir(break_it: fn(&mut World)) -> (World, CustomerUnit) {
    let mut world = World::new();
    let mut unit = CustomerUnit::new(&world);
    unit.set_variable("aws_profile", "jane");
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIAJANE"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-jane"));
    break_it(&mut world);
    (world, unit)
}

fn state_is_a_file(world: &mut World) {
    fs::create_dir_all(world.home().join(".local/state")).expect("a folder");
    fs::write(world.state_dir(), "not a folder").expect("a file");
}

fn remove_home(world: &mut World) {
    world.set_variable("HOME", None);
}

/// The fallback directory is not usable either.
fn remove_fallback(world: &mut World) {
    let file = world.path().join("in the way");
    fs::write(&file, "not a folder").expect("a file");
    world.set_variable("TMPDIR", Some(file.to_str().expect("UTF-8")));
}

fn all_is_in_the_bucket(world: &World, deployed: &AppliedDeployment) {
    assert_eq!(
        world
            .server
            .object(BUCKET, CONFIG_KEY)
            .expect("config.yaml")
            .body,
        CONFIG.as_bytes()
    );
    assert_eq!(deployed.record(world).1["backup"], "uploaded");
    assert!(
        !deployed.message().contains("not logged") && !deployed.message().contains("not backed up"),
        "{}",
        deployed.message()
    );
    let message = string_field(&deployed.answer, "message");
    assert!(
        !message.contains("is not logged"),
        "all of it is in the bucket: {message}"
    );
}

#[test]
fn uploads_without_a_writable_state_directory() {
    let (world, unit) = world_without_state_dir(state_is_a_file);
    let deployed = unit.deploy(&world);
    assert!(
        deployed
            .message()
            .contains(world.state_dir().to_str().expect("UTF-8")),
        "it names the folder: {}",
        deployed.message()
    );
    all_is_in_the_bucket(&world, &deployed);
}

#[test]
fn uploads_without_a_home_directory() {
    let (world, unit) = world_without_state_dir(remove_home);
    let deployed = unit.deploy(&world);
    assert!(
        deployed.message().contains("HOME"),
        "{}",
        deployed.message()
    );
    all_is_in_the_bucket(&world, &deployed);
}

#[test]
fn reports_items_that_can_neither_be_sent_nor_spooled_as_lost() {
    for break_it in [state_is_a_file, remove_home] {
        let (mut world, unit) = world_without_state_dir(break_it);
        remove_fallback(&mut world);
        world.set_endpoint(&refused_endpoint());
        let deployed = unit.deploy(&world);
        let message = deployed.expect_warning();
        assert!(message.contains("nothing is spooled: "), "{message}");
        assert!(
            message.contains("refused") && !message.contains("sent with the next deployment"),
            "{message}"
        );
        assert!(
            message.contains("HOME") || message.contains(".local/state/config-backup"),
            "it says why it is not spooled: {message}"
        );
    }
}

#[test]
fn spools_to_the_temporary_directory_and_sends_from_there() {
    for break_it in [state_is_a_file, remove_home] {
        let (mut world, unit) = world_without_state_dir(break_it);
        world.set_endpoint(&refused_endpoint());
        let deployed = unit.deploy(&world);
        let said = deployed.expect_warning();
        let folders: Vec<_> = fs::read_dir(world.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        let fallback = folders
            .iter()
            .find(|path| path.display().to_string().contains("/config-backup-"))
            .expect("a fallback");
        let spool = fallback.join("spool");
        assert!(
            said.contains(&format!("spooled in {}", spool.display())),
            "{said}"
        );
        assert!(
            said.contains("a restart may empty that folder")
                && (said.contains("HOME") || said.contains(".local/state")),
            "{said}"
        );
        assert_eq!(
            fs::metadata(fallback).expect("it").permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(fs::read_dir(&spool).expect("a spool").count(), 2);
        world.restore_endpoints();
        let next = unit.deploy(&world);
        assert_eq!(string_field(&next.answer, "status"), "ok", "{next:?}");
        assert_eq!(
            (
                fs::read_dir(&spool).expect("a spool").count(),
                world.usage_records().len()
            ),
            (0, 2)
        );
        assert_eq!(deployed.record(&world).1["late"], true);
    }
}

#[test]
fn does_not_use_a_fallback_directory_that_others_can_write() {
    let (mut world, unit) = world_without_state_dir(remove_home);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    let folders: Vec<_> = fs::read_dir(world.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let fallback = folders
        .iter()
        .find(|path| path.display().to_string().contains("/config-backup-"))
        .expect("a fallback");
    fs::set_permissions(fallback, fs::Permissions::from_mode(0o777)).expect("opened");
    let deployed = unit.deploy(&world);
    assert!(
        deployed.message().contains("nothing is spooled"),
        "{}",
        deployed.message()
    );
    assert_eq!(
        fs::read_dir(fallback.join("spool"))
            .expect("a spool")
            .count(),
        2,
        "as before"
    );
}

#[test]
fn uses_xdg_state_home_as_the_state_directory() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let elsewhere = world.path().join("else where");
    world.set_variable("XDG_STATE_HOME", Some(elsewhere.to_str().expect("UTF-8")));
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world).expect_warning();
    let kept = fs::read_dir(elsewhere.join("config-backup/spool"))
        .expect("a spool")
        .count();
    assert_eq!((kept, world.state_dir().exists()), (2, false));
}

#[test]
fn a_closed_stdout_does_not_fail_the_deployment() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    fs::write(world.path().join("query.json"), unit.query().to_string()).expect("a query");
    for command in ["context", "deploy"] {
        let mut shell = world.command("sh");
        let script = "{ \"$1\" \"$2\" <query.json; echo $? >&2; } | :";
        let output = shell
            .args(["-c", script, "sh"])
            .arg(test_support::helper_path())
            .arg(command)
            .output()
            .expect("sh");
        assert_eq!(to_text(&output.stderr), "0\n", "{command}");
    }
    assert_eq!(world.usage_records().len(), 1);
}

/// Sets the mode of the state directory or of a folder in it.
fn set_mode(folder: &std::path::Path, mode: u32) {
    fs::create_dir_all(folder).expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn without_any_folder_to_write_to_a_deployment_is_still_logged() {
    let mut world = World::new();
    world.set_variable("XDG_STATE_HOME", Some("/proc"));
    world.set_variable("TMPDIR", Some("/proc"));
    let deployed = CustomerUnit::new(&world).deploy(&world).expect_success();
    deployed.record(&world);
    assert_eq!(
        string_field(&deployed.context, "status"),
        "ok",
        "{deployed:?}"
    );
}

#[test]
fn a_state_directory_that_others_can_write_to_is_closed_and_said_once() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let spool = world.state_dir().join("spool");
    set_mode(&spool, 0o777);
    set_mode(&world.state_dir(), 0o777);
    let deployed = unit.deploy(&world);
    assert!(
        deployed
            .expect_warning()
            .contains("other users could write to `"),
        "{deployed:?}"
    );
    deployed.record(&world);
    for folder in [&world.state_dir(), &spool] {
        let mode = fs::metadata(folder).expect("it").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
    unit.deploy(&world).expect_success();
}

#[test]
fn a_state_directory_that_others_can_replace_is_not_used() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    let open = world.path().join("open");
    set_mode(&open, 0o777);
    world.set_variable("XDG_STATE_HOME", open.to_str());
    world.set_endpoint(&refused_endpoint());
    let said = unit.deploy(&world).expect_warning().to_owned();
    assert!(
        said.contains("cannot use the state directory `") && said.contains("can replace it in `"),
        "{said}"
    );
    assert!(!open.join("config-backup").exists(), "{said}");

    // The fallback has both uploads.
    world.restore_endpoints();
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "2 sent, 0 left\n");
}

#[test]
fn a_queued_file_of_another_user_is_not_sent() {
    let mut world = World::new();
    let unit = CustomerUnit::new(&world);
    world.set_endpoint(&refused_endpoint());
    unit.deploy(&world);
    world.restore_endpoints();
    let item = world.spooled_items().remove(0);
    let path = world.state_dir().join("spool").join(item);
    let chown = world.command("chown").arg("12345").arg(&path).output();
    if !chown.expect("chown").status.success() {
        // Only root can give files away.
        return;
    }
    let replay = world.helper_command(&["replay"]).output().expect("replay");
    assert_eq!(to_text(&replay.stdout), "1 sent, 1 left\n");
    let said = to_text(&replay.stderr);
    assert!(said.contains("it belongs to another user"), "{said}");
}
