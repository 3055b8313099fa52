//! `report` and what it keeps of records on this machine: fetched once, never believed blindly, never in the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use test_support::faulty_proxy::{Fate, Relay};
use test_support::oracle::{at, unix_now};
use test_support::{BUCKET, World, helper, text};

const DAY: u64 = 86_400;

fn seed(world: &World, key: &str, cluster: &str, unix: u64) {
    let record = format!(
        "{{\"timestamp\":\"2026-03-02T08:00:00Z\",\"customer\":\"\",\"user\":\"arn:x:user/alice\",\"additional_users_count\":1,\
         \"project_name\":\"p\",\"cluster_name\":\"{cluster}\"}}\n"
    );
    world.server.put_at(BUCKET, key, record.as_bytes(), &[], at(unix)).expect("a record");
}

/// Runs `report`, which must end with 0; gives stdout, stderr, and how many GETs and LISTs it took.
fn report(world: &World, arguments: &[&str]) -> (String, String, usize, usize) {
    let before = (world.count("GetObject", ""), world.count("ListObjectsV2", ""));
    let output = world.helper(&["report", "--profile", "default"]).args(arguments).output().expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (gets, lists) = (world.count("GetObject", "") - before.0, world.count("ListObjectsV2", "") - before.1);
    (text(&output.stdout), text(&output.stderr), gets, lists)
}

fn folder(world: &World) -> PathBuf {
    world.home().join(".cache/config-backup")
}

/// The one database.
fn file(world: &World) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(world)).expect("a cache").map(|entry| entry.expect("it").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Runs SQL on the cache, by python3's own SQLite.
fn sql(world: &World, statement: &str) {
    let script = "import sqlite3,sys; db = sqlite3.connect(sys.argv[1]); print(db.execute(sys.argv[2]).rowcount); db.commit()";
    let output = Command::new("python3").args(["-c", script]).arg(file(world)).arg(statement).output().expect("python3");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_ne!(text(&output.stdout).trim(), "0", "{statement} met nothing");
}

fn world_with(number: u64) -> World {
    let world = World::new();
    for record in 0..number {
        seed(
            &world,
            &format!("usage-logs/acme/2026-03-02_08{:02}{:02}.json", record / 60, record % 60),
            &format!("c{record}"),
            1000 + record,
        );
    }
    world
}

#[test]
fn a_record_is_fetched_once_and_a_second_report_only_lists() {
    let world = world_with(5);
    let first = report(&world, &["--all"]);
    assert_eq!((first.2, first.3), (5, 2), "one for the archive that there is not");
    let second = report(&world, &["--all"]);
    assert_eq!((second.0, second.1, second.2, second.3), (first.0, String::new(), 0, 2));
    seed(&world, "usage-logs/zeta/2026-03-02_080000.json", "new", 5000);
    let third = report(&world, &["--all"]);
    assert!(third.0.contains(",new,") && third.2 == 1, "{third:?}");
}

#[test]
fn only_its_owner_can_read_it() {
    let world = world_with(1);
    report(&world, &[]);
    assert_eq!(fs::metadata(file(&world)).expect("it").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(folder(&world)).expect("it").permissions().mode() & 0o777, 0o700);
    fs::set_permissions(file(&world), fs::Permissions::from_mode(0o644)).expect("changed");
    report(&world, &[]);
    assert_eq!(fs::metadata(file(&world)).expect("it").permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_object_that_was_overwritten_or_deleted_is_not_taken_from_the_cache() {
    let world = world_with(2);
    let earlier = "usage-logs/acme/d188280766a258ccc135ef480b49230c.json";
    seed(&world, earlier, "before", 2000);
    assert!(report(&world, &["--all"]).0.contains(",before,"));
    // The earlier module writes over its object: same name and size, another time.
    seed(&world, earlier, "behind", 3000);
    let (csv, _, gets, _) = report(&world, &["--all"]);
    assert!(csv.contains(",behind,") && !csv.contains(",before,") && gets == 1, "{csv}");
    let data = world.path().join("s3");
    let found = Command::new("find").arg(&data).args(["-name", "2026-03-02_080001.json*", "-delete", "-print"]).output().expect("find");
    assert!(!found.stdout.is_empty(), "the object's file is gone");
}

#[test]
fn without_a_cache_nothing_is_kept_and_refresh_fetches_anew() {
    let world = world_with(3);
    assert_eq!(report(&world, &["--no-cache"]).2, 3);
    assert!(!folder(&world).exists());
    report(&world, &[]);
    assert_eq!(report(&world, &["--no-cache"]).2, 3);
    assert_eq!(report(&world, &["--refresh"]).2, 3);
    assert_eq!(report(&world, &[]).2, 0);
}

#[test]
fn a_cache_that_is_damaged_is_dropped_with_a_line_and_the_report_is_right() {
    let world = world_with(20);
    let right = report(&world, &["--all"]).0;
    let whole = fs::read(file(&world)).expect("bytes");
    let mut scrambled = whole.clone();
    scrambled[whole.len() / 2..].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(7).wrapping_add(3));
    for damaged in [b"this is no database, but a text that is long enough".to_vec(), whole[..whole.len() / 2].to_vec(), scrambled] {
        fs::write(file(&world), &damaged).expect("damaged");
        let (csv, messages, gets, _) = report(&world, &["--all"]);
        assert_eq!(csv, right);
        assert!(messages.lines().count() == 1 && messages.contains("cache"), "{messages}");
        assert_eq!(gets, 20);
        let again = report(&world, &["--all"]);
        assert_eq!((again.0.as_str(), again.1.as_str()), (right.as_str(), ""), "a new one was made");
    }
}

#[test]
fn a_cache_that_cannot_grow_is_dropped_with_a_line_and_the_report_is_right() {
    let world = world_with(200);
    let right = report(&world, &["--all", "--no-cache"]).0;
    // A file that may not grow beyond 32 KiB stands for a disk that is full.
    let script = "trap '' XFSZ; ulimit -f 64; LLVM_PROFILE_FILE=/dev/null exec \"$1\" report --profile default --all";
    let output = world.command("sh").args(["-c", script, "sh"]).arg(helper()).output().expect("report");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), right.clone()), "{}", text(&output.stderr));
    let messages = text(&output.stderr);
    assert!(messages.lines().count() == 1 && messages.contains("cache") && messages.contains("complete without it"), "{messages}");
    assert_eq!(report(&world, &["--all"]).0, right);
}

#[test]
fn what_came_before_a_failure_is_not_fetched_again() {
    let mut world = world_with(5);
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let relay = Relay::start(&world.server.endpoint(), move |line| {
        if line.contains("_080004.json") && switch.load(Ordering::SeqCst) {
            Fate::Answer("500 Internal Server Error", "<Error><Code>InternalError</Code><Message>later</Message></Error>")
        } else {
            Fate::Pass
        }
    });
    world.set_endpoint(&relay.endpoint());
    assert_eq!(world.helper(&["report", "--profile", "default"]).output().expect("report").status.code(), Some(1));
    broken.store(false, Ordering::SeqCst);
    let (csv, _, gets, _) = report(&world, &["--all"]);
    assert_eq!((csv.lines().count(), gets), (6, 1));
}

#[test]
fn a_value_that_was_changed_is_noticed() {
    let world = world_with(3);
    let right = report(&world, &["--all"]).0;
    sql(&world, "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'c1', 'cX') AS BLOB) WHERE key LIKE '%01.json'");
    let (csv, messages, ..) = report(&world, &["--all"]);
    assert_eq!(csv, right);
    assert!(messages.contains("not as it was written"), "{messages}");
}

#[test]
fn a_place_that_cannot_be_used_is_told_and_the_report_goes_on() {
    let world = world_with(3);
    fs::create_dir_all(world.home().join(".cache")).expect("a folder");
    fs::write(folder(&world), "a file is in the way").expect("written");
    let (csv, messages, gets, _) = report(&world, &[]);
    assert_eq!((csv.lines().count(), gets), (2, 3));
    assert!(messages.lines().count() == 1 && messages.contains("complete without it"), "{messages}");
}

#[test]
fn a_link_in_the_place_of_the_cache_is_not_followed() {
    let world = world_with(1);
    report(&world, &[]);
    let (cache, victim) = (file(&world), world.home().join("victim"));
    fs::rename(&cache, &victim).expect("moved");
    std::os::unix::fs::symlink(&victim, &cache).expect("a link");
    let before = fs::read(&victim).expect("bytes");
    let (_, messages, ..) = report(&world, &["--all"]);
    assert!(messages.contains("no regular file"), "{messages}");
    assert_eq!(fs::read(&victim).expect("bytes"), before);
}

#[test]
fn reports_at_the_same_time_share_it() {
    let world = world_with(60);
    let right = report(&world, &["--no-cache", "--all"]).0;
    let start = || {
        world
            .helper(&["report", "--profile", "default", "--all"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
    };
    for _ in 0..3 {
        let running: Vec<_> = (0..8).map(|_| start().expect("it starts")).collect();
        for one in running {
            let output = one.wait_with_output().expect("it ends");
            assert_eq!((text(&output.stdout), text(&output.stderr)), (right.clone(), String::new()));
        }
        assert_eq!(report(&world, &["--all"]).2, 0);
        fs::remove_file(file(&world)).expect("gone");
    }
}

#[test]
fn buckets_and_places_do_not_share_one() {
    let mut world = world_with(1);
    report(&world, &[]);
    let other = World::new();
    world.set_endpoint(&other.server.endpoint());
    let output = world.helper(&["report", "--profile", "default"]).output().expect("report");
    assert_eq!(text(&output.stdout).lines().count(), 1, "the other bucket is empty");
}

#[test]
fn old_records_of_a_customer_that_has_many_are_not_even_listed_and_late_ones_are_found() {
    let world = World::new();
    let now = unix_now();
    let key = |unix: u64| {
        let time = test_support::oracle::rfc3339(unix);
        format!("usage-logs/acme/{}.json", test_support::oracle::stamp(&time))
    };
    for record in 0..3200 {
        seed(&world, &key(now - 100 * DAY + record), &format!("c{record}"), now - 100 * DAY + record);
    }
    seed(&world, &key(now - 50), "recent", now - 50);
    let first = report(&world, &["--all"]);
    assert_eq!((first.2, first.3), (3201, 4 + 1));
    // One that was on its way for a month, one of now, and one of another customer.
    seed(&world, &key(now - 30 * DAY), "late", now);
    seed(&world, &key(now - 10), "new", now);
    seed(&world, "usage-logs/zeta/2026-03-02_080000.json", "zeta", now);
    seed(&world, "usage-logs/acme/0188280766a258ccc135ef480b49230c.json", "earlier", now);
    let second = report(&world, &["--all"]);
    assert_eq!(second.2, 4, "only what is new is fetched");
    assert!(["late", "new", "zeta", "earlier", "c0", "c3199", "recent"].iter().all(|it| second.0.contains(&format!(",{it},"))));
    assert_eq!(second.0, report(&world, &["--all", "--no-cache"]).0);
    let listed: Vec<String> = world.server.requests().into_iter().filter(|it| it.operation == "ListObjectsV2").map(|it| it.query).collect();
    assert!(listed.iter().any(|query| query.contains("start-after")), "{listed:?}");
    // What is deleted beyond the look-back is noticed a week later, or at once with --refresh.
    assert_eq!(report(&world, &["--all", "--refresh"]).2, 3205);
}
