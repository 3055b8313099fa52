//! `report` on each server: listings of several pages, the cache, and records that appear and
//! disappear between reports.

use test_support::s3_backend::{
    CSV_HEADER, ReportEntry, S3Backend, expected_csv, on_each_server, rows_of_customer,
};

on_each_server!(
    every_record_of_several_pages_is_reported_once_and_fetched_once,
    a_record_that_is_no_longer_listed_is_no_longer_reported,
    an_empty_bucket_gives_the_header,
);

/// The customers, the segments of their keys and how many records each has: 2,350 in all.
const SHARES: [(&str, &str, u64); 6] = [
    ("acme", "acme", 1200),
    ("acme-2", "acme-2", 400),
    ("Acme", "Acme", 300),
    ("Foo Bar", "~Foo~20Bar", 150),
    ("Foo Bar", "Foo Bar", 100),
    ("zeta", "zeta", 200),
];

fn every_record_of_several_pages_is_reported_once_and_fetched_once(backend: &mut S3Backend) {
    let mut entries = Vec::new();
    let mut objects = Vec::new();
    for (customer, segment, share) in SHARES {
        for _ in 0..share {
            let number = entries.len() as u64;
            let entry = ReportEntry {
                day: 1 + number % 28,
                ..ReportEntry::new(customer, number)
            };
            // Every tenth has a legacy name.
            let digest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let key = if number.is_multiple_of(10) {
                format!("usage-logs/{segment}/{digest:016x}{number:016x}.json")
            } else {
                entry.key(segment)
            };
            objects.push((key, entry.record()));
            entries.push(entry);
        }
    }
    backend.put_objects(&objects);
    let whole = backend.report_csv(&[]);
    assert!(whole == expected_csv(&entries), "not every record once");
    // Three pages of records, and one of the missing archive.
    backend.assert_requests(2350, 4..=4);
    assert!(
        backend.report_csv(&[]) == whole,
        "the second report is another one"
    );
    backend.assert_requests(2350, 8..=8);
    for customer in ["acme", "acme-2", "Acme", "Foo Bar", "zeta"] {
        assert!(
            backend.report_csv(&[customer]) == rows_of_customer(customer, &whole),
            "{customer}"
        );
    }
    assert_eq!(backend.report_csv(&["acm"]), CSV_HEADER);
    // One page for each of seven prefixes, except acme, most of whose pages are skipped; and as
    // many of the archive.
    backend.assert_requests(2350, 21..=25);
    assert!(
        backend.report_csv(&["zeta", "--no-cache"]) == rows_of_customer("zeta", &whole),
        "the cache knows better"
    );
    backend.assert_requests(2350 + 200, 23..=27);
}

fn a_record_that_is_no_longer_listed_is_no_longer_reported(backend: &mut S3Backend) {
    let mut entries: Vec<ReportEntry> = (0..9)
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    let keys: Vec<String> = entries.iter().map(|entry| entry.key("acme")).collect();
    for (key, entry) in keys.iter().zip(&entries) {
        backend.client.put(key, &entry.record());
    }
    assert_eq!(backend.report_csv(&[]), expected_csv(&entries));
    // The first, one in the middle and the last.
    for number in [8, 4, 0] {
        backend.client.delete(&keys[number]);
        entries.remove(number);
        assert_eq!(backend.report_csv(&[]), expected_csv(&entries));
    }
    entries.clear();
    for key in &keys {
        backend.client.delete(key);
    }
    assert_eq!(backend.report_csv(&["acme"]), CSV_HEADER);
    assert_eq!(backend.report_csv(&[]), CSV_HEADER);
}

fn an_empty_bucket_gives_the_header(backend: &mut S3Backend) {
    assert_eq!(backend.report_csv(&[]), CSV_HEADER);
    assert_eq!(backend.report_csv(&["acme"]), CSV_HEADER);
}
