//! How to find the records: one listing for all, or one for each customer that skips what the
//! cache has.
//!
//! Must not list anything itself.

use chrono::{DateTime, Duration, Utc};

use crate::keys::{RECORDS_PREFIX, format_timestamp};
use crate::s3::listing::ListRequest;

/// How long after its deployment a record may be uploaded, for example from a laptop that was
/// offline. Its key has the time of the deployment.
const LATE_UPLOAD_WINDOW: Duration = Duration::days(35);

/// How long old records are taken from the cache without listing them, even if they were changed
/// in the bucket.
const MAX_CACHE_TRUST_AGE: Duration = Duration::days(7);

/// Listing fewer records is as fast as skipping them.
const MIN_RECORDS_TO_TAKE_FROM_CACHE: u64 = 500;

/// Up to this number of records, one listing is as fast as one for each customer.
pub const MAX_RECORDS_FOR_FULL_LISTING: u64 = 3000;

/// Occurs in the name of every record that is named after its time, and in no other.
const DATED_NAME_DELIMITER: &str = "-";

/// A customer whose records the cache had all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedCustomer {
    /// The customer's path segment in keys.
    pub segment: String,
    pub complete_at: DateTime<Utc>,
}

/// How to find a customer's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlan {
    pub listings: Vec<ListRequest>,
    /// The keys from the first to before the second are taken from the cache.
    pub cached_keys: Option<(String, String)>,
}

/// Lists all records below `prefix`.
#[must_use]
pub fn plan_full_listing(prefix: &str) -> ListPlan {
    let listing = ListRequest {
        prefix: prefix.to_owned(),
        ..ListRequest::default()
    };
    ListPlan {
        listings: vec![listing],
        cached_keys: None,
    }
}

/// The keys that need not be listed, from the first to before the second.
#[must_use]
pub fn cached_key_range(customer: &CachedCustomer, now: DateTime<Utc>) -> Option<(String, String)> {
    let age = now - customer.complete_at;
    // A clock that was set back would make the cache valid forever.
    let is_negative = age < Duration::zero();
    if is_negative || age >= MAX_CACHE_TRUST_AGE {
        return None;
    }

    let prefix = format!("{RECORDS_PREFIX}{}/", customer.segment);
    let first_recent = format_timestamp(customer.complete_at - LATE_UPLOAD_WINDOW);
    Some((format!("{prefix}2"), format!("{prefix}{first_recent}")))
}

/// Lists a customer's records, except those in `cached_keys` if the cache has many of them.
///
/// The records of the legacy module are always listed: they are named by an MD5, which sorts
/// anywhere between the dates, and they may change.
#[must_use]
pub fn plan_customer_listing(
    prefix: &str,
    cached_keys: Option<(String, String)>,
    cached_count: u64,
) -> ListPlan {
    let Some((from, to)) = cached_keys else {
        return plan_full_listing(prefix);
    };
    if cached_count < MIN_RECORDS_TO_TAKE_FROM_CACHE {
        return plan_full_listing(prefix);
    }

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

/// Whether a key belongs to one of the listings of [`plan_customer_listing`]: undated records to
/// the first, recent ones to the second.
#[must_use]
pub fn listing_covers_key(listing: &ListRequest, key: &str) -> bool {
    if listing.delimiter == DATED_NAME_DELIMITER {
        return !is_dated_key(key);
    }
    listing.start_after.is_empty() || is_dated_key(key)
}

/// A text that sorts after all keys with this prefix, and before the next prefix.
#[must_use]
pub fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Whether a record is named after its time.
#[must_use]
pub fn is_dated_key(key: &str) -> bool {
    match key.rsplit_once('/') {
        Some((_, name)) => name.contains(DATED_NAME_DELIMITER),
        None => false,
    }
}

/// Whether one listing for each customer takes fewer requests than one for all, of which a page
/// has 1,000 keys.
#[must_use]
pub fn should_list_per_customer(customer_count: usize, cached_count: u64) -> bool {
    cached_count > MAX_RECORDS_FOR_FULL_LISTING && (customer_count as u64) < cached_count / 100
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
