//! Keys of any customer stay below their prefix, name the customer and can be parsed.

use config_backup::keys::{
    CONFIGS_PREFIX, RECORDS_PREFIX, RecordKey, config_version_key, current_config_key,
    customer_record_prefixes, customer_segment, format_timestamp, parse_customer_segment,
    record_key, record_key_segment, record_key_with_suffix, record_keys_prefix,
};

/// Any text is a customer, and the key of an object.
pub fn run(data: &[u8]) {
    let [one, other, id] = super::texts(data);
    judge_segment(&one, &customer_segment(&one));
    assert!(
        one == other || customer_segment(&one) != customer_segment(&other),
        "{one:?} and {other:?} are one"
    );
    judge_keys(&one, &id, data);

    let key = String::from_utf8_lossy(data);
    judge_foreign(&format!("{RECORDS_PREFIX}{key}"));
    judge_foreign(&key);
    if let Some(customer) = parse_customer_segment(&key) {
        assert_eq!(
            customer_segment(&customer),
            key,
            "two spellings of {customer:?}"
        );
    }
}

/// A segment is one path segment in harmless characters, and decodes to the customer.
pub fn judge_segment(customer: &str, segment: &str) {
    assert!(
        (1..=400).contains(&segment.len()) && segment != "." && segment != "..",
        "{segment:?}"
    );
    assert!(
        segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"~._-".contains(&byte)),
        "{segment:?}"
    );
    let back = parse_customer_segment(segment);
    // An escaped byte takes three bytes. A segment that would be too long is a digest.
    let is_short = customer.len() * 3 < 400;
    assert!(
        back.as_deref() == Some(customer) || (back.is_none() && !is_short),
        "{customer:?} comes back as {back:?}"
    );
}

fn judge_keys(customer: &str, id: &str, data: &[u8]) {
    let seconds = data
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | i64::from(*byte));
    // From 2000 to 2099, as `PLAUSIBLE_YEARS` has it.
    let at =
        chrono::DateTime::from_timestamp(946_684_800 + seconds % 3_155_760_000, 0).expect("a time");
    let segment = customer_segment(customer);
    let configs = [
        current_config_key(customer),
        config_version_key(customer, at, "d188280766a258ccc135ef480b49230c"),
    ];
    assert!(
        configs.iter().all(
            |key| key.starts_with(&format!("{CONFIGS_PREFIX}{segment}/")) && key.len() <= 1024
        ),
        "{configs:?}"
    );
    for key in [
        record_key(customer, at),
        record_key_with_suffix(customer, at, id),
    ] {
        assert!(
            key.starts_with(&record_keys_prefix(Some(customer)))
                && key.matches('/').count() == 2
                && key.len() <= 1024,
            "{key}"
        );
        let parsed = RecordKey::parse(&key).expect("the key of a record");
        assert_eq!(
            (parsed.segment, parsed.deployed_at),
            (segment.as_str(), Some(at)),
            "{key}"
        );
        assert_eq!(parsed.to_string(), key);
        assert_eq!(record_key_segment(&key), Some(segment.as_str()));
    }
    for prefix in customer_record_prefixes(customer) {
        assert!(
            prefix.starts_with(RECORDS_PREFIX)
                && prefix.len() > RECORDS_PREFIX.len()
                && prefix.ends_with('/'),
            "{prefix}"
        );
    }
}

/// A key that parses as that of a record is one, and contains the parsed time.
fn judge_foreign(key: &str) {
    let Some(parsed) = RecordKey::parse(key) else {
        return;
    };
    assert_eq!(parsed.to_string(), key);
    let segment = parsed.segment;
    let name = key
        .strip_prefix(RECORDS_PREFIX)
        .and_then(|tail| tail.strip_prefix(segment)?.strip_prefix('/'))
        .expect("below its segment");
    assert!(
        !segment.is_empty() && !segment.contains('/') && !name.contains('/'),
        "{key}"
    );
    assert!(
        name.strip_suffix(".json")
            .is_some_and(|stem| !stem.is_empty()),
        "{key}"
    );
    if let Some(at) = parsed.deployed_at {
        // chrono represents a leap second by extra nanoseconds.
        assert!(
            name.starts_with(&format_timestamp(at)) && at.timestamp_subsec_nanos() == 0,
            "{key} is said to be of {at}"
        );
    }
}
