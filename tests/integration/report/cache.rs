//! The cache of `report` on this machine: each record is fetched once, checked, and never required.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{python_path, unix_now, unix_time};
use test_support::{BUCKET, World, helper_path, to_text};

const DAY: u64 = 86_400;

fn put_record(world: &World, key: &str, cluster: &str, unix: u64) {
    let record = format!(
        "{{\"timestamp\":\"2026-03-02T08:00:00Z\",\"customer\":\"\",\"user\":\"arn:x:user/alice\",\"additional_users_count\":1,\
         \"project_name\":\"p\",\"cluster_name\":\"{cluster}\"}}\n"
    );
    world
        .server
        .put_at(BUCKET, key, record.as_bytes(), &[], unix_time(unix))
        .expect("a record");
}

/// Runs `report`, which must exit 0; returns stdout, stderr, and the numbers of GETs and LISTs.
fn run_report(world: &World, arguments: &[&str]) -> (String, String, usize, usize) {
    let before = (
        world.count_requests("GetObject", ""),
        world.count_requests("ListObjectsV2", ""),
    );
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (gets, lists) = (
        world.count_requests("GetObject", "") - before.0,
        world.count_requests("ListObjectsV2", "") - before.1,
    );
    (
        to_text(&output.stdout),
        to_text(&output.stderr),
        gets,
        lists,
    )
}

fn cache_dir(world: &World) -> PathBuf {
    world.home().join(".cache/config-backup")
}

fn cache_file(world: &World) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(cache_dir(world))
        .expect("a cache")
        .map(|entry| entry.expect("it").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Runs SQL on the cache with the SQLite of python3.
fn run_sql(world: &World, statement: &str) {
    let script = "import sqlite3,sys; db = sqlite3.connect(sys.argv[1]); print(db.execute(sys.argv[2]).rowcount); db.commit()";
    let output = Command::new(python_path())
        .args(["-c", script])
        .arg(cache_file(world))
        .arg(statement)
        .output()
        .expect("python3");
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    assert_ne!(
        to_text(&output.stdout).trim(),
        "0",
        "{statement} met nothing"
    );
}

fn world_with_records(number: u64) -> World {
    let world = World::new();
    for record in 0..number {
        put_record(
            &world,
            &format!(
                "usage-logs/acme/2026-03-02_08{:02}{:02}.json",
                record / 60,
                record % 60
            ),
            &format!("c{record}"),
            1000 + record,
        );
    }
    world
}

#[test]
fn a_record_is_fetched_once_and_a_second_report_only_lists() {
    let world = world_with_records(5);
    let first = run_report(&world, &["--all"]);
    assert_eq!(
        (first.2, first.3),
        (5, 2),
        "one for the archive that there is not"
    );
    let second = run_report(&world, &["--all"]);
    assert_eq!(
        (second.0, second.1, second.2, second.3),
        (first.0, String::new(), 0, 2)
    );
    put_record(
        &world,
        "usage-logs/zeta/2026-03-02_080000.json",
        "new",
        5000,
    );
    let third = run_report(&world, &["--all"]);
    assert!(third.0.contains(",new,") && third.2 == 1, "{third:?}");
}

#[test]
fn only_its_owner_can_read_it() {
    let world = world_with_records(1);
    run_report(&world, &[]);
    assert_eq!(
        fs::metadata(cache_file(&world))
            .expect("it")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(cache_dir(&world))
            .expect("it")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    fs::set_permissions(cache_file(&world), fs::Permissions::from_mode(0o644)).expect("changed");
    run_report(&world, &[]);
    assert_eq!(
        fs::metadata(cache_file(&world))
            .expect("it")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn an_object_that_was_overwritten_or_deleted_is_not_taken_from_the_cache() {
    let world = world_with_records(2);
    let earlier = "usage-logs/acme/d188280766a258ccc135ef480b49230c.json";
    put_record(&world, earlier, "before", 2000);
    assert!(run_report(&world, &["--all"]).0.contains(",before,"));
    // The legacy module overwrites its object: same name and size, another time.
    put_record(&world, earlier, "behind", 3000);
    let (csv, _, gets, _) = run_report(&world, &["--all"]);
    assert!(
        csv.contains(",behind,") && !csv.contains(",before,") && gets == 1,
        "{csv}"
    );
    let data = world.path().join("s3");
    let found = Command::new("find")
        .arg(&data)
        .args(["-name", "2026-03-02_080001.json*", "-delete", "-print"])
        .output()
        .expect("find");
    assert!(!found.stdout.is_empty(), "the object's file is gone");
}

#[test]
fn no_cache_stores_nothing_and_refresh_fetches_again() {
    let world = world_with_records(3);
    assert_eq!(run_report(&world, &["--no-cache"]).2, 3);
    assert!(!cache_dir(&world).exists());
    run_report(&world, &[]);
    assert_eq!(run_report(&world, &["--no-cache"]).2, 3);
    assert_eq!(run_report(&world, &["--refresh"]).2, 3);
    assert_eq!(run_report(&world, &[]).2, 0);
}

#[test]
fn drops_a_damaged_cache_with_a_message_and_reports_correctly() {
    let world = world_with_records(20);
    let right = run_report(&world, &["--all"]).0;
    let whole = fs::read(cache_file(&world)).expect("bytes");
    let mut scrambled = whole.clone();
    scrambled[whole.len() / 2..]
        .iter_mut()
        .for_each(|byte| *byte = byte.wrapping_mul(7).wrapping_add(3));
    for damaged in [
        b"this is no database, but a text that is long enough".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        scrambled,
    ] {
        fs::write(cache_file(&world), &damaged).expect("damaged");
        let (csv, messages, gets, _) = run_report(&world, &["--all"]);
        assert_eq!(csv, right);
        assert!(
            messages.lines().count() == 1 && messages.contains("cache"),
            "{messages}"
        );
        assert_eq!(gets, 20);
        let again = run_report(&world, &["--all"]);
        assert_eq!(
            (again.0.as_str(), again.1.as_str()),
            (right.as_str(), ""),
            "a new one was made"
        );
    }
}

#[test]
fn drops_a_full_cache_with_a_message_and_reports_correctly() {
    let world = world_with_records(200);
    let right = run_report(&world, &["--all", "--no-cache"]).0;
    // A file limit of 32 KiB simulates a full disk.
    let script = "trap '' XFSZ; ulimit -f 64; LLVM_PROFILE_FILE=/dev/null exec \"$1\" report --profile default --all";
    let output = world
        .command("sh")
        .args(["-c", script, "sh"])
        .arg(helper_path())
        .output()
        .expect("report");
    assert_eq!(
        (output.status.code(), to_text(&output.stdout)),
        (Some(0), right.clone()),
        "{}",
        to_text(&output.stderr)
    );
    let messages = to_text(&output.stderr);
    assert!(
        messages.lines().count() == 1
            && messages.contains("cache")
            && messages.contains("complete without it"),
        "{messages}"
    );
    assert_eq!(run_report(&world, &["--all"]).0, right);
}

#[test]
fn does_not_fetch_again_what_came_before_a_failure() {
    let mut world = world_with_records(5);
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let proxy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.contains("_080004.json") && switch.load(Ordering::SeqCst) {
            RequestFate::Answer(
                "500 Internal Server Error",
                "<Error><Code>InternalError</Code><Message>later</Message></Error>",
            )
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&proxy.endpoint());
    let report = world
        .helper_command(&["report", "--strict", "--profile", "default"])
        .output()
        .expect("report");
    assert_eq!(report.status.code(), Some(7));
    let messages = to_text(&report.stderr);
    assert!(messages.contains("HTTP 500, InternalError"), "{messages}");
    broken.store(false, Ordering::SeqCst);
    let (csv, _, gets, _) = run_report(&world, &["--all"]);
    assert_eq!((csv.lines().count(), gets), (6, 1));
}

#[test]
fn detects_a_changed_value_in_the_cache() {
    let world = world_with_records(3);
    let right = run_report(&world, &["--all"]).0;
    run_sql(
        &world,
        "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'c1', 'cX') AS BLOB) WHERE key LIKE '%01.json'",
    );
    let (csv, messages, ..) = run_report(&world, &["--all"]);
    assert_eq!(csv, right);
    assert!(messages.contains("does not match its digest"), "{messages}");
}

#[test]
fn reports_without_an_unusable_cache_directory() {
    let world = world_with_records(3);
    fs::create_dir_all(world.home().join(".cache")).expect("a folder");
    fs::write(cache_dir(&world), "a file is in the way").expect("written");
    let (csv, messages, gets, _) = run_report(&world, &[]);
    assert_eq!((csv.lines().count(), gets), (2, 3));
    assert!(
        messages.lines().count() == 1 && messages.contains("complete without it"),
        "{messages}"
    );
}

#[test]
fn does_not_follow_a_link_in_place_of_the_cache() {
    let world = world_with_records(1);
    run_report(&world, &[]);
    let (cache, victim) = (cache_file(&world), world.home().join("victim"));
    fs::rename(&cache, &victim).expect("moved");
    std::os::unix::fs::symlink(&victim, &cache).expect("a link");
    let before = fs::read(&victim).expect("bytes");
    let (_, messages, ..) = run_report(&world, &["--all"]);
    assert!(messages.contains("not a regular file"), "{messages}");
    assert_eq!(fs::read(&victim).expect("bytes"), before);
}

#[test]
fn reports_at_the_same_time_share_the_cache() {
    let world = world_with_records(60);
    let right = run_report(&world, &["--no-cache", "--all"]).0;
    let start = || {
        world
            .helper_command(&["report", "--profile", "default", "--all"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
    };
    for _ in 0..3 {
        let running: Vec<_> = (0..8).map(|_| start().expect("it starts")).collect();
        for one in running {
            let output = one.wait_with_output().expect("it ends");
            assert_eq!(
                (to_text(&output.stdout), to_text(&output.stderr)),
                (right.clone(), String::new())
            );
        }
        assert_eq!(run_report(&world, &["--all"]).2, 0);
        fs::remove_file(cache_file(&world)).expect("gone");
    }
}

#[test]
fn each_bucket_and_endpoint_has_its_own_cache() {
    let mut world = world_with_records(1);
    run_report(&world, &[]);
    let other = World::new();
    world.set_endpoint(&other.server.endpoint());
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .output()
        .expect("report");
    assert_eq!(
        to_text(&output.stdout).lines().count(),
        1,
        "the other bucket is empty"
    );
}

#[test]
fn does_not_list_old_records_again_and_finds_late_ones() {
    let world = World::new();
    let now = unix_now();
    let key = |unix: u64| {
        let time = test_support::oracle::format_rfc3339(unix);
        format!(
            "usage-logs/acme/{}.json",
            test_support::oracle::key_timestamp(&time)
        )
    };
    for record in 0..3200 {
        put_record(
            &world,
            &key(now - 100 * DAY + record),
            &format!("c{record}"),
            now - 100 * DAY + record,
        );
    }
    put_record(&world, &key(now - 50), "recent", now - 50);
    let first = run_report(&world, &["--all"]);
    assert_eq!((first.2, first.3), (3201, 4 + 1));
    // A record that arrives a month late, a new one, and one of another customer.
    put_record(&world, &key(now - 30 * DAY), "late", now);
    put_record(&world, &key(now - 10), "new", now);
    put_record(
        &world,
        "usage-logs/zeta/2026-03-02_080000.json",
        "zeta",
        now,
    );
    put_record(
        &world,
        "usage-logs/acme/0188280766a258ccc135ef480b49230c.json",
        "earlier",
        now,
    );
    let second = run_report(&world, &["--all"]);
    assert_eq!(second.2, 4, "only what is new is fetched");
    assert!(
        ["late", "new", "zeta", "earlier", "c0", "c3199", "recent"]
            .iter()
            .all(|it| second.0.contains(&format!(",{it},")))
    );
    assert_eq!(second.0, run_report(&world, &["--all", "--no-cache"]).0);
    let listed: Vec<String> = world
        .server
        .requests()
        .into_iter()
        .filter(|it| it.operation == "ListObjectsV2")
        .map(|it| it.query)
        .collect();
    assert!(
        listed.iter().any(|query| query.contains("start-after")),
        "{listed:?}"
    );
    // A deletion beyond the look-back period is noticed a week later, or at once with --refresh.
    assert_eq!(run_report(&world, &["--all", "--refresh"]).2, 3205);
}
