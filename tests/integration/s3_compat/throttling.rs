//! `report` on each server during throttling, and on a bucket in another region, which only the
//! embedded server has.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::s3_backend::{
    LIST_LINE, RECORD_GET_LINE, ReportEntry, S3Backend, S3ServerKind, expected_csv, on_each_server,
};
use test_support::{BUCKET, World, to_text};

on_each_server!(loses_no_record_to_temporary_throttling);

fn slow_down() -> RequestFate {
    RequestFate::Answer(
        "503 Slow Down",
        "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
    )
}

/// Writes `count` records.
fn put_entries(backend: &S3Backend, count: u64) -> Vec<ReportEntry> {
    let entries: Vec<ReportEntry> = (0..count)
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    backend.put_objects(
        &entries
            .iter()
            .map(|entry| (entry.key("acme"), entry.record()))
            .collect::<Vec<_>>(),
    );
    entries
}

fn loses_no_record_to_temporary_throttling(backend: &mut S3Backend) {
    let entries = put_entries(backend, 60);
    let (lists, of_archive, gets) = (
        AtomicUsize::new(2),
        AtomicUsize::new(2),
        AtomicUsize::new(40),
    );
    let less = |left: &AtomicUsize| {
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
    };
    let proxy = backend.start_proxy(move |line| {
        let lists = if line.contains("usage-logs-archive") {
            &of_archive
        } else {
            &lists
        };
        let busy = line.starts_with(LIST_LINE) && less(lists)
            || line.starts_with(RECORD_GET_LINE) && less(&gets);
        if busy { slow_down() } else { RequestFate::Pass }
    });
    assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
    assert_eq!(
        (
            proxy.count_requests(LIST_LINE),
            proxy.count_requests(RECORD_GET_LINE)
        ),
        (3 + 3, 100),
        "each refusal costs one request more"
    );
    assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
    assert_eq!(
        proxy.count_requests(RECORD_GET_LINE),
        100,
        "all are in the cache"
    );
}

#[test]
fn reports_a_throttling_server_in_one_line_on_each_server() {
    // In parallel, because each report waits longer and longer.
    let backends = [
        S3ServerKind::Embedded,
        S3ServerKind::Versitygw,
        S3ServerKind::Moto,
    ]
    .map(S3Backend::new);
    let runs = backends.map(|mut backend| {
        put_entries(&backend, 1);
        let proxy = backend.start_proxy(|line| {
            if line.starts_with(RECORD_GET_LINE) {
                slow_down()
            } else {
                RequestFate::Pass
            }
        });
        let report = start_report(&backend.world);
        (backend, proxy, report)
    });
    for (backend, proxy, report) in runs {
        let output = report.wait_with_output().expect("it ends");
        let messages = to_text(&output.stderr);
        assert_eq!(
            (output.status.code(), to_text(&output.stdout).as_str()),
            (Some(1), ""),
            "{:?}: {messages}",
            backend.kind
        );
        assert!(
            messages.starts_with("config-backup: cannot get `s3://mongodb-arena/usage-logs/acme/"),
            "{messages}"
        );
        assert!(
            messages.lines().count() == 1 && messages.contains("503, SlowDown"),
            "{messages}"
        );
        assert!(
            proxy.count_requests(RECORD_GET_LINE) > 1,
            "it was tried again"
        );
    }
}

fn start_report(world: &World) -> Child {
    let mut command = world.helper_command(&["report", "--profile", "default"]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("report")
}

#[test]
fn a_bucket_in_another_region_is_listed_and_fetched_there_after_one_redirect() {
    let mut world = World::with_bucket_in("eu-central-1");
    for number in 0..1200 {
        let entry = ReportEntry::new("acme", number);
        world
            .server
            .put(BUCKET, &entry.key("acme"), entry.record().as_bytes(), &[])
            .expect("a record");
    }
    let proxy = FaultyProxy::start(&world.server.endpoint(), |_| RequestFate::Pass);
    world.set_s3_endpoint(&proxy.endpoint());
    let report = start_report(&world).wait_with_output().expect("it ends");
    assert_eq!(
        (report.status.code(), to_text(&report.stderr).as_str()),
        (Some(0), "")
    );
    assert!(
        to_text(&report.stdout)
            == expected_csv(
                &(0..1200)
                    .map(|number| ReportEntry::new("acme", number))
                    .collect::<Vec<_>>()
            )
    );
    let requests = world.server.requests();
    assert_eq!(requests.iter().filter(|it| it.status == 301).count(), 1);
    assert!(
        requests
            .iter()
            .filter(|it| it.status < 300)
            .all(|it| it.region == "eu-central-1")
    );
    assert_eq!(
        (
            proxy.count_requests(LIST_LINE),
            proxy.count_requests(RECORD_GET_LINE)
        ),
        (4, 1200),
        "two pages, and that of the archive asked for twice"
    );
}
