//! `report` on each server: an overwritten old record, and two customers with one folder.

use test_support::s3_backend::{CSV_HEADER, ReportEntry, S3Backend, expected_csv, on_each_server};

on_each_server!(
    reads_an_overwritten_record_of_the_legacy_module_again,
    a_customer_named_like_another_ones_folder_has_none_of_its_records,
);

fn reads_an_overwritten_record_of_the_legacy_module_again(backend: &mut S3Backend) {
    // Enough records that old ones come from the cache without a listing.
    let ours: Vec<ReportEntry> = (0..600)
        .map(|number| ReportEntry::new("acme", number))
        .collect();
    backend.put_objects(
        &ours
            .iter()
            .map(|entry| (entry.key("acme"), entry.record()))
            .collect::<Vec<_>>(),
    );
    // Digests: those from 2000 to 2026 could be years.
    let heads = [
        "00", "1f", "2000", "2013", "201f", "2025", "2026", "2027", "20a0", "21", "9", "f",
    ];
    let write = |round: u64| {
        let earlier: Vec<ReportEntry> = (1000..)
            .zip(heads)
            .map(|(number, _)| ReportEntry {
                count: round,
                ..ReportEntry::new("acme", number)
            })
            .collect();
        for (head, entry) in heads.iter().zip(&earlier) {
            backend.client.put(
                &format!("usage-logs/acme/{head:a<32}.json"),
                &entry.record(),
            );
        }
        expected_csv(ours.iter().chain(&earlier))
    };
    for round in [1, 22, 333] {
        let expected = write(round);
        let cached = backend.report_csv(&["acme"]);
        let stale: Vec<&str> = cached
            .lines()
            .filter(|line| !expected.lines().any(|known| known == *line))
            .collect();
        assert_eq!(stale, Vec::<&str>::new(), "rows of before in round {round}");
        assert!(cached == expected, "rows are missing");
    }
}

fn a_customer_named_like_another_ones_folder_has_none_of_its_records(backend: &mut S3Backend) {
    let entry = ReportEntry::new("Foo Bar", 1);
    backend
        .client
        .put(&entry.key("~Foo~20Bar"), &entry.record());
    assert_eq!(backend.report_csv(&["Foo Bar"]), expected_csv([&entry]));
    assert_eq!(
        backend.report_csv(&["~Foo~20Bar"]),
        CSV_HEADER,
        "by their exact names"
    );
}
