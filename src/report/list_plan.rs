//! How to list the records: in one go, or customer by customer, leaving out what the cache is known to hold.
//!
//! Pure. A customer is known here by the segment of its keys.

use chrono::{DateTime, Duration, Utc};

use crate::keys::{RECORDS_PREFIX, format_timestamp};
use crate::s3::listing::ListRequest;

/// How long a record may be on its way: a laptop that was offline sends it with the name of the time it is about.
const LATE_UPLOAD_WINDOW: Duration = Duration::days(35);
/// How long a customer's old records are taken from the cache unlisted, whatever became of them in the bucket.
const MAX_CACHE_TRUST_AGE: Duration = Duration::days(7);
/// Fewer known records are listed as quickly as they are left out.
const MIN_RECORDS_TO_TAKE_FROM_CACHE: u64 = 500;
/// Up to so many known records, a few pages one after another are as quick as anything.
pub const MAX_RECORDS_FOR_FULL_LISTING: u64 = 3000;

/// Stands in the name of every record that is named by its time, and of no other.
const DATED_NAME_DELIMITER: &str = "-";

/// What the cache knows of a customer whose records it once had all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedCustomer {
    /// The path segment in the keys.
    pub segment: String,
    /// When it had them all.
    pub complete_at: DateTime<Utc>,
}

/// How a customer's records are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlan {
    /// What to list.
    pub listings: Vec<ListRequest>,
    /// Keys from the first to before the second are taken from the cache.
    pub cached_keys: Option<(String, String)>,
}

/// All records below a prefix, by listing it.
#[must_use]
pub fn plan_full_listing(prefix: &str) -> ListPlan {
    ListPlan {
        listings: vec![ListRequest {
            prefix: prefix.to_owned(),
            ..ListRequest::default()
        }],
        cached_keys: None,
    }
}

/// The keys of a customer that need not be listed, from the first to before the second; `None` where all must be.
#[must_use]
pub fn cached_key_range(known: &CachedCustomer, now: DateTime<Utc>) -> Option<(String, String)> {
    // A clock that was set back would make the cache trusted for ever.
    let age = now - known.complete_at;
    (Duration::zero()..MAX_CACHE_TRUST_AGE)
        .contains(&age)
        .then(|| {
            let prefix = format!("{RECORDS_PREFIX}{}/", known.segment);
            (
                format!("{prefix}2"),
                format!(
                    "{prefix}{}",
                    format_timestamp(known.complete_at - LATE_UPLOAD_WINDOW)
                ),
            )
        })
}

/// All records of a customer: old ones from the cache where it has `count` of them that are worth it.
#[must_use]
pub fn plan_customer_listing(prefix: &str, old: Option<(String, String)>, count: u64) -> ListPlan {
    let Some((from, to)) = old.filter(|_| count >= MIN_RECORDS_TO_TAKE_FROM_CACHE) else {
        return plan_full_listing(prefix);
    };
    let undated = ListRequest {
        prefix: prefix.to_owned(),
        delimiter: DATED_NAME_DELIMITER,
        ..ListRequest::default()
    };
    let recent = ListRequest {
        prefix: prefix.to_owned(),
        start_after: to.clone(),
        ..ListRequest::default()
    };
    ListPlan {
        listings: vec![undated, recent],
        cached_keys: Some((from, to)),
    }
}

/// Whether a key is for this listing. Of a customer whose old records are not listed, there are two: one of the earlier
/// module's records, which are named by an MD5, may change, and lie anywhere between the dates; and one of recent dates.
#[must_use]
pub fn listing_covers_key(listing: &ListRequest, key: &str) -> bool {
    if listing.delimiter == DATED_NAME_DELIMITER {
        !is_dated_key(key)
    } else {
        listing.start_after.is_empty() || is_dated_key(key)
    }
}

/// A key behind all those that start with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Whether a key of a customer is that of a dated record.
#[must_use]
pub fn is_dated_key(key: &str) -> bool {
    key.rsplit_once('/')
        .is_some_and(|(_, name)| name.contains(DATED_NAME_DELIMITER))
}

/// Whether to list `customers` one by one when the cache knows `known` records of them.
#[must_use]
pub fn should_list_per_customer(customers: usize, known: u64) -> bool {
    // A page tells a thousand keys.
    known > MAX_RECORDS_FOR_FULL_LISTING && (customers as u64) < known / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn sample_customer() -> CachedCustomer {
        CachedCustomer {
            segment: "acme".into(),
            complete_at: parse_utc("2026-11-20T00:00:00Z"),
        }
    }

    #[test]
    fn old_keys_come_from_the_cache_and_the_rest_is_listed() {
        let old = cached_key_range(&sample_customer(), parse_utc("2026-11-24T00:00:00Z"));
        assert_eq!(
            old,
            Some((
                "usage-logs/acme/2".into(),
                "usage-logs/acme/2026-10-16_000000".into()
            ))
        );
        let span = plan_customer_listing("usage-logs/acme/", old.clone(), 500);
        let listed: Vec<[&str; 3]> = span
            .listings
            .iter()
            .map(|it| [&*it.prefix, it.delimiter, &*it.start_after])
            .collect();
        assert_eq!(
            listed,
            [
                ["usage-logs/acme/", "-", ""],
                ["usage-logs/acme/", "", "usage-logs/acme/2026-10-16_000000"]
            ]
        );
        let [undated, recent] = &span.listings[..] else {
            panic!("two listings")
        };
        for (name, by_undated) in [
            ("2026-11-01_080000.json", false),
            ("2026-11-01_080000-0a1b2c3d.json", false),
            ("2013aa.json", true),
            ("f0.json", true),
        ] {
            let key = format!("usage-logs/acme/{name}");
            assert_eq!(
                (
                    listing_covers_key(undated, &key),
                    listing_covers_key(recent, &key)
                ),
                (by_undated, !by_undated),
                "{name}"
            );
        }
        assert_eq!(span.cached_keys, old);
        assert_eq!(
            plan_customer_listing("usage-logs/acme/", old, 499),
            plan_full_listing("usage-logs/acme/"),
            "not worth it"
        );
    }

    #[test]
    fn prefix_end_sorts_after_its_keys_and_before_the_next_prefix() {
        let end = prefix_end("usage-logs/acme/");
        assert!(
            end.as_str() > "usage-logs/acme/~zz\u{10fffd}/x.json"
                && end.as_str() < "usage-logs/acme0"
        );
    }

    #[test]
    fn lists_all_after_a_week_or_when_the_clock_was_set_back() {
        assert_eq!(
            cached_key_range(&sample_customer(), parse_utc("2026-11-27T00:00:00Z")),
            None
        );
        assert_eq!(
            cached_key_range(&sample_customer(), parse_utc("2026-11-19T23:59:59Z")),
            None
        );
    }

    #[test]
    fn lists_many_small_customers_in_one_listing() {
        assert!(
            should_list_per_customer(50, 10_000)
                && !should_list_per_customer(5, 3000)
                && !should_list_per_customer(5000, 10_000)
        );
        assert!(
            should_list_per_customer(29, 3001) && !should_list_per_customer(30, 3001),
            "as many requests as pages are none saved"
        );
    }
}
