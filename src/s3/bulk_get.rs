//! Lists prefixes and fetches objects concurrently, as fast as the server allows, in bounded
//! memory.
//!
//! Must not know what keys and bytes mean: an [`ObjectSink`] decides what to fetch.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use crate::error::{Error, ErrorKind};
use crate::s3::concurrency_limit::{AimdLimit, MAX_CONCURRENT_REQUESTS};
use crate::s3::listing::{ListPage, ListRequest, ObjectMeta};
use crate::s3::retry::RetryState;
use crate::s3::store::ObjectStore;
use crate::system::open_files::available_connections;

const LIST_CONCURRENCY: usize = 16;
/// No further page is requested while so many objects are queued.
const MAX_QUEUED_OBJECTS: usize = 2000;
const MAX_IN_FLIGHT_BYTES: u64 = 16 << 20;

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

    /// Receives the bytes of an object, `None` if it was deleted, or an error that concerns
    /// this object only.
    fn accept_object(&mut self, object: &ObjectMeta, body: Result<Option<Vec<u8>>, Error>);
}

/// Lists all of `requests` and fetches what `sink` asks for, each object up to `max_bytes`.
///
/// # Errors
/// A request failed after all retries, or the sink returned an error.
pub async fn list_and_fetch(
    store: Arc<ObjectStore>,
    requests: Vec<ListRequest>,
    max_bytes: u64,
    sink: &mut impl ObjectSink,
) -> Result<(), Error> {
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
            else => return Ok(()),
        }
    }
}

/// The folders below a prefix.
///
/// # Errors
/// A request failed after all retries.
pub async fn list_folders(
    store: &Arc<ObjectStore>,
    request: &ListRequest,
) -> Result<Vec<String>, Error> {
    let mut folders = Vec::new();
    let mut cursor = ListCursor::start(request.clone());
    loop {
        let (previous, page) = fetch_list_page(Arc::clone(store), cursor).await;
        cursor = previous;
        match page {
            Ok(page) => {
                folders.extend(page.folders);
                if page.next_token.is_none() {
                    return Ok(folders);
                }
                cursor.token = page.next_token;
                cursor.retry = RetryState::default();
            }
            Err(error) => cursor.retry.record_failure(error)?,
        }
    }
}

/// A listing and how far it has come.
#[derive(Debug, Clone)]
struct ListCursor {
    request: ListRequest,
    last_key: String,
    token: Option<String>,
    retry: RetryState,
}

impl ListCursor {
    fn start(request: ListRequest) -> Self {
        Self {
            last_key: request.start_after.clone(),
            request,
            token: None,
            retry: RetryState::default(),
        }
    }
}

#[derive(Debug)]
struct PendingGet {
    object: ObjectMeta,
    request_number: u64,
    retry: RetryState,
}

type FinishedList = (ListCursor, Result<ListPage, Error>);
type FinishedGet = (PendingGet, Result<Option<Vec<u8>>, Error>);

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

        let next_token = page.next_token.clone();
        let last_key = page.objects.last().map(|object| object.key.clone());
        let wanted = sink.accept_page(&cursor.request, &cursor.last_key, page)?;
        self.queue.extend(wanted);

        if next_token.is_some() {
            cursor.token = next_token;
            cursor.retry = RetryState::default();
            if let Some(last_key) = last_key {
                cursor.last_key = last_key;
            }
            self.cursors.push_front(cursor);
        }
        Ok(())
    }

    fn finish_get(
        &mut self,
        mut get: PendingGet,
        body: Result<Option<Vec<u8>>, Error>,
        sink: &mut impl ObjectSink,
    ) -> Result<(), Error> {
        match body {
            Err(error) if !error.is_object_error() => {
                self.limit.record_overload(get.request_number);
                get.retry.record_failure(error)?;
                get.request_number = self.limit.register_request();
                self.spawn_get(get);
            }
            body => {
                self.limit.record_answer();
                self.in_flight_bytes -= get.object.size;
                sink.accept_object(&get.object, body);
            }
        }
        Ok(())
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
    let body = store.get_small_object(&get.object.key, max_bytes).await;
    (get, body)
}

fn join_result<T>(finished: Result<T, JoinError>) -> Result<T, Error> {
    finished.map_err(|error| {
        let message = format!("cannot complete a request: its task failed: {error}");
        Error::new(ErrorKind::Local, message, "")
    })
}
