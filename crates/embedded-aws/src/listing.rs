//! One page of a bucket listing, from a sorted index, in time that grows with the page and not with the bucket.
//!
//! Pure: it decides what is on a page, in what order, and where the next one starts. It knows nothing of XML, tokens or requests.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What a listing asks for.
pub(crate) struct ListQuery<'a> {
    /// Only keys that start with this.
    pub(crate) prefix: &'a str,
    /// Keys that share what comes before its first occurrence after the prefix are rolled up into one entry.
    pub(crate) delimiter: Option<&'a str>,
    /// Only entries greater than this, in the order of their UTF-8 bytes.
    pub(crate) after: &'a str,
    /// At most this many entries.
    pub(crate) limit: usize,
}

/// One entry of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ListEntry<'a, T> {
    Object(&'a str, &'a T),
    Prefix(&'a str),
}

/// A page, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListPage<'a, T> {
    pub(crate) entries: Vec<ListEntry<'a, T>>,
    /// There are more entries after the last of these.
    pub(crate) truncated: bool,
}

impl<T> ListEntry<'_, T> {
    /// The key or the common prefix.
    pub(crate) fn name(&self) -> &str {
        match self {
            ListEntry::Object(name, _) | ListEntry::Prefix(name) => name,
        }
    }
}

/// The page of `objects` that `query` asks for.
pub(crate) fn list_page<'a, T>(
    objects: &'a BTreeMap<String, T>,
    query: &ListQuery,
) -> ListPage<'a, T> {
    let mut entries = Vec::new();
    let mut from = if query.after < query.prefix {
        Bound::Included(query.prefix.to_owned())
    } else {
        Bound::Excluded(query.after.to_owned())
    };
    if query.limit == 0 {
        // The answer of S3 to `max-keys=0`.
        return ListPage {
            entries,
            truncated: false,
        };
    }
    while let Some((key, value)) = objects
        .range::<str, _>((as_str(&from), Bound::Unbounded))
        .next()
    {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            break;
        };
        let rolled_up = query.delimiter.and_then(|delimiter| {
            rest.find(delimiter)
                .map(|at| &key[..query.prefix.len() + at + delimiter.len()])
        });
        let entry = rolled_up.map_or(ListEntry::Object(key, value), ListEntry::Prefix);
        if entry.name() > query.after {
            if entries.len() == query.limit {
                return ListPage {
                    entries,
                    truncated: true,
                };
            }
            entries.push(entry);
        }
        from = match rolled_up.map(after_all_with) {
            None => Bound::Excluded(key.clone()),
            Some(Some(next)) => Bound::Included(next),
            Some(None) => break,
        };
    }
    ListPage {
        entries,
        truncated: false,
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The smallest text greater than all texts that start with `prefix`, if there is one.
fn after_all_with(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The range of `char` excludes the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> BTreeMap<String, usize> {
        keys.iter()
            .map(|key| ((*key).to_owned(), key.len()))
            .collect()
    }

    fn names(
        keys: &[&str],
        prefix: &str,
        delimiter: Option<&str>,
        after: &str,
        limit: usize,
    ) -> (Vec<String>, bool) {
        let index = index(keys);
        let page = list_page(
            &index,
            &ListQuery {
                prefix,
                delimiter,
                after,
                limit,
            },
        );
        (
            page.entries
                .iter()
                .map(|entry| entry.name().to_owned())
                .collect(),
            page.truncated,
        )
    }

    // The keys and answers of the examples in S3's documentation of ListObjectsV2 and of prefixes and delimiters.
    const SAMPLE: [&str; 4] = [
        "photos/2006/February/sample2.jpg",
        "photos/2006/February/sample3.jpg",
        "photos/2006/January/sample.jpg",
        "sample.jpg",
    ];

    #[test]
    fn a_delimiter_rolls_keys_up_as_in_the_documentation() {
        assert_eq!(
            names(&SAMPLE, "", Some("/"), "", 1000),
            (vec!["photos/".into(), "sample.jpg".into()], false)
        );
        assert_eq!(
            names(&SAMPLE, "photos/2006/", Some("/"), "", 1000),
            (
                vec![
                    "photos/2006/February/".into(),
                    "photos/2006/January/".into()
                ],
                false
            )
        );
    }

    #[test]
    fn a_common_prefix_counts_as_one_and_is_not_repeated_on_the_next_page() {
        assert_eq!(
            names(&SAMPLE, "photos/2006/", Some("/"), "", 1),
            (vec!["photos/2006/February/".into()], true)
        );
        assert_eq!(
            names(
                &SAMPLE,
                "photos/2006/",
                Some("/"),
                "photos/2006/February/",
                1
            ),
            (vec!["photos/2006/January/".into()], false)
        );
    }

    #[test]
    fn the_last_full_page_is_not_truncated() {
        assert_eq!(
            names(&["a", "b"], "", None, "", 2),
            (vec!["a".into(), "b".into()], false)
        );
        assert_eq!(
            names(&["a", "b"], "", None, "", 1),
            (vec!["a".into()], true)
        );
        assert_eq!(names(&["a", "b"], "", None, "", 0), (vec![], false));
    }

    #[test]
    fn the_order_is_that_of_utf_8_bytes() {
        // U+FF5E precedes U+1F980 in UTF-8 and follows it in UTF-16.
        assert_eq!(
            names(
                &["\u{1f980}", "\u{ff5e}", "é", "z", "Z", "~"],
                "",
                None,
                "",
                9
            )
            .0,
            ["Z", "z", "~", "é", "\u{ff5e}", "\u{1f980}"]
        );
    }

    #[test]
    fn respects_a_marker_before_or_after_the_prefix() {
        assert_eq!(
            names(&["a", "b1", "b2", "c"], "b", None, "a", 9).0,
            ["b1", "b2"]
        );
        assert_eq!(names(&["a", "b1", "b2", "c"], "b", None, "b1", 9).0, ["b2"]);
        assert_eq!(
            names(&["a", "b1", "b2", "c"], "b", None, "c", 9).0,
            Vec::<String>::new()
        );
    }

    #[test]
    fn rolling_up_ends_at_the_end_of_unicode() {
        assert_eq!(
            names(
                &["\u{10ffff}x", "\u{10ffff}y"],
                "",
                Some("\u{10ffff}"),
                "",
                9
            )
            .0,
            ["\u{10ffff}"]
        );
        assert_eq!(
            names(
                &["a\u{d7ff}x", "a\u{d7ff}y", "b"],
                "",
                Some("\u{d7ff}"),
                "",
                9
            )
            .0,
            ["a\u{d7ff}", "b"]
        );
    }
}
