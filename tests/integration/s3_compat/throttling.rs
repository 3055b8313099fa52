//! `report` on each server when the server has too much to do; and a bucket in another region, of which only the embedded one has any.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::faulty_proxy::{Fate, Relay};
use test_support::s3_backend::{Entry, GETS, Kind, LISTS, Site, csv_of, on_each_server};
use test_support::{BUCKET, World, text};

on_each_server!(a_server_that_is_too_busy_at_first_costs_no_record);

fn slow_down() -> Fate {
    Fate::Answer("503 Slow Down", "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
}

/// Gives a site some records.
fn filled(site: &Site, count: u64) -> Vec<Entry> {
    let entries: Vec<Entry> = (0..count).map(|number| Entry::new("acme", number)).collect();
    site.fill(&entries.iter().map(|entry| (entry.key("acme"), entry.record())).collect::<Vec<_>>());
    entries
}

fn a_server_that_is_too_busy_at_first_costs_no_record(site: &mut Site) {
    let entries = filled(site, 60);
    let (lists, of_archive, gets) = (AtomicUsize::new(2), AtomicUsize::new(2), AtomicUsize::new(40));
    let less = |left: &AtomicUsize| left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let relay = site.relay(move |line| {
        let lists = if line.contains("usage-logs-archive") { &of_archive } else { &lists };
        let busy = line.starts_with(LISTS) && less(lists) || line.starts_with(GETS) && less(&gets);
        if busy { slow_down() } else { Fate::Pass }
    });
    assert_eq!(site.csv(&["--strict"]), csv_of(&entries));
    assert_eq!((relay.count(LISTS), relay.count(GETS)), (3 + 3, 100), "each refusal costs one request more");
    assert_eq!(site.csv(&["--strict"]), csv_of(&entries));
    assert_eq!(relay.count(GETS), 100, "all are in the cache");
}

#[test]
fn a_server_that_is_always_too_busy_is_told_in_one_line_on_each_server() {
    // At the same time: they wait, longer each time.
    let sites = [Kind::Embedded, Kind::Versitygw, Kind::Moto].map(Site::new);
    let runs = sites.map(|mut site| {
        filled(&site, 1);
        let relay = site.relay(|line| if line.starts_with(GETS) { slow_down() } else { Fate::Pass });
        let report = start(&site.world);
        (site, relay, report)
    });
    for (site, relay, report) in runs {
        let output = report.wait_with_output().expect("it ends");
        let messages = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{:?}: {messages}", site.kind);
        assert!(messages.starts_with("config-backup: get `s3://mongodb-arena/usage-logs/acme/"), "{messages}");
        assert!(messages.lines().count() == 1 && messages.contains("503, SlowDown"), "{messages}");
        assert!(relay.count(GETS) > 1, "it was tried again");
    }
}

fn start(world: &World) -> Child {
    let mut command = world.helper(&["report", "--profile", "default"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("report")
}

#[test]
fn a_bucket_in_another_region_is_listed_and_fetched_there_after_one_redirect() {
    let mut world = World::with_bucket_in("eu-central-1");
    for number in 0..1200 {
        let entry = Entry::new("acme", number);
        world.server.put(BUCKET, &entry.key("acme"), entry.record().as_bytes(), &[]).expect("a record");
    }
    let relay = Relay::start(&world.server.endpoint(), |_| Fate::Pass);
    world.set_s3_endpoint(&relay.endpoint());
    let report = start(&world).wait_with_output().expect("it ends");
    assert_eq!((report.status.code(), text(&report.stderr).as_str()), (Some(0), ""));
    assert!(text(&report.stdout) == csv_of(&(0..1200).map(|number| Entry::new("acme", number)).collect::<Vec<_>>()));
    let requests = world.server.requests();
    assert_eq!(requests.iter().filter(|it| it.status == 301).count(), 1);
    assert!(requests.iter().filter(|it| it.status < 300).all(|it| it.region == "eu-central-1"));
    assert_eq!((relay.count(LISTS), relay.count(GETS)), (4, 1200), "two pages, and that of the archive asked for twice");
}
