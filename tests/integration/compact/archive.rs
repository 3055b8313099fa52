//! The archive as readers see it: the records it replaces, and a damaged, denied or oversized
//! archive.

use std::collections::BTreeMap;
use std::fs;

use crate::commands::run_command_as;
use crate::compact::command::{ARCHIVE, compact_successfully, put_entries};
use crate::iam::enforced::enforce_policies;
use test_support::faulty_proxy::RequestFate;
use test_support::oracle::unix_time;
use test_support::s3_backend::{
    RECORD_GET_LINE, ReportEntry, S3Backend, S3ServerKind, expected_csv, on_each_server,
};
use test_support::s3_client::S3TestClient;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, CONFIG, World, to_text};

fn old_entries() -> Vec<ReportEntry> {
    (0..20)
        .map(|number| ReportEntry {
            day: number / 10 + 1,
            ..ReportEntry::new("acme", number)
        })
        .collect()
}

/// The output of every command that reads records.
fn run_all_readers(world: &World) -> BTreeMap<String, (Option<i32>, String, String)> {
    let readers: [&[&str]; 6] = [
        &["report", "--all"],
        &["report", "--no-cache", "--summary"],
        &["history", "airbnb"],
        &["coverage", "--json"],
        &["verify", "--json"],
        &["verify", "airbnb"],
    ];
    readers
        .iter()
        .map(|arguments| {
            (
                arguments.join(" "),
                run_command_as(world, "default", arguments),
            )
        })
        .collect()
}

on_each_server!(every_reader_finds_records_that_only_the_archive_has);
fn every_reader_finds_records_that_only_the_archive_has(backend: &mut S3Backend) {
    let unit = CustomerUnit::new(&backend.world);
    for size in ["M30", "M40", "M40", "M50"] {
        unit.write_config(CONFIG.replace("M30", size));
        unit.deploy(&backend.world).expect_success();
    }
    age_archive(&backend.client);
    let before = run_all_readers(&backend.world);
    compact_successfully(&backend.world, &[]);
    let keys = backend.client.list_keys("usage-logs/");
    assert_eq!(keys.len(), 4);
    for (number, key) in keys.iter().enumerate() {
        backend.client.delete(key);
        for (arguments, (code, output, messages)) in run_all_readers(&backend.world) {
            let expected = &before[&arguments];
            // The number of records that only the archive has is reported; everything else is
            // unchanged.
            let output = output.replace(&format!("\"archived\":{}", number + 1), "\"archived\":0");
            let some = if number == 0 {
                "1 record".to_owned()
            } else {
                format!("{} records", number + 1)
            };
            let messages = messages.replace(&format!("; {some} only in the archive"), "");
            assert_eq!(
                (code, &output, &messages),
                (expected.0, &expected.1, &expected.2),
                "{arguments} without {number}"
            );
        }
    }
    assert_eq!(
        backend.client.list_keys("usage-logs/"),
        Vec::<String>::new()
    );
}

/// Renames the records to keys of a month that ended half a year ago, with unchanged content.
fn age_archive(client: &S3TestClient) {
    for (number, key) in client.list_keys("usage-logs/").into_iter().enumerate() {
        let body = client
            .get_all(std::slice::from_ref(&key))
            .remove(0)
            .expect("an object")
            .0;
        client.put(
            &format!("usage-logs/airbnb/2026-03-02_08000{number}.json"),
            &to_text(&body),
        );
        client.delete(&key);
    }
}

#[test]
fn report_shows_an_edited_record_and_verify_names_it() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let unit = CustomerUnit::new(&backend.world);
    unit.deploy(&backend.world).expect_success();
    unit.deploy(&backend.world).expect_success();
    age_archive(&backend.client);
    compact_successfully(&backend.world, &[]);
    let key = "usage-logs/airbnb/2026-03-02_080000.json";
    let body = to_text(
        &backend
            .client
            .get_all(&[key.to_owned()])
            .remove(0)
            .expect("an object")
            .0,
    );
    backend
        .client
        .put(key, &body.replace("arena-cluster", "other-cluster"));
    for arguments in [&["--all"][..], &["--all"], &["--all", "--no-cache"]] {
        let csv = backend.report_csv(arguments);
        assert_eq!(
            (
                csv.matches("other-cluster").count(),
                csv.matches("arena-cluster").count()
            ),
            (1, 1),
            "{csv}"
        );
    }
    let (code, found, _) = run_command_as(&backend.world, "default", &["verify"]);
    assert!(code == Some(7) && found.contains(key), "{found}");
}

#[test]
fn a_legacy_record_overwritten_after_archiving_counts_as_it_is_now() {
    let world = World::new();
    let key = "usage-logs/acme/d188280766a258ccc135ef480b49230c.json";
    let put = |cluster: &str, unix: u64| {
        let record = format!(
            "{{\"user\":\"arn:x:user/a\",\"customer\":\"acme\",\"cluster_name\":\"{cluster}\"}}\n"
        );
        world
            .server
            .put_at(BUCKET, key, record.as_bytes(), &[], unix_time(unix))
            .expect("put");
    };
    let clusters = |arguments: &[&str]| {
        let (code, csv, messages) = run_command_as(
            &world,
            "default",
            &[&["report", "--all"], arguments].concat(),
        );
        assert_eq!((code, messages.as_str()), (Some(0), ""));
        csv.lines()
            .skip(1)
            .map(|line| line.split(',').nth(5).expect("a cell").to_owned())
            .collect::<Vec<_>>()
    };
    for (number, cluster) in ["first", "second", "first"].into_iter().enumerate() {
        put(cluster, 1_768_435_200 + number as u64);
        assert_eq!(
            [clusters(&[]), clusters(&["--no-cache"])],
            [[cluster]; 2],
            "before"
        );
        compact_successfully(&world, &[]);
        assert_eq!(
            [clusters(&[]), clusters(&["--no-cache"])],
            [[cluster]; 2],
            "after"
        );
    }
    let client = S3TestClient::new(&world.server.endpoint());
    client.delete(key);
    assert_eq!(
        [clusters(&[]), clusters(&["--no-cache"])],
        [["first"]; 2],
        "of those that are archived, the newest"
    );
    for part in client.list_keys(ARCHIVE) {
        client.delete(&part);
    }
    assert_eq!(
        [clusters(&[]), clusters(&["--no-cache"])],
        [Vec::<String>::new(), Vec::new()],
        "and with the archive, all of it goes"
    );
}

#[test]
fn names_a_damaged_archive_file_and_reads_the_records_instead() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    let entries = old_entries();
    put_entries(&backend, &entries);
    compact_successfully(&backend.world, &[]);
    let part = backend.client.list_keys(ARCHIVE).remove(0);
    let whole = backend
        .client
        .get_all(std::slice::from_ref(&part))
        .remove(0)
        .expect("an object")
        .0;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    backend
        .world
        .server
        .put(BUCKET, &part, &damaged, &[])
        .expect("put");
    let proxy = backend.start_proxy(|_| RequestFate::Pass);
    for arguments in [&["--no-cache"][..], &["--strict"]] {
        let (code, csv, messages) = backend.run_report(arguments);
        assert_eq!(
            (code, csv),
            (
                Some(if arguments == ["--strict"] { 7 } else { 0 }),
                expected_csv(&entries)
            )
        );
        assert_eq!(
            messages,
            format!(
                "config-backup: skipped `{part}`: content does not match the digest in its key\n"
            )
        );
    }
    assert_eq!(proxy.count_requests(RECORD_GET_LINE), 40);
    let (code, found, _) = run_command_as(&backend.world, "default", &["verify"]);
    assert_eq!(
        (code, found),
        (
            Some(7),
            format!(
                "edited: {part}: content does not match the digest in its key (customer acme)\n"
            )
        )
    );
    // The digest in the key matches, but the file is not an archive: printf PAR1 | sha256sum
    let key = format!("{ARCHIVE}acme/undated_fbc62d3b511368ee275ddc74117d8689.parquet");
    backend
        .world
        .server
        .put(BUCKET, &key, b"PAR1", &[])
        .expect("put");
    let (code, csv, messages) = backend.run_report(&["--no-cache"]);
    assert_eq!((code, csv), (Some(0), expected_csv(&entries)));
    assert!(
        messages.contains("undated_") && messages.contains("not a valid archive file: "),
        "{messages}"
    );
}

#[test]
fn an_archive_file_of_one_customer_cannot_change_another_ones_report() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let entries = old_entries();
    put_entries(&backend, &entries);
    compact_successfully(&backend.world, &[]);
    let part = backend.client.list_keys(ARCHIVE).remove(0);
    for entry in &entries {
        backend.client.delete(&entry.key("acme"));
    }
    let moved = part.replace("/acme/", "/zeta/");
    let body = backend
        .client
        .get_all(std::slice::from_ref(&part))
        .remove(0)
        .expect("an object")
        .0;
    backend
        .world
        .server
        .put(BUCKET, &moved, &body, &[])
        .expect("put");
    backend.client.delete(&part);
    let (code, csv, messages) = backend.run_report(&[]);
    assert_eq!((code, csv), (Some(0), expected_csv(&[])));
    assert_eq!(
        messages,
        format!("config-backup: skipped `{moved}`: contains records of another customer\n")
    );
}

#[test]
fn without_access_to_the_archive_reads_the_records_and_says_so() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let entries = old_entries();
    put_entries(&backend, &entries);
    compact_successfully(&backend.world, &[]);
    let records_only = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::mongodb-arena/usage-logs/*"},
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::mongodb-arena","Condition":{"StringLike":{"s3:prefix":"usage-logs/*"}}}]}"#;
    enforce_policies(&backend.world, records_only, None);
    let (code, csv, messages) = backend.run_report(&[]);
    assert_eq!((code, csv), (Some(0), expected_csv(&entries)));
    assert_eq!(messages.lines().count(), 1, "{messages}");
    assert!(messages.starts_with(
        "config-backup: skipped the archive: cannot list `s3://mongodb-arena/usage-logs-archive/`"
    ));
    assert!(messages.contains("s3:ListBucket"), "{messages}");
}

#[test]
fn a_filtered_report_fetches_only_the_archive_files_it_needs() {
    let mut backend = S3Backend::new(S3ServerKind::Embedded);
    let entries = old_entries();
    put_entries(&backend, &entries);
    put_entries(&backend, &[ReportEntry::new("zeta", 99)]);
    compact_successfully(&backend.world, &["acme"]);
    compact_successfully(&backend.world, &[]);
    let april = format!("usage-logs/acme/2026-04-02_080000-{:08x}.json", 7);
    let record = ReportEntry::new("acme", 7)
        .record()
        .replace("2026-03", "2026-04");
    backend.put_objects(&[(april, record)]);
    compact_successfully(&backend.world, &[]);
    assert_eq!(backend.client.list_keys(ARCHIVE).len(), 3);
    let proxy = backend.start_proxy(|_| RequestFate::Pass);
    let asked = |arguments: &[&str]| {
        let before = proxy.count_requests("GET /mongodb-arena/usage-logs-archive/");
        let rows = backend.report_csv(arguments).lines().count() - 1;
        (
            rows,
            proxy.count_requests("GET /mongodb-arena/usage-logs-archive/") - before,
        )
    };
    assert_eq!(asked(&["--no-cache", "--since", "2026-04-01"]), (1, 1));
    assert_eq!(asked(&["--no-cache", "--until", "2026-03-31"]), (21, 2));
    assert_eq!(asked(&["--no-cache", "zeta"]), (1, 1));
    assert_eq!(asked(&["--no-cache"]), (22, 3));
    assert_eq!(proxy.count_requests(RECORD_GET_LINE), 0);
}

#[test]
fn reads_the_archive_without_a_usable_cache() {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    let entries = old_entries();
    put_entries(&backend, &entries);
    compact_successfully(&backend.world, &[]);
    for key in backend.client.list_keys("usage-logs/") {
        backend.client.delete(&key);
    }
    let folder = backend.world.home().join(".cache/config-backup");
    fs::create_dir_all(folder.parent().expect("a parent")).expect("made");
    fs::write(&folder, "no folder").expect("written");
    let (code, csv, messages) = backend.run_report(&[]);
    assert_eq!((code, csv), (Some(0), expected_csv(&entries)), "{messages}");
    assert!(
        messages.contains("the report is complete without it"),
        "{messages}"
    );
}
