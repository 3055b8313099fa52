//! What becomes of the records that are found: read, chosen, folded into rows and totals; those of no use are named.
//!
//! Between the network and the cache on one side and the report on the other. Must not print.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;

use chrono::{DateTime, Utc};

mod unpacking;

use crate::cache::{Cache, Trouble};
use crate::choice::Choice;
use crate::fault::{Fault, Kind};
use crate::fetch::Sink;
use crate::layout;
use crate::listing::{Listed, Listing, Page};
use crate::logged::Deployment;
use crate::progress::Progress;
use crate::reading;
use crate::rows::Rows;
use crate::spans::{self, Known, Span};
use crate::summary::Summary;

/// The largest record that is read, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// What was found beside the rows.
#[derive(Debug, Default)]
pub struct Findings {
    /// Objects that gave no row, with the reason.
    pub unusable: BTreeSet<String>,
    /// Objects of which something was left out.
    pub partial: BTreeSet<String>,
    /// What of the archive could not be read, with the reason.
    pub archive: BTreeSet<String>,
}

/// A report being gathered.
#[derive(Debug)]
pub struct Gathering<'a, W: Write> {
    /// Who and when is wanted.
    pub choice: &'a Choice,
    /// The rows.
    pub rows: Option<Rows>,
    /// The totals.
    pub summary: Option<Summary>,
    /// What is of no use.
    pub findings: Findings,
    /// What was fetched before; `None` without a cache, or after it failed.
    pub cache: Option<Cache>,
    /// Why the cache failed.
    pub trouble: Option<String>,
    /// Whether it failed when it was read: then nothing that it gave is to be trusted.
    pub misled: bool,
    /// Whether it must be taken away.
    pub damaged: bool,
    /// Whether it was a temporary one: then the archive is left out of the next try.
    pub no_room: bool,
    /// The line on the terminal.
    pub progress: Progress<W>,
    /// The objects of the archive that there are.
    pub parts: BTreeSet<String>,
    /// The customers seen, by segment, and those among them of whom not everything is in the cache.
    pub seen: HashSet<String>,
    /// See `seen`.
    pub incomplete: HashSet<String>,
}

impl<W: Write> Gathering<'_, W> {
    /// How many records below a prefix the cache knows.
    pub fn known(&mut self, prefix: &str) -> Result<u64, Fault> {
        let Some(cache) = self.cache.take() else { return Ok(0) };
        let count = cache.count(prefix, &spans::end_of(prefix));
        self.settle(cache, count)
    }

    /// How to find the records of the customer below a prefix.
    pub fn span(&mut self, prefix: &str, now: DateTime<Utc>) -> Result<Span, Fault> {
        let Some(cache) = self.cache.take() else { return Ok(spans::whole(prefix)) };
        let span = || {
            let segment = layout::segment_of(prefix).unwrap_or_default().to_owned();
            let known = cache.complete_at(&segment)?.map(|complete_at| Known { segment, complete_at });
            let old = known.and_then(|known| spans::old_keys(&known, now));
            let count = old.as_ref().map_or(Ok(0), |(from, to)| cache.count(from, to))?;
            Ok(spans::of_customer(prefix, old, count))
        };
        let span = span();
        self.settle(cache, span)
    }

    /// Takes what the cache has from the first key to before the second.
    pub fn take_cached(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        let Some(cache) = self.cache.take() else { return Ok(()) };
        let done = cache.each(from, to, |listed, body| {
            if spans::is_dated(&listed.key) {
                self.take(listed, body);
            }
        });
        self.settle(cache, done)
    }

    /// Ends the use of the cache: writes what is new, and notes since when it has everything of the customers, by segment,
    /// for which `complete_at` gives a time. A run that wanted less than everything took nothing away.
    pub fn close_cache(&mut self, complete_at: impl Fn(&str) -> Option<DateTime<Utc>>) {
        let Some(mut cache) = self.cache.take() else { return };
        let done = cache.write().and_then(|()| {
            let complete = self.seen.difference(&self.incomplete).filter_map(|segment| Some((segment, complete_at(segment)?)));
            complete.into_iter().try_for_each(|(segment, at)| cache.set_complete(segment, at))
        });
        self.note(&cache, done);
    }

    fn settle<T>(&mut self, cache: Cache, done: Result<T, Trouble>) -> Result<T, Fault> {
        match done {
            Ok(done) => {
                self.cache = Some(cache);
                Ok(done)
            }
            Err(why) => {
                let text = format!("read the cache `{}`: {}", cache.file().display(), why.words);
                self.trouble = Some(text.clone());
                self.misled = true;
                self.no_room |= !cache.lasts();
                self.damaged |= why.damaged;
                Err(Fault::new(Kind::Local, text, ""))
            }
        }
    }

    fn note(&mut self, cache: &Cache, done: Result<(), Trouble>) {
        if let Err(why) = done {
            self.trouble = Some(format!("write the cache `{}`: {}", cache.file().display(), why.words));
            self.damaged |= why.damaged;
        }
    }

    /// Reads one object; without a body it is one that is too large.
    fn take(&mut self, listed: &Listed, body: Option<&[u8]>) {
        self.progress.done(1);
        let Some(key) = layout::parse_log_key(&listed.key) else { return };
        if !self.choice.may_want(&key) {
            return;
        }
        let read = match body {
            Some(body) => reading::read(body),
            None => Err(format!("it has {} bytes, and at most {LARGEST} are read", listed.size)),
        };
        match read {
            Ok(reading) => {
                let (deployment, problems) = Deployment::of(listed, &key, reading);
                if !self.choice.wants(&deployment) {
                    return;
                }
                if !problems.is_empty() {
                    self.findings.partial.insert(format!("`{}`: {}", listed.key, problems.join(", ")));
                }
                self.rows.iter_mut().for_each(|rows| rows.add(&deployment));
                self.summary.iter_mut().for_each(|summary| summary.add(&deployment));
            }
            Err(reason) => {
                self.findings.unusable.insert(format!("`{}`: {reason}", listed.key));
            }
        }
    }
}

impl<W: Write> Sink for Gathering<'_, W> {
    fn page(&mut self, listing: &Listing, after: &str, mut page: Page) -> Result<Vec<Listed>, Fault> {
        self.progress.listed(page.objects.len());
        let through = match (&page.next, page.objects.last()) {
            (Some(_), Some(last)) => last.key.clone(),
            // Of a page without an end nothing is known to be missing.
            (Some(_), None) => after.to_owned(),
            (None, _) => spans::end_of(&listing.prefix),
        };
        let after = after.max(&listing.prefix).to_owned();
        page.objects.retain(|listed| spans::covers(listing, &listed.key));
        let mut missing = match self.cache.take() {
            None => page.objects,
            Some(mut cache) => {
                let done = cache.compare(
                    &after,
                    &through,
                    page.objects,
                    |key| spans::covers(listing, key),
                    |listed, body| {
                        self.see(layout::segment_of(&listed.key).unwrap_or_default());
                        self.take(listed, body);
                    },
                );
                self.settle(cache, done)?
            }
        };
        missing.retain(|listed| {
            let Some(key) = layout::parse_log_key(&listed.key) else { return false };
            self.see(key.segment);
            let wanted = self.choice.may_want(&key);
            if !wanted {
                self.progress.done(1);
                self.incomplete.insert(key.segment.to_owned());
            }
            wanted
        });
        let (small, large): (Vec<Listed>, Vec<Listed>) = missing.into_iter().partition(|listed| listed.size <= LARGEST);
        for listed in large {
            self.take(&listed, None);
            self.keep(&listed, None);
        }
        Ok(small)
    }

    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>) {
        match body {
            Ok(Some(body)) => {
                self.take(listed, Some(&body));
                self.keep(listed, Some(body));
            }
            // Deleted since it was listed: as if it had never been there.
            Ok(None) => self.progress.done(1),
            Err(fault) => {
                self.findings.unusable.insert(fault.text);
                self.incomplete.extend(layout::segment_of(&listed.key).map(str::to_owned));
            }
        }
    }
}

impl<W: Write> Gathering<'_, W> {
    fn see(&mut self, segment: &str) {
        if !self.seen.contains(segment) {
            self.seen.insert(segment.to_owned());
        }
    }

    fn keep(&mut self, listed: &Listed, body: Option<Vec<u8>>) {
        let Some(mut cache) = self.cache.take() else { return };
        let done = cache.keep(listed, body);
        if done.is_ok() {
            self.cache = Some(cache);
        } else {
            self.note(&cache, done);
        }
    }
}
