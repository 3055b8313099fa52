//! Decides how to list the records: in one listing, or customer by customer without old keys that
//! the cache has.
//!
//! A customer is named here by the segment of its keys.

use chrono::{DateTime, Duration, Utc};

use crate::keys::{RECORDS_PREFIX, format_timestamp};
use crate::s3::listing::ListRequest;

/// An offline laptop uploads a record this late, under a key with the time of the deployment.
const LATE_UPLOAD_WINDOW: Duration = Duration::days(35);
/// Old records are taken from the cache without a listing for this long, even if the bucket
/// changes.
const MAX_CACHE_TRUST_AGE: Duration = Duration::days(7);
/// Listing fewer records is as fast as skipping them.
const MIN_RECORDS_TO_TAKE_FROM_CACHE: u64 = 500;
/// A few pages in sequence are as fast as any other way.
pub const MAX_RECORDS_FOR_FULL_LISTING: u64 = 3000;

/// Stands in the name of every record that is named by its time, and of no other.
const DATED_NAME_DELIMITER: &str = "-";

/// A customer all of whose records were in the cache once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedCustomer {
    pub segment: String,
    pub complete_at: DateTime<Utc>,
}

/// Keys from `start` to before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub start: String,
    pub end: String,
}

impl KeyRange {
    /// All keys below a prefix.
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        Self {
            start: prefix.to_owned(),
            end: prefix_end(prefix),
        }
    }
}

/// How the records below a prefix are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlan {
    pub listings: Vec<ListRequest>,
    /// Taken from the cache without a listing.
    pub cached_keys: Option<KeyRange>,
}

/// Lists all records below a prefix.
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

/// The keys of a customer that need no listing; `None` if all must be listed.
#[must_use]
pub fn cached_key_range(customer: &CachedCustomer, now: DateTime<Utc>) -> Option<KeyRange> {
    // A negative age means that the clock was set back; the cache would be trusted for too long.
    let age = now - customer.complete_at;
    if age < Duration::zero() || age >= MAX_CACHE_TRUST_AGE {
        return None;
    }

    let prefix = format!("{RECORDS_PREFIX}{}/", customer.segment);
    let last_old_time = customer.complete_at - LATE_UPLOAD_WINDOW;
    Some(KeyRange {
        start: format!("{prefix}2"),
        end: format!("{prefix}{}", format_timestamp(last_old_time)),
    })
}

/// Takes old records from the cache if it has enough of them, and lists the others.
#[must_use]
pub fn plan_customer_listing(prefix: &str, old: KeyRange, cached_count: u64) -> ListPlan {
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
        start_after: old.end.clone(),
        ..ListRequest::default()
    };
    ListPlan {
        listings: vec![undated, recent],
        cached_keys: Some(old),
    }
}

/// Whether a listing is responsible for a key.
///
/// A customer with cached keys has two listings: one of records of the legacy module, and one of
/// recent dates. The former are named by an MD5, may change, and sort anywhere between the dates.
#[must_use]
pub fn listing_covers_key(listing: &ListRequest, key: &str) -> bool {
    if listing.delimiter == DATED_NAME_DELIMITER {
        !is_dated_key(key)
    } else {
        listing.start_after.is_empty() || is_dated_key(key)
    }
}

/// Sorts after all keys that start with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Whether a record is named by its time.
#[must_use]
pub fn is_dated_key(key: &str) -> bool {
    match key.rsplit_once('/') {
        Some((_, name)) => name.contains(DATED_NAME_DELIMITER),
        None => false,
    }
}

/// Whether one listing per customer takes fewer requests than one listing of all records.
#[must_use]
pub fn should_list_per_customer(customer_count: usize, cached_count: u64) -> bool {
    // A page has a thousand keys, and a customer takes more than one request.
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
        let expected = KeyRange {
            start: "usage-logs/acme/2".into(),
            end: "usage-logs/acme/2026-10-16_000000".into(),
        };
        assert_eq!(old.as_ref(), Some(&expected));
        let old = old.expect("old keys");
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
        assert_eq!(span.cached_keys.as_ref(), Some(&old));
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
