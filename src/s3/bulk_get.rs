//! Lists prefixes and fetches objects concurrently, as fast as the server allows, in bounded
//! memory.
//!
//! Must not know what keys and bytes mean: an [`ObjectSink`] decides what to fetch.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use crate::error::{Error, ErrorKind};
use crate::s3::concurrency_limit::{AimdLimit, MAX_CONCURRENT_REQUESTS};
use crate::s3::list_cursor::ListCursor;
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::object_failures::ObjectFailures;
use crate::s3::retry::RetryState;
use crate::s3::store::ObjectStore;
use crate::system::open_files::available_connections;

const LIST_CONCURRENCY: usize = 16;
/// No further page is requested while so many objects are queued.
const MAX_QUEUED_OBJECTS: usize = 2000;
const MAX_IN_FLIGHT_BYTES: u64 = 16 << 20;
pub(crate) const LISTED_BUT_MISSING: &str = "S3 lists it, and answers that it does not exist";

/// Receives listed pages and fetched objects.
pub trait ObjectSink {
    /// Receives a page of `request` and returns the objects to fetch. The keys up to
    /// `previous_key` were on earlier pages.
    fn accept_page(
        &mut self,
        request: &ListRequest,
        previous_key: &str,
        page: ListPage,
    ) -> Result<Vec<ObjectMeta>, Error>;

    /// Receives the bytes of an object, `None` if it was deleted, or an error that may concern
    /// this object only. `object` is as S3 lists it now.
    fn accept_object(&mut self, object: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>);
}

/// Lists all of `requests` and fetches what `sink` asks for, each object up to `max_bytes`.
///
/// The caller must confirm the failures that it returns: the sink has got their errors.
///
/// # Errors
/// A listing failed after all retries or is not complete, a request failed for a reason that
/// concerns all objects, or the sink returned an error.
pub(crate) async fn list_and_fetch(
    store: Arc<ObjectStore>,
    requests: Vec<ListRequest>,
    max_bytes: u64,
    sink: &mut impl ObjectSink,
) -> Result<ObjectFailures, Error> {
    let mut fetcher = BulkFetcher::new(store, requests, max_bytes);
    loop {
        fetcher.start_lists();
        fetcher.start_gets();
        tokio::select! {
            Some(finished) = fetcher.lists.join_next() => {
                let (cursor, page) = join_result(finished)?;
                fetcher.finish_list(cursor, page, sink)?;
            }
            Some(finished) = fetcher.gets.join_next() => {
                let (get, body) = join_result(finished)?;
                fetcher.finish_get(get, body, sink)?;
            }
            else => return Ok(fetcher.failures),
        }
    }
}

/// The folders below a prefix.
///
/// # Errors
/// A request failed after all retries, or the listing is not complete.
pub async fn list_folders(
    store: &Arc<ObjectStore>,
    request: &ListRequest,
) -> Result<Vec<String>, Error> {
    let mut folders = BTreeSet::new();
    let mut cursor = ListCursor::start(request.clone());
    loop {
        let (previous, page) = fetch_list_page(Arc::clone(store), cursor).await;
        cursor = previous;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                cursor.retry.record_failure(error)?;
                continue;
            }
        };
        let has_more = advance_cursor(store, &mut cursor, &page)?;
        // A server that does not know delimiters lists the keys.
        let keys = page.objects.iter();
        folders.extend(keys.filter_map(|object| folder_of_key(request, &object.key)));
        folders.extend(page.folders);
        if !has_more {
            return Ok(folders.into_iter().collect());
        }
    }
}

/// The keys of the first pages.
///
/// # Errors
/// A request failed, or the listing is not complete.
pub async fn list_first_keys(
    store: &ObjectStore,
    request: &ListRequest,
    max_pages: usize,
) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    let mut cursor = ListCursor::start(request.clone());
    for _ in 0..max_pages {
        let page = store.list_page(request, cursor.token.as_deref()).await?;
        let has_more = advance_cursor(store, &mut cursor, &page)?;
        keys.extend(page.objects.into_iter().map(|object| object.key));
        if !has_more {
            break;
        }
    }
    Ok(keys)
}

fn folder_of_key(request: &ListRequest, key: &str) -> Option<String> {
    let below = key.strip_prefix(&request.prefix)?;
    let (name, _) = below.split_once(request.delimiter)?;
    Some(format!("{}{name}{}", request.prefix, request.delimiter))
}

fn advance_cursor(
    store: &ObjectStore,
    cursor: &mut ListCursor,
    page: &ListPage,
) -> Result<bool, Error> {
    let has_more = cursor.advance(page);
    has_more.map_err(|cause| store.listing_error(&cursor.request.prefix, &cause))
}

#[derive(Debug)]
struct PendingGet {
    object: ObjectMeta,
    request_number: u64,
    retry: RetryState,
    /// Whether S3 was asked again for what it lists, because the object was another one.
    is_listed_again: bool,
}

/// The result of fetching a listed object.
enum FetchedObject {
    Body(Vec<u8>),
    Deleted,
    /// It was overwritten since it was listed.
    Overwritten(ObjectMeta),
}

type FinishedList = (ListCursor, Result<ListPage, Error>);
type FinishedGet = (PendingGet, Result<FetchedObject, Error>);

/// What is still to be listed and fetched, and what is in flight.
#[derive(Debug)]
struct BulkFetcher {
    store: Arc<ObjectStore>,
    max_bytes: u64,
    cursors: VecDeque<ListCursor>,
    queue: VecDeque<ObjectMeta>,
    limit: AimdLimit,
    in_flight_bytes: u64,
    lists: JoinSet<FinishedList>,
    gets: JoinSet<FinishedGet>,
    failures: ObjectFailures,
}

impl BulkFetcher {
    fn new(store: Arc<ObjectStore>, requests: Vec<ListRequest>, max_bytes: u64) -> Self {
        let connections = available_connections(MAX_CONCURRENT_REQUESTS);
        Self {
            store,
            max_bytes,
            cursors: requests.into_iter().map(ListCursor::start).collect(),
            queue: VecDeque::new(),
            limit: AimdLimit::new(connections),
            in_flight_bytes: 0,
            lists: JoinSet::new(),
            gets: JoinSet::new(),
            failures: ObjectFailures::default(),
        }
    }

    fn start_lists(&mut self) {
        while self.lists.len() < LIST_CONCURRENCY && self.queue.len() < MAX_QUEUED_OBJECTS {
            let Some(cursor) = self.cursors.pop_front() else {
                return;
            };
            self.spawn_list(cursor);
        }
    }

    fn start_gets(&mut self) {
        while self.gets.len() < self.limit.current_limit()
            && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES
        {
            let Some(object) = self.queue.pop_front() else {
                return;
            };
            self.in_flight_bytes += object.size;
            let get = PendingGet {
                object,
                request_number: self.limit.register_request(),
                retry: RetryState::default(),
                is_listed_again: false,
            };
            self.spawn_get(get);
        }
    }

    fn finish_list(
        &mut self,
        mut cursor: ListCursor,
        page: Result<ListPage, Error>,
        sink: &mut impl ObjectSink,
    ) -> Result<(), Error> {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                cursor.retry.record_failure(error)?;
                self.spawn_list(cursor);
                return Ok(());
            }
        };

        let previous_key = cursor.last_key.clone();
        let has_more = advance_cursor(&self.store, &mut cursor, &page)?;
        let wanted = sink.accept_page(&cursor.request, &previous_key, page)?;
        self.queue.extend(wanted);
        if has_more {
            self.cursors.push_front(cursor);
        }
        Ok(())
    }

    fn finish_get(
        &mut self,
        mut get: PendingGet,
        fetched: Result<FetchedObject, Error>,
        sink: &mut impl ObjectSink,
    ) -> Result<(), Error> {
        match fetched {
            Ok(FetchedObject::Overwritten(object)) => {
                self.limit.record_answer();
                self.in_flight_bytes += object.size;
                self.in_flight_bytes -= get.object.size;
                get.object = object;
                get.is_listed_again = true;
                get.request_number = self.limit.register_request();
                self.spawn_get(get);
            }
            Ok(FetchedObject::Body(body)) => {
                self.failures.add_read();
                self.end_get(&get, Ok(Some(body)), sink);
            }
            Ok(FetchedObject::Deleted) => self.end_get(&get, Ok(None), sink),
            Err(error) if error.is_retryable() => {
                self.limit.record_overload(get.request_number);
                if let Err(error) = get.retry.record_failure(error) {
                    self.failures.add_failure(&get.object.key, &error)?;
                    self.end_get(&get, Err(error), sink);
                    return Ok(());
                }
                get.request_number = self.limit.register_request();
                self.spawn_get(get);
            }
            Err(error) => {
                self.failures.add_failure(&get.object.key, &error)?;
                self.end_get(&get, Err(error), sink);
            }
        }
        Ok(())
    }

    fn end_get(
        &mut self,
        get: &PendingGet,
        body: Result<Option<Vec<u8>>, Error>,
        sink: &mut impl ObjectSink,
    ) {
        self.limit.record_answer();
        self.in_flight_bytes -= get.object.size;
        sink.accept_object(&get.object, body);
    }

    fn spawn_list(&mut self, cursor: ListCursor) {
        let store = Arc::clone(&self.store);
        self.lists.spawn(fetch_list_page(store, cursor));
    }

    fn spawn_get(&mut self, get: PendingGet) {
        let store = Arc::clone(&self.store);
        self.gets.spawn(fetch_object(store, get, self.max_bytes));
    }
}

async fn fetch_list_page(store: Arc<ObjectStore>, cursor: ListCursor) -> FinishedList {
    cursor.retry.wait().await;
    let token = cursor.token.as_deref();
    let page = store.list_page(&cursor.request, token).await;
    (cursor, page)
}

async fn fetch_object(store: Arc<ObjectStore>, get: PendingGet, max_bytes: u64) -> FinishedGet {
    get.retry.wait().await;
    let fetched = fetch_listed_object(&store, &get, max_bytes).await;
    (get, fetched)
}

/// Fetches an object, and asks S3 again for what it lists if the object is another one.
async fn fetch_listed_object(
    store: &ObjectStore,
    get: &PendingGet,
    max_bytes: u64,
) -> Result<FetchedObject, Error> {
    let object = &get.object;
    // The listed size bounds the memory that all bodies together take.
    let limit = object.size.min(max_bytes);
    let contradiction = match store.get_small_object(&object.key, limit).await {
        Ok(Some(body)) if body.len() as u64 == object.size => return Ok(FetchedObject::Body(body)),
        Ok(Some(body)) => format!("it has {} bytes, and S3 lists {}", body.len(), object.size),
        Ok(None) => LISTED_BUT_MISSING.to_owned(),
        Err(error) if is_too_large(&error) => {
            format!("it has more than the {} bytes that S3 lists", object.size)
        }
        Err(error) => return Err(error),
    };

    let now = match find_listed_object(store, &object.key).await {
        Ok(Some(now)) => now,
        Ok(None) => return Ok(FetchedObject::Deleted),
        Err(error) if error.kind == ErrorKind::Denied => object.clone(),
        Err(error) => return Err(error),
    };
    if now != *object && !get.is_listed_again {
        return Ok(FetchedObject::Overwritten(now));
    }
    let message = format!(
        "cannot get `{}`: {contradiction}",
        store.object_uri(&object.key)
    );
    Err(Error::new(ErrorKind::Service, message, ""))
}

fn is_too_large(error: &Error) -> bool {
    error.kind == ErrorKind::Service && error.status.is_none()
}

/// What S3 lists of a key now.
pub(crate) async fn find_listed_object(
    store: &ObjectStore,
    key: &str,
) -> Result<Option<ObjectMeta>, Error> {
    let request = ListRequest {
        prefix: key.to_owned(),
        ..ListRequest::default()
    };
    let page = store.list_page(&request, None).await?;
    let mut objects = page.objects.into_iter();
    Ok(objects.find(|object| object.key == key))
}

fn join_result<T>(finished: Result<T, JoinError>) -> Result<T, Error> {
    finished.map_err(|error| {
        let message = format!("cannot complete a request: its task failed: {error}");
        Error::new(ErrorKind::Local, message, "")
    })
}
