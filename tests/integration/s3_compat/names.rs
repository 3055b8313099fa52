//! `report` on each server where the cache or a name could mislead it: an old record overwritten, and two customers with one folder.

use test_support::s3_backend::{Entry, HEADER, Site, csv_of, on_each_server};

on_each_server!(
    an_overwritten_record_of_the_earlier_module_is_read_anew_whatever_its_name_begins_with,
    a_customer_called_like_another_ones_folder_has_none_of_its_records,
);

fn an_overwritten_record_of_the_earlier_module_is_read_anew_whatever_its_name_begins_with(site: &mut Site) {
    // So many that the old ones are taken from the cache without a look at the bucket.
    let ours: Vec<Entry> = (0..600).map(|number| Entry::new("acme", number)).collect();
    site.fill(&ours.iter().map(|entry| (entry.key("acme"), entry.record())).collect::<Vec<_>>());
    // Digests: those from 2000 to 2026 could be years.
    let heads = ["00", "1f", "2000", "2013", "201f", "2025", "2026", "2027", "20a0", "21", "9", "f"];
    let write = |round: u64| {
        let earlier: Vec<Entry> = (1000..).zip(heads).map(|(number, _)| Entry { count: round, ..Entry::new("acme", number) }).collect();
        for (head, entry) in heads.iter().zip(&earlier) {
            site.hand.put(&format!("usage-logs/acme/{head:a<32}.json"), &entry.record());
        }
        csv_of(ours.iter().chain(&earlier))
    };
    for round in [1, 22, 333] {
        let expected = write(round);
        let cached = site.csv(&["acme"]);
        let stale: Vec<&str> = cached.lines().filter(|line| !expected.lines().any(|known| known == *line)).collect();
        assert_eq!(stale, Vec::<&str>::new(), "rows of before in round {round}");
        assert!(cached == expected, "rows are missing");
    }
}

fn a_customer_called_like_another_ones_folder_has_none_of_its_records(site: &mut Site) {
    let entry = Entry::new("Foo Bar", 1);
    site.hand.put(&entry.key("~Foo~20Bar"), &entry.record());
    assert_eq!(site.csv(&["Foo Bar"]), csv_of([&entry]));
    assert_eq!(site.csv(&["~Foo~20Bar"]), HEADER, "by their exact names");
}
