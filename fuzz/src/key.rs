//! Keys: whoever the customer is, they stay below their prefix, tell the customer, and are taken apart again.

use config_backup::layout::{
    CONFIGS, LOGS, LogKey, config_key, customer_of, history_key, log_key, log_key_beside,
    logs_prefix, parse_log_key, prefixes_to_read, segment, segment_of, stamp,
};

/// Any two texts are customers, and any text is a key that somebody wrote.
pub fn run(data: &[u8]) {
    let [one, other, id] = super::texts(data);
    judge_segment(&one, &segment(&one));
    assert!(
        one == other || segment(&one) != segment(&other),
        "{one:?} and {other:?} are one"
    );
    judge_keys(&one, &id, data);

    let key = String::from_utf8_lossy(data);
    judge_foreign(&format!("{LOGS}{key}"));
    judge_foreign(&key);
    if let Some(customer) = customer_of(&key) {
        assert_eq!(segment(&customer), key, "two spellings of {customer:?}");
    }
}

/// One step of a path, in letters that need no escape anywhere, from which the customer is read back.
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
    let back = customer_of(segment);
    // Three bytes for each, and the mark in front: what is too long for a key is a digest, which tells nothing.
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
    // From 2000 to 2099, as `reading::YEARS` has it.
    let at =
        chrono::DateTime::from_timestamp(946_684_800 + seconds % 3_155_760_000, 0).expect("a time");
    let segment = segment(customer);
    let configs = [
        config_key(customer),
        history_key(customer, at, "d188280766a258ccc135ef480b49230c"),
    ];
    assert!(
        configs
            .iter()
            .all(|key| key.starts_with(&format!("{CONFIGS}{segment}/")) && key.len() <= 1024),
        "{configs:?}"
    );
    for key in [log_key(customer, at), log_key_beside(customer, at, id)] {
        assert!(
            key.starts_with(&logs_prefix(Some(customer)))
                && key.matches('/').count() == 2
                && key.len() <= 1024,
            "{key}"
        );
        assert_eq!(
            parse_log_key(&key),
            Some(LogKey {
                segment: &segment,
                at: Some(at)
            }),
            "{key}"
        );
        assert_eq!(segment_of(&key), Some(segment.as_str()));
    }
    for prefix in prefixes_to_read(customer) {
        assert!(
            prefix.starts_with(LOGS) && prefix.len() > LOGS.len() && prefix.ends_with('/'),
            "{prefix}"
        );
    }
}

/// A key that is taken for a record's is one, and a time that is read out of it stands in it.
fn judge_foreign(key: &str) {
    let Some(LogKey { segment, at }) = parse_log_key(key) else {
        return;
    };
    let name = key
        .strip_prefix(LOGS)
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
    if let Some(at) = at {
        // A leap second has the date of the second before it and the nanoseconds of the one behind it.
        assert!(
            name.starts_with(&stamp(at)) && at.timestamp_subsec_nanos() == 0,
            "{key} is said to be of {at}"
        );
    }
}
