//! Listing and fetching at the same time, as fast as the server lets us, in bounded memory.
//!
//! Knows keys and bytes, and nothing about what they mean: whoever gets them decides what to fetch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use crate::error::{Error, ErrorKind};
use crate::s3::concurrency_limit::{AimdLimit, MAX_CONCURRENT_REQUESTS};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::store::ObjectStore;
use crate::system::host;

/// Listings under way at once.
const LIST_CONCURRENCY: usize = 16;
/// With so many objects waiting to be fetched, no further page is asked for.
const MAX_QUEUED_OBJECTS: usize = 2000;
/// The most bytes of objects under way at once.
const MAX_IN_FLIGHT_BYTES: u64 = 16 << 20;
/// How often a request is tried that fails for reasons that pass.
const MAX_ATTEMPTS: u32 = 4;
/// How often one is tried that the server was too busy for.
const MAX_ATTEMPTS_WHEN_THROTTLED: u32 = 10;
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Whoever wants objects.
pub trait ObjectSink {
    /// Takes a page of `listing`, of which the keys up to `after` came before, and gives back the objects to fetch.
    fn accept_page(
        &mut self,
        listing: &ListRequest,
        after: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error>;
    /// Takes an object that was fetched: its bytes, `None` if it is gone, or a fault that is its own and not the server's.
    fn accept_object(&mut self, listed: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>);
}

/// A listing and how far it has come.
#[derive(Debug, Clone)]
struct ListCursor {
    request: ListRequest,
    last_key: String,
    token: Option<String>,
    tries: u32,
}

#[derive(Debug)]
struct PendingGet {
    object: ObjectMeta,
    request_number: u64,
    tries: u32,
}

/// Goes through all `listings` and fetches what `sink` wants of them, each object at most `limit` bytes.
///
/// # Errors
/// The first request that failed for good, or what the sink says.
pub async fn list_and_fetch(
    store: Arc<ObjectStore>,
    listings: Vec<ListRequest>,
    limit: u64,
    sink: &mut impl ObjectSink,
) -> Result<(), Error> {
    let start = |listing: ListRequest| ListCursor {
        last_key: listing.start_after.clone(),
        request: listing,
        token: None,
        tries: 0,
    };
    let mut cursors: VecDeque<ListCursor> = listings.into_iter().map(start).collect();
    let mut wanted: VecDeque<ObjectMeta> = VecDeque::new();
    let mut rate = AimdLimit::new(host::available_connections(MAX_CONCURRENT_REQUESTS));
    let mut bytes = 0;
    let (mut lists, mut gets) = (JoinSet::new(), JoinSet::new());
    loop {
        while lists.len() < LIST_CONCURRENCY && wanted.len() < MAX_QUEUED_OBJECTS {
            let Some(cursor) = cursors.pop_front() else {
                break;
            };
            lists.spawn(fetch_list_page(Arc::clone(&store), cursor));
        }
        while gets.len() < rate.current_limit() && bytes < MAX_IN_FLIGHT_BYTES {
            let Some(listed) = wanted.pop_front() else {
                break;
            };
            bytes += listed.size;
            gets.spawn(fetch_object(
                Arc::clone(&store),
                PendingGet {
                    object: listed,
                    request_number: rate.register_request(),
                    tries: 0,
                },
                limit,
            ));
        }
        tokio::select! {
            Some(done) = lists.join_next() => {
                let (mut cursor, page) = join_result(done)?;
                match page {
                    Ok(page) => {
                        let next = page.next_token.clone();
                        let last = page.objects.last().map(|object| object.key.clone());
                        wanted.extend(sink.accept_page(&cursor.request, &cursor.last_key, page)?);
                        if next.is_some() {
                            cursor = ListCursor { last_key: last.unwrap_or(cursor.last_key), token: next, tries: 0, ..cursor };
                            cursors.push_front(cursor);
                        }
                    }
                    Err(fault) => {
                        cursor.tries = count_failed_attempt(cursor.tries, fault)?;
                        lists.spawn(fetch_list_page(Arc::clone(&store), cursor));
                    }
                }
            }
            Some(done) = gets.join_next() => {
                let (mut one, body) = join_result(done)?;
                match body {
                    Err(fault) if !fault.is_object_error() => {
                        rate.record_overload(one.request_number);
                        one.tries = count_failed_attempt(one.tries, fault)?;
                        one.request_number = rate.register_request();
                        gets.spawn(fetch_object(Arc::clone(&store), one, limit));
                    }
                    body => {
                        rate.record_answer();
                        bytes -= one.object.size;
                        sink.accept_object(&one.object, body);
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
pub async fn list_folders(
    store: &Arc<ObjectStore>,
    listing: &ListRequest,
) -> Result<Vec<String>, Error> {
    let mut folders = Vec::new();
    let mut cursor = ListCursor {
        request: listing.clone(),
        last_key: String::new(),
        token: None,
        tries: 0,
    };
    loop {
        let (tried, page) = fetch_list_page(Arc::clone(store), cursor).await;
        cursor = match page {
            Ok(page) => {
                folders.extend(page.folders);
                if page.next_token.is_none() {
                    return Ok(folders);
                }
                ListCursor {
                    token: page.next_token,
                    tries: 0,
                    ..tried
                }
            }
            Err(fault) => ListCursor {
                tries: count_failed_attempt(tried.tries, fault)?,
                ..tried
            },
        };
    }
}

/// Sends one request, and again where it fails for reasons that pass.
///
/// # Errors
/// The fault of the last try.
pub async fn retry_with_backoff<T, F: Future<Output = Result<T, Error>>>(
    request: impl Fn() -> F,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => tries = count_failed_attempt(tries, fault)?,
        }
        tokio::time::sleep(backoff_delay(tries, 0)).await;
    }
}

async fn fetch_list_page(
    store: Arc<ObjectStore>,
    cursor: ListCursor,
) -> (ListCursor, Result<ListPage, Error>) {
    tokio::time::sleep(backoff_delay(cursor.tries, 0)).await;
    let page = store
        .list_page(&cursor.request, cursor.token.as_deref())
        .await;
    (cursor, page)
}

async fn fetch_object(
    store: Arc<ObjectStore>,
    one: PendingGet,
    limit: u64,
) -> (PendingGet, Result<Option<Vec<u8>>, Error>) {
    tokio::time::sleep(backoff_delay(one.tries, one.request_number)).await;
    let body = store.get_small_object(&one.object.key, limit).await;
    (one, body)
}

/// The number of tries after one more that failed; the fault, when that was the last.
fn count_failed_attempt(tries: u32, fault: Error) -> Result<u32, Error> {
    let tries = tries + 1;
    let most = if matches!(fault.status, Some(429 | 503)) {
        MAX_ATTEMPTS_WHEN_THROTTLED
    } else {
        MAX_ATTEMPTS
    };
    if fault.is_retryable() && tries < most {
        Ok(tries)
    } else {
        Err(fault)
    }
}

/// How long to wait before a try: longer each time, and not the same for all that failed at once.
fn backoff_delay(tries: u32, number: u64) -> Duration {
    if tries == 0 {
        return Duration::ZERO;
    }
    let longest = INITIAL_BACKOFF
        .saturating_mul(1 << (tries - 1).min(16))
        .min(MAX_BACKOFF);
    // The golden ratio spreads consecutive numbers evenly.
    let share = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    longest / 2 + longest * u32::try_from(share).unwrap_or_default() / 512
}

fn join_result<T>(done: Result<T, JoinError>) -> Result<T, Error> {
    done.map_err(|error| {
        Error::new(
            ErrorKind::Local,
            format!("fetch: a request ended in an unexpected way: {error}"),
            "",
        )
    })
}
