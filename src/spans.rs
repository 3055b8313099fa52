//! How to list the records: in one go, or customer by customer, leaving out what the cache is known to hold.
//!
//! Pure. A customer is known here by the segment of its keys.

use chrono::{DateTime, Duration, Utc};

use crate::layout::{LOGS, stamp};
use crate::listing::Listing;

/// How long a record may be on its way: a laptop that was offline sends it with the name of the time it is about.
const LOOK_BACK: Duration = Duration::days(35);
/// How long a customer's old records are taken from the cache unlisted, whatever became of them in the bucket.
const TRUSTED_FOR: Duration = Duration::days(7);
/// Fewer known records are listed as quickly as they are left out.
const WORTH_IT: u64 = 500;
/// Up to so many known records, a few pages one after another are as quick as anything.
pub const FEW: u64 = 3000;

/// Stands in the name of every record that is named by its time, and of no other.
const DATED: &str = "-";

/// What the cache knows of a customer whose records it once had all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The path segment in the keys.
    pub segment: String,
    /// When it had them all.
    pub complete_at: DateTime<Utc>,
}

/// How a customer's records are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What to list.
    pub listings: Vec<Listing>,
    /// Keys from the first to before the second are taken from the cache.
    pub cached: Option<(String, String)>,
}

/// All records below a prefix, by listing it.
#[must_use]
pub fn whole(prefix: &str) -> Span {
    Span { listings: vec![Listing { prefix: prefix.to_owned(), ..Listing::default() }], cached: None }
}

/// The keys of a customer that need not be listed, from the first to before the second; `None` where all must be.
#[must_use]
pub fn old_keys(known: &Known, now: DateTime<Utc>) -> Option<(String, String)> {
    // A clock that was set back would make the cache trusted for ever.
    let age = now - known.complete_at;
    (Duration::zero()..TRUSTED_FOR).contains(&age).then(|| {
        let prefix = format!("{LOGS}{}/", known.segment);
        (format!("{prefix}2"), format!("{prefix}{}", stamp(known.complete_at - LOOK_BACK)))
    })
}

/// All records of a customer: old ones from the cache where it has `count` of them that are worth it.
#[must_use]
pub fn of_customer(prefix: &str, old: Option<(String, String)>, count: u64) -> Span {
    let Some((from, to)) = old.filter(|_| count >= WORTH_IT) else { return whole(prefix) };
    let undated = Listing { prefix: prefix.to_owned(), delimiter: DATED, ..Listing::default() };
    let recent = Listing { prefix: prefix.to_owned(), after: to.clone(), ..Listing::default() };
    Span { listings: vec![undated, recent], cached: Some((from, to)) }
}

/// Whether a key is for this listing. Of a customer whose old records are not listed, there are two: one of the earlier
/// module's records, which are named by an MD5, may change, and lie anywhere between the dates; and one of recent dates.
#[must_use]
pub fn covers(listing: &Listing, key: &str) -> bool {
    if listing.delimiter == DATED { !is_dated(key) } else { listing.after.is_empty() || is_dated(key) }
}

/// A key behind all those that start with `prefix`.
#[must_use]
pub fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Whether a key of a customer is that of a dated record.
#[must_use]
pub fn is_dated(key: &str) -> bool {
    key.rsplit_once('/').is_some_and(|(_, name)| name.contains(DATED))
}

/// Whether to list `customers` one by one when the cache knows `known` records of them.
#[must_use]
pub fn one_by_one(customers: usize, known: u64) -> bool {
    // A page tells a thousand keys.
    known > FEW && (customers as u64) < known / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn known() -> Known {
        Known { segment: "acme".into(), complete_at: at("2026-11-20T00:00:00Z") }
    }

    #[test]
    fn what_is_old_enough_comes_from_the_cache_and_the_rest_is_listed() {
        let old = old_keys(&known(), at("2026-11-24T00:00:00Z"));
        assert_eq!(old, Some(("usage-logs/acme/2".into(), "usage-logs/acme/2026-10-16_000000".into())));
        let span = of_customer("usage-logs/acme/", old.clone(), 500);
        let listed: Vec<[&str; 3]> = span.listings.iter().map(|it| [&*it.prefix, it.delimiter, &*it.after]).collect();
        assert_eq!(listed, [["usage-logs/acme/", "-", ""], ["usage-logs/acme/", "", "usage-logs/acme/2026-10-16_000000"]]);
        let [undated, recent] = &span.listings[..] else { panic!("two listings") };
        for (name, by_undated) in
            [("2026-11-01_080000.json", false), ("2026-11-01_080000-0a1b2c3d.json", false), ("2013aa.json", true), ("f0.json", true)]
        {
            let key = format!("usage-logs/acme/{name}");
            assert_eq!((covers(undated, &key), covers(recent, &key)), (by_undated, !by_undated), "{name}");
        }
        assert_eq!(span.cached, old);
        assert_eq!(of_customer("usage-logs/acme/", old, 499), whole("usage-logs/acme/"), "not worth it");
    }

    #[test]
    fn the_end_of_a_prefix_lies_behind_all_its_keys_and_before_the_next_prefix() {
        let end = end_of("usage-logs/acme/");
        assert!(end.as_str() > "usage-logs/acme/~zz\u{10fffd}/x.json" && end.as_str() < "usage-logs/acme0");
    }

    #[test]
    fn after_a_week_or_with_a_clock_that_went_back_all_is_listed() {
        assert_eq!(old_keys(&known(), at("2026-11-27T00:00:00Z")), None);
        assert_eq!(old_keys(&known(), at("2026-11-19T23:59:59Z")), None);
    }

    #[test]
    fn many_small_customers_are_listed_in_one_go() {
        assert!(one_by_one(50, 10_000) && !one_by_one(5, 3000) && !one_by_one(5000, 10_000));
        assert!(one_by_one(29, 3001) && !one_by_one(30, 3001), "as many requests as pages are none saved");
    }
}
