//! The part of S3 that `report` and `compact` use, over synthetic records. It serves
//! `ListObjectsV2` and `GetObject` without checking signatures, and keeps objects of `PutObject` in
//! memory.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use crate::records::{SyntheticRecord, SyntheticRecords, format_time};

/// Keys per page, as in S3.
const PAGE: usize = 1000;

/// The path that returns the numbers of requested pages and records.
const COUNTS: &str = "/counts";

/// The path that expires all records before a time in seconds, as a lifecycle rule would.
const EXPIRE: &str = "/expire/";

/// The prefix of the archive.
const ARCHIVE: &str = "usage-logs-archive/";

/// The records, their archive, and request counts.
struct SyntheticBucket {
    records: SyntheticRecords,
    archive: Mutex<BTreeMap<String, Bytes>>,
    expired: AtomicU64,
    pages: AtomicU64,
    objects: AtomicU64,
}

impl SyntheticBucket {
    fn new(records: SyntheticRecords) -> Self {
        let zero = AtomicU64::default;
        Self {
            records,
            archive: Mutex::default(),
            expired: zero(),
            pages: zero(),
            objects: zero(),
        }
    }

    fn has(&self, record: &SyntheticRecord) -> bool {
        record.modified >= self.expired.load(Ordering::Relaxed)
    }
}

pub(crate) async fn serve_bucket(
    listener: TcpListener,
    records: SyntheticRecords,
) -> io::Result<()> {
    let bucket = Arc::new(SyntheticBucket::new(records));
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let bucket = Arc::clone(&bucket);
        let service = service_fn(move |request| {
            let bucket = Arc::clone(&bucket);
            async move {
                Ok::<_, Infallible>(if request.method() == Method::PUT {
                    store_archive_object(&bucket, request).await
                } else {
                    answer_request(&bucket, &request)
                })
            }
        });
        // The client notices a failed connection.
        tokio::spawn(async move {
            http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await
                .ok()
        });
    }
}

async fn store_archive_object(
    bucket: &SyntheticBucket,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let key = key_of_request(&request);
    let Ok(body) = request.into_body().collect().await else {
        return Response::default();
    };
    bucket
        .archive
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key, body.to_bytes());
    Response::builder()
        .header("etag", "\"kept\"")
        .body(Full::default())
        .unwrap_or_default()
}

fn key_of_request(request: &Request<Incoming>) -> String {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    path.trim_start_matches('/')
        .split_once('/')
        .map_or_else(String::new, |(_, key)| key.to_owned())
}

fn answer_request(bucket: &SyntheticBucket, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let SyntheticBucket {
        records,
        archive,
        expired,
        pages,
        objects,
    } = bucket;
    if let Some(moment) = request
        .uri()
        .path()
        .strip_prefix(EXPIRE)
        .and_then(|moment| moment.parse().ok())
    {
        expired.store(moment, Ordering::Relaxed);
        return Response::default();
    }
    if request.uri().path() == COUNTS {
        let counts = format!(
            "{} {}\n",
            pages.load(Ordering::Relaxed),
            objects.load(Ordering::Relaxed)
        );
        return Response::new(Full::new(Bytes::from(counts)));
    }
    let key = key_of_request(request);
    let counter = if key.is_empty() { pages } else { objects };
    counter.fetch_add(1, Ordering::Relaxed);
    let archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(body) = archive.get(&key) {
        return Response::builder()
            .header("etag", "\"kept\"")
            .body(Full::new(body.clone()))
            .unwrap_or_default();
    }
    let (status, kind, headers, body) = if key.is_empty() {
        (
            StatusCode::OK,
            "application/xml",
            None,
            list_objects(bucket, &archive, request.uri().query().unwrap_or_default()),
        )
    } else if let Some(record) = records.find(&key).filter(|record| bucket.has(record)) {
        let modified = format_time(record.modified, "%a, %d %b %Y %H:%M:%S GMT");
        (
            StatusCode::OK,
            "application/json",
            Some((etag(&record), modified)),
            record.body,
        )
    } else {
        let body = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
        (
            StatusCode::NOT_FOUND,
            "application/xml",
            None,
            body.to_owned(),
        )
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", kind);
    if let Some((tag, modified)) = headers {
        response = response
            .header("etag", format!("\"{tag}\""))
            .header("last-modified", modified);
    }
    response
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_default()
}

/// Unique for each key, and not in the form of an MD5, so that clients do not verify it.
fn etag(record: &SyntheticRecord) -> String {
    format!("{:016x}-{:x}", record.modified, record.body.len())
}

fn list_objects(
    bucket: &SyntheticBucket,
    archive: &BTreeMap<String, Bytes>,
    query: &str,
) -> String {
    let query: HashMap<String, String> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let asked = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let (prefix, by_folder) = (asked("prefix"), asked("delimiter") == "/");
    let after = [asked("start-after"), asked("continuation-token")]
        .into_iter()
        .max()
        .unwrap_or_default();
    if prefix.starts_with(ARCHIVE) {
        return list_archive(archive, prefix, after);
    }
    let records = &bucket.records;
    let mut at = records.first_after(after);
    if after < prefix {
        at = records.first_after(prefix);
    }
    let (mut body, mut count, mut last) = (String::new(), 0, String::new());
    let mut truncated = false;
    while at < records.count() {
        let key = records.key(at);
        let Some(rest) = key.strip_prefix(prefix) else {
            break;
        };
        let record = records.get(at);
        if !bucket.has(&record) {
            at += 1;
            continue;
        }
        if count == PAGE {
            truncated = true;
            break;
        }
        count += 1;
        if let Some((folder, _)) = rest.split_once('/').filter(|_| by_folder) {
            let _ = write!(
                body,
                "<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"
            );
            // After every key of the folder.
            last = format!("{prefix}{folder}/\u{10ffff}");
            at = records.first_after(&last);
        } else {
            push_contents(
                &mut body,
                &key,
                &format_time(record.modified, "%Y-%m-%dT%H:%M:%S.000Z"),
                &etag(&record),
                record.body.len(),
            );
            last = key;
            at += 1;
        }
    }
    list_page_xml(&body, count, truncated.then_some(&last))
}

fn list_archive(archive: &BTreeMap<String, Bytes>, prefix: &str, after: &str) -> String {
    let behind = (Bound::Excluded(after.max(prefix)), Bound::Unbounded);
    let mut body = String::new();
    let (mut count, mut last) = (0, None);
    let mut there = archive
        .range::<str, _>(behind)
        .take_while(|(key, _)| key.starts_with(prefix));
    for (key, part) in there.by_ref().take(PAGE) {
        push_contents(
            &mut body,
            key,
            "2026-11-24T00:00:00.000Z",
            "kept",
            part.len(),
        );
        count += 1;
        last = Some(key);
    }
    list_page_xml(&body, count, there.next().and(last))
}

fn push_contents(body: &mut String, key: &str, modified: &str, tag: &str, size: usize) {
    let _ = write!(
        body,
        "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>&quot;{tag}&quot;</ETag><Size>{size}</Size>\
         <StorageClass>STANDARD</StorageClass></Contents>"
    );
}

fn list_page_xml(body: &str, count: usize, next: Option<&String>) -> String {
    let truncated = next.is_some();
    let next = next.map_or_else(String::new, |last| {
        format!("<NextContinuationToken>{last}</NextContinuationToken>")
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <EncodingType>url</EncodingType><KeyCount>{count}</KeyCount><MaxKeys>{PAGE}</MaxKeys>\
         <IsTruncated>{truncated}</IsTruncated>{next}{body}</ListBucketResult>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::RecordOptions;

    fn small_bucket() -> SyntheticBucket {
        SyntheticBucket::new(SyntheticRecords::new(RecordOptions {
            count: 5000,
            customers: 10,
            users: 20,
            days: 400,
            until: 1_790_000_000,
            worst: false,
        }))
    }

    fn keys_of_page(page: &str, before: &str) -> Vec<String> {
        page.split(before)
            .skip(1)
            .filter_map(|rest| rest.split_once('<'))
            .map(|(key, _)| key.to_owned())
            .collect()
    }

    #[test]
    fn pages_list_every_key_once() {
        let bucket = small_bucket();
        let records = &bucket.records;
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = list_objects(
                &bucket,
                &BTreeMap::new(),
                &format!("list-type=2&prefix=usage-logs%2F&continuation-token={token}"),
            );
            all.extend(keys_of_page(&page, "<Key>"));
            let Some(next) = keys_of_page(&page, "<NextContinuationToken>").pop() else {
                break;
            };
            token = next;
        }
        assert_eq!(
            all,
            (0..records.count())
                .map(|at| records.key(at))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn lists_archived_objects_page_by_page() {
        let archive: BTreeMap<String, Bytes> = (0..1500)
            .map(|it| (format!("{ARCHIVE}acme/{it:04}"), Bytes::from_static(b"x")))
            .collect();
        let first = list_objects(&small_bucket(), &archive, "prefix=usage-logs-archive%2F");
        assert_eq!(
            (
                keys_of_page(&first, "<Key>").len(),
                keys_of_page(&first, "<NextContinuationToken>").len()
            ),
            (1000, 1)
        );
        let rest = list_objects(
            &small_bucket(),
            &archive,
            &format!("prefix=usage-logs-archive%2F&continuation-token={ARCHIVE}acme/0999"),
        );
        assert_eq!(
            (
                keys_of_page(&rest, "<Key>").len(),
                keys_of_page(&rest, "<NextContinuationToken>").len()
            ),
            (500, 0)
        );
    }

    #[test]
    fn lists_folders_and_starts_after_a_key() {
        let bucket = small_bucket();
        let page = list_objects(
            &bucket,
            &BTreeMap::new(),
            "prefix=usage-logs%2F&delimiter=%2F",
        );
        let folders = keys_of_page(&page, "<CommonPrefixes><Prefix>");
        assert_eq!(folders.len(), 10);
        let first = &keys_of_page(
            &list_objects(&bucket, &BTreeMap::new(), &format!("prefix={}", folders[1])),
            "<Key>",
        );
        assert!(first.iter().all(|key| key.starts_with(&folders[1])));
        let rest = keys_of_page(
            &list_objects(
                &bucket,
                &BTreeMap::new(),
                &format!("prefix={}&start-after={}", folders[1], first[9]),
            ),
            "<Key>",
        );
        assert_eq!(rest[..], first[10..]);
    }
    #[test]
    fn expired_records_are_neither_listed_nor_counted() {
        let bucket = small_bucket();
        let moment = bucket.records.get(bucket.records.count() / 2).modified;
        bucket.expired.store(moment, Ordering::Relaxed);
        let left: Vec<String> = (0..bucket.records.count())
            .map(|at| bucket.records.get(at))
            .filter(|it| it.modified >= moment)
            .map(|it| it.key)
            .collect();
        let page = keys_of_page(
            &list_objects(&bucket, &BTreeMap::new(), "prefix=usage-logs%2F"),
            "<Key>",
        );
        assert_eq!(page[..], left[..PAGE]);
    }
}
