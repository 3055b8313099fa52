//! `compact` archives months that have ended. A report is the same before, during and after it.

use std::collections::BTreeSet;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use test_support::faulty_proxy::RequestFate;
use test_support::oracle::unix_time;
use test_support::s3_backend::{
    RECORD_GET_LINE, ReportEntry, S3Backend, expected_csv, on_each_server,
};
use test_support::s3_client::S3TestClient;
use test_support::{BUCKET, World, to_text};

pub(crate) const ARCHIVE: &str = "usage-logs-archive/";

pub(crate) fn run_compact(world: &World, arguments: &[&str]) -> Output {
    world
        .helper_command(&["compact", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("compact")
}

/// Runs `compact`, which must succeed; returns the files that it names and its last line.
pub(crate) fn compact_successfully(world: &World, arguments: &[&str]) -> (String, String) {
    let output = run_compact(world, arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (to_text(&output.stdout), to_text(&output.stderr))
}

/// Ten deployments of each customer on each of three days.
fn entries_of_customers(customers: &[&str]) -> Vec<ReportEntry> {
    let of_customer = |customer: &&str| {
        let customer = (*customer).to_owned();
        (0..30).map(move |number| ReportEntry {
            day: number / 10 + 1,
            ..ReportEntry::new(&customer, number)
        })
    };
    customers.iter().flat_map(of_customer).collect()
}

pub(crate) fn put_entries(backend: &S3Backend, entries: &[ReportEntry]) {
    let objects: Vec<(String, String)> = entries
        .iter()
        .map(|it| (it.key(&it.customer), it.record()))
        .collect();
    backend.put_objects(&objects);
}

on_each_server!(an_archive_saves_requests_and_changes_no_row);
fn an_archive_saves_requests_and_changes_no_row(backend: &mut S3Backend) {
    let entries = entries_of_customers(&["acme", "zeta"]);
    put_entries(backend, &entries);
    let before = backend.report_csv(&["--no-cache"]);
    assert_eq!(before, expected_csv(&entries));
    let (wrote, said) = compact_successfully(&backend.world, &[]);
    let parts = backend.client.list_keys(ARCHIVE);
    assert_eq!(
        wrote.lines().collect::<Vec<_>>(),
        parts
            .iter()
            .map(|key| format!("{key}: 30 records"))
            .collect::<Vec<_>>()
    );
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(
        parts[0].starts_with("usage-logs-archive/acme/2026-03_2026-03_"),
        "{parts:?}"
    );
    assert_eq!(
        said,
        "config-backup: archived 60 records of 2 customers in 2 objects; already archived: 0\n"
    );
    assert_eq!(
        backend.client.list_keys("usage-logs/").len(),
        60,
        "nothing is deleted"
    );
    let proxy = backend.start_proxy(|_| RequestFate::Pass);
    for arguments in [&["--no-cache"][..], &[], &[]] {
        assert_eq!(backend.report_csv(arguments), before, "{arguments:?}");
    }
    assert_eq!(
        proxy.count_requests(RECORD_GET_LINE),
        0,
        "no record is fetched by itself"
    );
    assert_eq!(
        proxy.count_requests("GET /mongodb-arena/usage-logs-archive/"),
        4,
        "no object of the archive is fetched again"
    );
    proxy.finish();
    backend.world.set_s3_endpoint(&backend.endpoint);
    let (wrote, said) = compact_successfully(&backend.world, &[]);
    assert_eq!(
        (wrote.as_str(), backend.client.list_keys(ARCHIVE)),
        ("", parts),
        "{said}"
    );
    assert_eq!(
        said,
        "config-backup: archived 0 records of 0 customers in 0 objects; already archived: 60\n"
    );
}

on_each_server!(
    a_late_record_of_an_archived_month_is_reported_at_once_and_archived_by_the_next_run
);
fn a_late_record_of_an_archived_month_is_reported_at_once_and_archived_by_the_next_run(
    backend: &mut S3Backend,
) {
    let mut entries = entries_of_customers(&["acme"]);
    let late = entries.remove(17);
    put_entries(backend, &entries);
    compact_successfully(&backend.world, &[]);
    assert_eq!(backend.report_csv(&[]), expected_csv(&entries));
    put_entries(backend, std::slice::from_ref(&late));
    entries.push(late);
    let all = expected_csv(&entries);
    assert_eq!(
        [backend.report_csv(&[]), backend.report_csv(&["--no-cache"])],
        [all.clone(), all.clone()]
    );
    let (_, said) = compact_successfully(&backend.world, &[]);
    assert!(
        said.contains("archived 1 record of 1 customer in 1 object; already archived: 29"),
        "{said}"
    );
    assert_eq!(backend.client.list_keys(ARCHIVE).len(), 2);
    assert_eq!(
        [backend.report_csv(&[]), backend.report_csv(&["--no-cache"])],
        [all.clone(), all]
    );
}

on_each_server!(two_runs_at_once_write_the_same_objects);
fn two_runs_at_once_write_the_same_objects(backend: &mut S3Backend) {
    let entries = entries_of_customers(&["acme", "zeta", "Foo Bar"]);
    put_entries(
        backend,
        &entries
            .iter()
            .filter(|it| it.customer != "Foo Bar")
            .cloned()
            .collect::<Vec<_>>(),
    );
    let objects: Vec<_> = entries
        .iter()
        .filter(|it| it.customer == "Foo Bar")
        .map(|it| (it.key("~Foo~20Bar"), it.record()))
        .collect();
    backend.put_objects(&objects);
    let start = || -> Child {
        let mut helper = backend
            .world
            .helper_command(&["compact", "--profile", "default"]);
        helper
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    };
    let both = [start(), start(), start()].map(|child| child.wait_with_output().expect("it ends"));
    assert!(
        both.iter().all(|output| output.status.success()),
        "{both:?}"
    );
    assert_eq!(backend.client.list_keys(ARCHIVE).len(), 3);
    assert_eq!(backend.report_csv(&["--no-cache"]), expected_csv(&entries));
}

#[test]
fn a_report_is_the_same_during_compact_and_after_a_kill_at_any_request() {
    let mut backend = S3Backend::new(test_support::s3_backend::S3ServerKind::Embedded);
    let entries = entries_of_customers(&["acme", "zeta"]);
    put_entries(&backend, &entries);
    let all = expected_csv(&entries);
    let direct = backend.endpoint.clone();
    let mut died = 0;
    for deadly in 1.. {
        let child: Arc<Mutex<Option<Child>>> = Arc::default();
        let (number, victim) = (AtomicUsize::new(0), Arc::clone(&child));
        let proxy = backend.start_proxy(move |_| {
            if number.fetch_add(1, Ordering::SeqCst) + 1 != deadly {
                return RequestFate::Pass;
            }
            let victim = Arc::clone(&victim);
            // The server executes the request, but the answer is lost.
            RequestFate::Instead(Arc::new(move || {
                if let Some(child) = victim.lock().expect("no panic").as_mut() {
                    child.kill().expect("it lives");
                }
            }))
        });
        {
            let mut started = child.lock().expect("no panic");
            let mut helper =
                backend
                    .world
                    .helper_command(&["compact", "--profile", "default", "acme"]);
            *started = Some(
                helper
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("it starts"),
            );
        }
        let ended = loop {
            let ended = child
                .lock()
                .expect("no panic")
                .as_mut()
                .and_then(|child| child.try_wait().expect("a child"));
            match ended {
                Some(ended) => break ended,
                None => std::thread::yield_now(),
            }
        };
        proxy.finish();
        backend.world.set_s3_endpoint(&direct);
        assert_eq!(
            backend.report_csv(&["--no-cache"]),
            all,
            "killed at request {deadly}"
        );
        if ended.success() {
            break;
        }
        died += 1;
    }
    // A page of records, one of the archive, 30 records, the object.
    assert!(died >= 3, "{died}");
    let (_, said) = compact_successfully(&backend.world, &[]);
    assert!(said.contains("already archived: 30"), "{said}");
    assert_eq!(backend.client.list_keys(ARCHIVE).len(), 2);
    assert_eq!(backend.report_csv(&["--no-cache"]), all);
}

#[test]
fn archives_only_months_that_ended_before_the_given_day() {
    let world = World::new();
    let put = |key: &str, at_unix: u64| {
        let record = format!(
            "{{\"user\":\"arn:x:user/a\",\"customer\":\"acme\",\"cluster_name\":\"{key}\"}}\n"
        );
        world
            .server
            .put_at(
                BUCKET,
                &format!("usage-logs/acme/{key}.json"),
                record.as_bytes(),
                &[],
                unix_time(at_unix),
            )
            .expect("put");
    };
    // A legacy key has no time, so the time of the object counts: 2026-01-15T00:00:00Z by `date -u
    // -d`.
    put("d188280766a258ccc135ef480b49230c", 1_768_435_200);
    for key in [
        "2026-01-31_235959",
        "2026-02-01_000000",
        "2026-03-31_235959",
    ] {
        put(key, 1_775_000_000);
    }
    put("2099-01-01_000000", 1_775_000_000);
    let dry = |before: &str| {
        let (wrote, said) = compact_successfully(&world, &["--dry-run", "--before", before]);
        (wrote, said.split(';').next().expect("words").to_owned())
    };
    assert_eq!(
        dry("2026-01-31"),
        (
            String::new(),
            "config-backup: would archive 0 records of 0 customers in 0 objects".to_owned()
        )
    );
    let january = "usage-logs/acme/: 1 record\nusage-logs/acme/: 1 record\n";
    assert_eq!(
        dry("2026-02-01").0,
        january,
        "those with times, and those without"
    );
    assert_eq!(
        dry("2026-03-15").0,
        "usage-logs/acme/: 2 records\nusage-logs/acme/: 1 record\n"
    );
    for before in ["2026-04-01", "2999-01-01"] {
        assert_eq!(
            dry(before).0,
            "usage-logs/acme/: 3 records\nusage-logs/acme/: 1 record\n",
            "the month that goes on stays"
        );
    }
    assert_eq!(
        S3TestClient::new(&world.server.endpoint()).list_keys(ARCHIVE),
        Vec::<String>::new(),
        "a dry run writes nothing"
    );
    let (wrote, _) = compact_successfully(&world, &[]);
    let names: BTreeSet<&str> = wrote
        .lines()
        .filter_map(|line| line.split('/').nth(2)?.rsplit_once('_'))
        .map(|it| it.0)
        .collect();
    assert_eq!(names, BTreeSet::from(["2026-01_2026-03", "undated"]));
    let output = run_compact(&world, &["--before", "yesterday"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        to_text(&output.stderr),
        "config-backup: cannot read `--before yesterday`; use a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339 (2026-10-01T08:00:00Z)\n"
    );
}

#[test]
fn names_objects_that_are_not_records_and_leaves_them() {
    let world = World::new();
    let put = |key: &str, body: &str| {
        world
            .server
            .put(BUCKET, key, body.as_bytes(), &[])
            .expect("put");
    };
    put(
        "usage-logs/acme/2026-03-02_080000.json",
        "{\"user\":\"arn:x:user/a\"}\n",
    );
    put("usage-logs/acme/2026-03-02_080001.json", "{");
    put(
        "usage-logs/acme/2026-03-02_080002.json",
        &" ".repeat((1 << 20) + 1),
    );
    put("usage-logs/acme/notes.txt", "no record");
    let (wrote, said) = compact_successfully(&world, &[]);
    assert!(wrote.ends_with(".parquet: 1 record\n"), "{wrote}");
    assert_eq!(
        said,
        "config-backup: skipped `usage-logs/acme/2026-03-02_080001.json`: not valid JSON at line 1, column 1\n\
         config-backup: skipped `usage-logs/acme/2026-03-02_080002.json`: 1048577 bytes, the limit is 1048576\n\
         config-backup: archived 1 record of 1 customer in 1 object; already archived: 0\n"
    );
}
