//! Listing and fetching at the same time, as fast as the server lets us, in bounded memory.
//!
//! Knows keys and bytes, and nothing about what they mean: whoever gets them decides what to fetch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use crate::aws::Store;
use crate::fault::{Fault, Kind};
use crate::host;
use crate::listing::{Listed, Listing, Page};
use crate::pace::{MOST, Pace};

/// Listings under way at once.
const LISTINGS: usize = 16;
/// With so many objects waiting to be fetched, no further page is asked for.
const AHEAD: usize = 2000;
/// The most bytes of objects under way at once.
const UNDER_WAY: u64 = 16 << 20;
/// How often a request is tried that fails for reasons that pass.
const TRIES: u32 = 4;
/// How often one is tried that the server was too busy for.
const TRIES_WHEN_BUSY: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Whoever wants objects.
pub trait Sink {
    /// Takes a page of `listing`, of which the keys up to `after` came before, and gives back the objects to fetch.
    fn page(&mut self, listing: &Listing, after: &str, page: Page) -> Result<Vec<Listed>, Fault>;
    /// Takes an object that was fetched: its bytes, `None` if it is gone, or a fault that is its own and not the server's.
    fn object(&mut self, listed: &Listed, body: Result<Option<Vec<u8>>, Fault>);
}

/// A listing and how far it has come.
#[derive(Debug, Clone)]
struct Cursor {
    listing: Listing,
    after: String,
    token: Option<String>,
    tries: u32,
}

#[derive(Debug)]
struct Get {
    listed: Listed,
    number: u64,
    tries: u32,
}

/// Goes through all `listings` and fetches what `sink` wants of them, each object at most `limit` bytes.
///
/// # Errors
/// The first request that failed for good, or what the sink says.
pub async fn all(store: Arc<Store>, listings: Vec<Listing>, limit: u64, sink: &mut impl Sink) -> Result<(), Fault> {
    let start = |listing: Listing| Cursor { after: listing.after.clone(), listing, token: None, tries: 0 };
    let mut cursors: VecDeque<Cursor> = listings.into_iter().map(start).collect();
    let mut wanted: VecDeque<Listed> = VecDeque::new();
    let mut rate = Pace::new(host::connections(MOST));
    let mut bytes = 0;
    let (mut lists, mut gets) = (JoinSet::new(), JoinSet::new());
    loop {
        while lists.len() < LISTINGS && wanted.len() < AHEAD {
            let Some(cursor) = cursors.pop_front() else { break };
            lists.spawn(list(Arc::clone(&store), cursor));
        }
        while gets.len() < rate.limit() && bytes < UNDER_WAY {
            let Some(listed) = wanted.pop_front() else { break };
            bytes += listed.size;
            gets.spawn(get(Arc::clone(&store), Get { listed, number: rate.send(), tries: 0 }, limit));
        }
        tokio::select! {
            Some(done) = lists.join_next() => {
                let (mut cursor, page) = whole(done)?;
                match page {
                    Ok(page) => {
                        let next = page.next.clone();
                        let last = page.objects.last().map(|object| object.key.clone());
                        wanted.extend(sink.page(&cursor.listing, &cursor.after, page)?);
                        if next.is_some() {
                            cursor = Cursor { after: last.unwrap_or(cursor.after), token: next, tries: 0, ..cursor };
                            cursors.push_front(cursor);
                        }
                    }
                    Err(fault) => {
                        cursor.tries = again(cursor.tries, fault)?;
                        lists.spawn(list(Arc::clone(&store), cursor));
                    }
                }
            }
            Some(done) = gets.join_next() => {
                let (mut one, body) = whole(done)?;
                match body {
                    Err(fault) if !fault.is_of_the_object() => {
                        rate.overloaded(one.number);
                        one.tries = again(one.tries, fault)?;
                        one.number = rate.send();
                        gets.spawn(get(Arc::clone(&store), one, limit));
                    }
                    body => {
                        rate.answered();
                        bytes -= one.listed.size;
                        sink.object(&one.listed, body);
                    }
                }
            }
            else => return Ok(()),
        }
    }
}

/// The folders of a listing.
///
/// # Errors
/// A request that failed for good.
pub async fn folders(store: &Arc<Store>, listing: &Listing) -> Result<Vec<String>, Fault> {
    let mut folders = Vec::new();
    let mut cursor = Cursor { listing: listing.clone(), after: String::new(), token: None, tries: 0 };
    loop {
        let (tried, page) = list(Arc::clone(store), cursor).await;
        cursor = match page {
            Ok(page) => {
                folders.extend(page.folders);
                if page.next.is_none() {
                    return Ok(folders);
                }
                Cursor { token: page.next, tries: 0, ..tried }
            }
            Err(fault) => Cursor { tries: again(tried.tries, fault)?, ..tried },
        };
    }
}

/// Sends one request, and again where it fails for reasons that pass.
///
/// # Errors
/// The fault of the last try.
pub async fn patiently<T, F: Future<Output = Result<T, Fault>>>(request: impl Fn() -> F) -> Result<T, Fault> {
    let mut tries = 0;
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => tries = again(tries, fault)?,
        }
        tokio::time::sleep(wait(tries, 0)).await;
    }
}

async fn list(store: Arc<Store>, cursor: Cursor) -> (Cursor, Result<Page, Fault>) {
    tokio::time::sleep(wait(cursor.tries, 0)).await;
    let page = store.list(&cursor.listing, cursor.token.as_deref()).await;
    (cursor, page)
}

async fn get(store: Arc<Store>, one: Get, limit: u64) -> (Get, Result<Option<Vec<u8>>, Fault>) {
    tokio::time::sleep(wait(one.tries, one.number)).await;
    let body = store.get_quickly(&one.listed.key, limit).await;
    (one, body)
}

/// The number of tries after one more that failed; the fault, when that was the last.
fn again(tries: u32, fault: Fault) -> Result<u32, Fault> {
    let tries = tries + 1;
    let most = if matches!(fault.status, Some(429 | 503)) { TRIES_WHEN_BUSY } else { TRIES };
    if fault.may_pass() && tries < most { Ok(tries) } else { Err(fault) }
}

/// How long to wait before a try: longer each time, and not the same for all that failed at once.
fn wait(tries: u32, number: u64) -> Duration {
    if tries == 0 {
        return Duration::ZERO;
    }
    let longest = FIRST_WAIT.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_WAIT);
    // The golden ratio spreads consecutive numbers evenly.
    let share = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    longest / 2 + longest * u32::try_from(share).unwrap_or_default() / 512
}

fn whole<T>(done: Result<T, JoinError>) -> Result<T, Fault> {
    done.map_err(|error| Fault::new(Kind::Local, format!("fetch: a request ended in an unexpected way: {error}"), ""))
}
