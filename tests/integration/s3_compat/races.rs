//! `report` on each server while other processes write, overwrite and delete.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use test_support::faulty_proxy::RequestFate;
use test_support::oracle::{format_rfc3339, key_timestamp, unix_now};
use test_support::s3_backend::{
    RECORD_GET_LINE, ReportEntry, S3Backend, S3ServerKind, expected_csv, on_each_server,
};

on_each_server!(
    a_report_during_writes_has_all_earlier_records,
    skips_a_record_deleted_between_list_and_get,
    a_record_overwritten_between_list_and_get_is_used_in_its_new_form,
);

/// Legacy records that are overwritten continuously.
const OVERWRITTEN: u64 = 5;

fn a_report_during_writes_has_all_earlier_records(backend: &mut S3Backend) {
    // Two pages, on the server where that is cheap.
    let early: Vec<ReportEntry> = (0..if backend.kind == S3ServerKind::Embedded {
        1010
    } else {
        300
    })
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    backend.put_objects(
        &early
            .iter()
            .map(|entry| (entry.key("acme"), entry.record()))
            .collect::<Vec<_>>(),
    );
    let today = key_timestamp(&format_rfc3339(unix_now()));
    // The expected objects by key.
    let written = Mutex::new(
        early
            .iter()
            .map(|entry| (entry.key("acme"), entry.clone()))
            .collect::<BTreeMap<_, _>>(),
    );
    let known = || {
        written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let over = AtomicBool::new(false);
    let backend = &*backend;

    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 2000.. {
                let (key, entry) = if number % 2 == 0 {
                    let overwritten = number / 2 % OVERWRITTEN;
                    // Each write has another size, because versitygw writes tag and content one
                    // after the other.
                    let user = format!("overwritten{overwritten}");
                    (
                        format!("usage-logs/zeta/{overwritten:032x}.json"),
                        ReportEntry {
                            user,
                            ..ReportEntry::new("zeta", number)
                        },
                    )
                } else {
                    (
                        format!("usage-logs/acme/{today}-{number:08x}.json"),
                        ReportEntry::new("acme", number),
                    )
                };
                backend.client.put(&key, &entry.record());
                written.lock().expect("no panic").insert(key, entry);
                if over.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let end = StopOnDrop(&over);
        for arguments in [&[][..], &["acme"], &[], &["acme"], &[]] {
            let before = known();
            let csv = backend.report_csv(arguments);
            let reported: BTreeMap<&str, u64> = csv.lines().skip(1).map(row_cells).collect();
            for entry in before
                .values()
                .filter(|entry| arguments != ["acme"] || entry.customer == "acme")
            {
                let count = reported.get(entry.user.as_str()).copied();
                // An overwritten record may be newer by now.
                assert!(
                    count == Some(entry.count)
                        || entry.customer == "zeta" && count > Some(entry.count),
                    "{entry:?}: {count:?}"
                );
            }
        }
        drop(end);
    });

    let all = known();
    assert!(all.len() > early.len() + 1, "nothing was written");
    assert!(
        backend.report_csv(&[]) == expected_csv(all.values()),
        "the cache kept an outdated record"
    );
    assert!(
        backend.report_csv(&["--no-cache"]) == expected_csv(all.values()),
        "not every record once"
    );
    for customer in ["acme", "zeta"] {
        assert!(
            backend.report_csv(&[customer])
                == expected_csv(all.values().filter(|entry| entry.customer == customer)),
            "{customer}"
        );
    }
}

/// Stops the writers, also after a failed assertion.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// User and count of a row.
fn row_cells(row: &str) -> (&str, u64) {
    let cells: Vec<&str> = row.split(',').collect();
    (cells[2], cells[3].parse().expect("a number"))
}

fn skips_a_record_deleted_between_list_and_get(backend: &mut S3Backend) {
    let mut entries: Vec<ReportEntry> = (0..20)
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    for entry in &entries {
        backend.client.put(&entry.key("acme"), &entry.record());
    }
    let victims =
        [entries.remove(19), entries.remove(7), entries.remove(0)].map(|entry| entry.key("acme"));
    let client = backend.client.clone();
    let goes = victims.clone();
    let proxy = backend.start_proxy(move |line| {
        goes.iter()
            .filter(|key| line.starts_with(&format!("GET /mongodb-arena/{key}")))
            .for_each(|key| client.delete(key));
        RequestFate::Pass
    });
    assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
    assert_eq!(
        proxy.count_requests(RECORD_GET_LINE),
        20,
        "all were listed and asked for, once"
    );
    for arguments in [&["--strict"][..], &["acme"], &["--no-cache"]] {
        assert_eq!(
            backend.report_csv(arguments),
            expected_csv(&entries),
            "{arguments:?}"
        );
    }
    assert!(
        victims
            .iter()
            .all(|key| proxy.count_requests(&format!("GET /mongodb-arena/{key}")) == 1),
        "they are listed no more"
    );
}

fn a_record_overwritten_between_list_and_get_is_used_in_its_new_form(backend: &mut S3Backend) {
    let mut entries: Vec<ReportEntry> = (0..20)
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    let key = |number: u64| format!("usage-logs/acme/{number:032x}.json");
    for (number, entry) in (0..).zip(&entries) {
        backend.client.put(&key(number), &entry.record());
    }
    // One grows, one shrinks, one has an unchanged size.
    let changes = [(3, 1_000_000), (11, 1), (16, 99)].map(|(number, count)| {
        entries[number].count = count;
        (key(number as u64), entries[number].record())
    });
    let (client, first) = (backend.client.clone(), [const { AtomicBool::new(true) }; 3]);
    let proxy = backend.start_proxy(move |line| {
        for ((key, record), first) in changes.iter().zip(&first) {
            if line.starts_with(&format!("GET /mongodb-arena/{key}"))
                && first.swap(false, Ordering::SeqCst)
            {
                client.put(key, record);
            }
        }
        RequestFate::Pass
    });
    assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
    assert_eq!(
        proxy.count_requests(RECORD_GET_LINE),
        22,
        "those of another size are listed and fetched again"
    );
    for gets in [23, 23] {
        assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
        assert_eq!(
            proxy.count_requests(RECORD_GET_LINE),
            gets,
            "what was listed is not what was fetched: fetched once more"
        );
    }
}
