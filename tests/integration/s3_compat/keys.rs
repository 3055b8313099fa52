//! `report` on each server: keys and customers with unusual names.

use test_support::s3_backend::{
    ReportEntry, S3Backend, S3ServerKind, expected_csv, on_each_server, rows_of_customer,
};

on_each_server!(
    lists_and_fetches_keys_with_odd_characters,
    separates_customers_with_similar_names
);

fn lists_and_fetches_keys_with_odd_characters(backend: &mut S3Backend) {
    let long = "x".repeat(240);
    let longer = "x".repeat(900);
    let names = [
        "a b",
        "a+b",
        "%2F",
        "%",
        "100%25",
        "~20",
        "é",
        "e\u{301}",
        "日本😀",
        "'single' \"double\"",
        "a&b=c?d#e",
        "<b>&amp;",
        "a;b,c:d@e$f!",
        "back\\slash",
        " in front",
        "behind ",
        "..",
        "(1)[2]{3}*^`|",
        &long,
        &longer,
        "two\nlines",
        "re\rturn",
        "tab\tstop",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
    ];
    let mut entries = Vec::new();
    let mut refused = Vec::new();
    for (number, name) in (0..).zip(names) {
        let entry = ReportEntry::new("acme", number);
        match backend
            .client
            .try_put(&format!("usage-logs/acme/{name}.json"), &entry.record())
        {
            Ok(()) => entries.push(entry),
            Err(_) => refused.push(name),
        }
    }
    let cannot: &[&str] = match backend.kind {
        S3ServerKind::Embedded => &[],
        // A file's name has 255 bytes at most.
        S3ServerKind::Versitygw => &[&longer],
        // The routes of moto do not match line breaks.
        S3ServerKind::Moto => &["two\nlines"],
    };
    assert_eq!(refused, cannot);
    if backend.kind == S3ServerKind::Versitygw {
        // XML has no such character, so its listings name a key that does not exist.
        entries.retain(|entry| names[usize::try_from(entry.count).unwrap()] != "\u{1b}[2J");
    }
    for _ in ["fetched", "from the cache"] {
        assert_eq!(backend.report_csv(&["--strict"]), expected_csv(&entries));
    }
}

fn separates_customers_with_similar_names(backend: &mut S3Backend) {
    let segments = [
        ("acme", "acme"),
        ("acme-2", "acme-2"),
        ("acme2", "acme2"),
        ("Acme", "Acme"),
        ("Foo Bar", "~Foo~20Bar"),
        ("Foo Bar", "Foo Bar"),
        ("Foo+Bar", "~Foo~2bBar"),
        ("Foo%20Bar", "Foo%20Bar"),
        ("é", "é"),
        ("e\u{301}", "e\u{301}"),
        ("a&b", "a&b"),
    ];
    let mut entries = Vec::new();
    for (number, (customer, segment)) in (0..).zip(segments) {
        let entry = ReportEntry::new(customer, number);
        backend.client.put(&entry.key(segment), &entry.record());
        entries.push(entry);
    }
    let whole = backend.report_csv(&["--strict"]);
    assert_eq!(whole, expected_csv(&entries));
    for (customer, _) in segments {
        assert_eq!(
            backend.report_csv(&["--strict", customer]),
            rows_of_customer(customer, &whole),
            "{customer}"
        );
    }
}
