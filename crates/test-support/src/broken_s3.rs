//! An S3 whose answers a test can bend: listings that break off or never end, objects with other
//! bodies than they are listed with, and bodies of gigabytes.
//!
//! It checks no signature, has one bucket in memory, and speaks the subset of HTTP/1.1 that the SDK
//! uses: one request per connection. A listing has few keys per page.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::BUCKET;

/// How many keys a page has.
pub const PAGE_KEYS: usize = 5;
const MODIFIED: &str = "2026-01-02T03:04:05.000Z";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokenObject {
    pub body: Vec<u8>,
    pub metadata: Vec<(String, String)>,
    /// The noncurrent versions of the object, the newest first.
    pub older: Vec<Vec<u8>>,
    /// The size that listings state, if it is not that of the body.
    pub listed_size: Option<u64>,
    etag: String,
}

impl BrokenObject {
    pub fn new(body: Vec<u8>, metadata: Vec<(String, String)>) -> Self {
        // Clients must not take it for a digest.
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self {
            body,
            metadata,
            etag,
            ..Self::default()
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct BrokenRequest {
    pub method: String,
    /// Empty for requests to the bucket.
    pub key: String,
    pub query: HashMap<String, String>,
    /// How many requests for the same thing came before.
    pub repetition: usize,
}

impl BrokenRequest {
    pub fn is_listing(&self) -> bool {
        self.method == "GET" && self.key.is_empty() && self.query.contains_key("prefix")
    }

    pub fn is_version_listing(&self) -> bool {
        self.is_listing() && self.query.contains_key("versions")
    }

    pub fn prefix(&self) -> &str {
        self.query.get("prefix").map_or("", String::as_str)
    }

    pub fn token(&self) -> Option<&str> {
        let token = self.query.get("continuation-token");
        token.or(self.query.get("key-marker")).map(String::as_str)
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub framing: AnswerFraming,
}

/// How the end of the body is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerFraming {
    Length,
    /// A length that is not that of the body.
    StatedLength(u64),
    /// The body lasts until the connection ends.
    Close,
    /// In chunks, of which the last one is missing.
    ChunksWithoutEnd,
    /// The body is followed by this, again and again, until so many bytes are sent.
    Endless(Vec<u8>, u64),
}

impl RawAnswer {
    pub fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/xml".to_owned())],
            body: body.into(),
            framing: AnswerFraming::Length,
        }
    }

    pub fn error(status: &'static str, code: &str) -> Self {
        let xml = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        Self::new(status, xml)
    }
}

/// Bends the right answer to a request.
pub type AnswerRule = Arc<dyn Fn(&BrokenRequest, RawAnswer) -> RawAnswer + Send + Sync>;

/// A running server, which accepts no connection any more when it is dropped.
pub struct BrokenS3 {
    address: SocketAddr,
    shared: Arc<SharedBucket>,
}

struct SharedBucket {
    objects: Mutex<BTreeMap<String, BrokenObject>>,
    rule: Mutex<AnswerRule>,
    asked: Mutex<HashMap<String, usize>>,
    is_stopped: AtomicBool,
}

impl BrokenS3 {
    pub fn start(objects: BTreeMap<String, BrokenObject>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(SharedBucket {
            objects: Mutex::new(objects),
            rule: Mutex::new(Arc::new(|_, answer| answer)),
            asked: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                if accepting.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A client that disconnects is not an error of the server.
                thread::spawn(move || drop(shared.serve_client(client)));
            }
        });
        Self { address, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_rule(
        &self,
        rule: impl Fn(&BrokenRequest, RawAnswer) -> RawAnswer + Send + Sync + 'static,
    ) {
        *lock(&self.shared.rule) = Arc::new(rule);
        lock(&self.shared.asked).clear();
    }

    pub fn objects(&self) -> BTreeMap<String, BrokenObject> {
        lock(&self.shared.objects).clone()
    }
}

impl Drop for BrokenS3 {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedBucket {
    fn serve_client(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((mut request, headers, body)) = read_request(&client)? else {
            return Ok(());
        };
        let thing = format!("{} {} {:?}", request.method, request.key, request.token());
        let mut asked = lock(&self.asked);
        let count = asked.entry(thing).or_default();
        request.repetition = *count;
        *count += 1;
        drop(asked);

        let right = self.answer_request(&request, &headers, body);
        let rule = Arc::clone(&lock(&self.rule));
        let answer = rule(&request, right);
        write_answer(&mut client, &answer, request.method == "HEAD")
    }

    fn answer_request(
        &self,
        request: &BrokenRequest,
        headers: &HashMap<String, String>,
        body: Vec<u8>,
    ) -> RawAnswer {
        let mut objects = lock(&self.objects);
        match request.method.as_str() {
            "POST" => RawAnswer::new("200 OK", CALLER),
            "PUT" => {
                let is_new = headers.get("if-none-match").is_some_and(|it| it == "*");
                if is_new && objects.contains_key(&request.key) {
                    return RawAnswer::error("412 Precondition Failed", "PreconditionFailed");
                }
                let metadata = headers.iter().filter_map(|(name, value)| {
                    let name = name.strip_prefix("x-amz-meta-")?;
                    Some((name.to_owned(), value.clone()))
                });
                let object = BrokenObject::new(body, metadata.collect());
                let mut answer = RawAnswer::new("200 OK", "");
                answer.headers.push(("etag", object.etag.clone()));
                objects.insert(request.key.clone(), object);
                answer
            }
            "GET" if request.is_version_listing() => {
                RawAnswer::new("200 OK", version_xml(&objects, request))
            }
            "GET" if request.is_listing() => RawAnswer::new("200 OK", list_xml(&objects, request)),
            "GET" | "HEAD" if !request.key.is_empty() => get_answer(&objects, request),
            _ => RawAnswer::error("404 Not Found", "NoSuchConfiguration"),
        }
    }
}

const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>A</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

fn get_answer(objects: &BTreeMap<String, BrokenObject>, request: &BrokenRequest) -> RawAnswer {
    let Some(object) = objects.get(&request.key) else {
        return RawAnswer::error("404 Not Found", "NoSuchKey");
    };
    if let Some(id) = request.query.get("versionId") {
        // The legacy module wrote them, without metadata.
        let body = object.older[id.parse::<usize>().expect("a number")].clone();
        let mut answer = RawAnswer::new("200 OK", body);
        answer.headers.push(("etag", format!("\"{id}\"")));
        return answer;
    }
    let mut answer = RawAnswer::new("200 OK", object.body.clone());
    answer.headers.push(("etag", object.etag.clone()));
    for (name, value) in &object.metadata {
        let name: &'static str = match name.as_str() {
            "md5" => "x-amz-meta-md5",
            "sha256" => "x-amz-meta-sha256",
            "captured-at" => "x-amz-meta-captured-at",
            "deployment-id" => "x-amz-meta-deployment-id",
            _ => continue,
        };
        answer.headers.push((name, value.clone()));
    }
    answer
}

/// One entry of a listing.
pub fn contents_xml(key: &str, size: u64, etag: &str) -> String {
    let key = encode(key);
    format!(
        "<Contents><Key>{key}</Key><LastModified>{MODIFIED}</LastModified>\
         <ETag>{etag}</ETag><Size>{size}</Size></Contents>"
    )
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("text");
        }
    }
    encoded
}

fn list_xml(objects: &BTreeMap<String, BrokenObject>, request: &BrokenRequest) -> String {
    let (prefix, query) = (request.prefix(), &request.query);
    let start_after = query.get("start-after").map_or("", String::as_str);
    let after = request.token().unwrap_or(start_after);
    let delimiter = query.get("delimiter").map_or("", String::as_str);
    let page_keys = query
        .get("max-keys")
        .map_or(PAGE_KEYS, |it| it.parse().expect("a number"));

    let (mut entries, mut count, mut last) = (String::new(), 0, String::new());
    let mut is_truncated = false;
    for (key, object) in objects {
        let Some(below) = key.strip_prefix(prefix) else {
            continue;
        };
        let folder = match below.split_once(delimiter) {
            Some((name, _)) if !delimiter.is_empty() => Some(format!("{prefix}{name}{delimiter}")),
            _ => None,
        };
        let entry = folder.as_ref().unwrap_or(key);
        if entry.as_str() <= after || *entry == last {
            continue;
        }
        if count == page_keys {
            is_truncated = true;
            break;
        }
        count += 1;
        last.clone_from(entry);
        let entry_xml = if let Some(folder) = &folder {
            let folder = encode(folder);
            format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")
        } else {
            let size = object.listed_size.unwrap_or(object.body.len() as u64);
            contents_xml(key, size, &object.etag)
        };
        entries.push_str(&entry_xml);
    }
    let token = if is_truncated {
        format!("<NextContinuationToken>{last}</NextContinuationToken>")
    } else {
        String::new()
    };
    let prefix = encode(prefix);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><EncodingType>url</EncodingType>\
         <KeyCount>{count}</KeyCount><IsTruncated>{is_truncated}</IsTruncated>\
         {token}{entries}</ListBucketResult>"
    )
}

/// Pages of one key each.
fn version_xml(objects: &BTreeMap<String, BrokenObject>, request: &BrokenRequest) -> String {
    let after = request.token().unwrap_or_default();
    let below = |(key, _): &(&String, &BrokenObject)| {
        key.starts_with(request.prefix()) && key.as_str() > after
    };
    let mut found = objects.iter().filter(below);
    let mut entries = String::new();
    let mut token = String::new();
    if let Some((key, object)) = found.next() {
        let version = |id: &str, is_latest: bool, size: usize| {
            format!(
                "<Version><Key>{}</Key><VersionId>{id}</VersionId><IsLatest>{is_latest}</IsLatest>\
                 <LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag>\
                 <Size>{size}</Size></Version>",
                encode(key)
            )
        };
        entries += &version("current", true, object.body.len());
        for (number, body) in object.older.iter().enumerate() {
            entries += &version(&number.to_string(), false, body.len());
        }
        token = encode(key);
    }
    let is_truncated = found.next().is_some();
    let marker = if is_truncated {
        format!(
            "<NextKeyMarker>{token}</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
        )
    } else {
        String::new()
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListVersionsResult>\
         <Name>{BUCKET}</Name><EncodingType>url</EncodingType>\
         <IsTruncated>{is_truncated}</IsTruncated>{marker}{entries}</ListVersionsResult>"
    )
}

type ParsedRequest = (BrokenRequest, HashMap<String, String>, Vec<u8>);

fn read_request(client: &TcpStream) -> io::Result<Option<ParsedRequest>> {
    let mut reader = BufReader::new(client);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    if headers.contains_key("expect") {
        (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = headers.get("content-length");
    let length = length.map_or(0, |it| it.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path.trim_start_matches('/').strip_prefix(BUCKET);
    let key = decode(key.unwrap_or_default().trim_start_matches('/'));
    let mut request = BrokenRequest {
        method: method.to_owned(),
        key,
        ..BrokenRequest::default()
    };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        request.query.insert(decode(name), decode(value));
    }
    Ok(Some((request, headers, body)))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = hex.and_then(|it| u8::from_str_radix(it, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn write_answer(client: &mut TcpStream, answer: &RawAnswer, is_head: bool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("text");
    }
    match &answer.framing {
        AnswerFraming::Length => {
            write!(head, "content-length: {}\r\n", answer.body.len()).expect("text");
        }
        AnswerFraming::StatedLength(length) => {
            write!(head, "content-length: {length}\r\n").expect("text");
        }
        AnswerFraming::ChunksWithoutEnd => head += "transfer-encoding: chunked\r\n",
        AnswerFraming::Close | AnswerFraming::Endless(..) => {}
    }
    client.write_all(format!("{head}\r\n").as_bytes())?;
    if is_head {
        return Ok(());
    }
    if answer.framing == AnswerFraming::ChunksWithoutEnd {
        client.write_all(format!("{:x}\r\n", answer.body.len()).as_bytes())?;
    }
    client.write_all(&answer.body)?;
    match &answer.framing {
        AnswerFraming::ChunksWithoutEnd => client.write_all(b"\r\n"),
        AnswerFraming::Endless(part, bytes) => {
            let part = part.repeat((1 << 16) / part.len().max(1) + 1);
            let mut sent = 0;
            while sent < *bytes {
                client.write_all(&part)?;
                sent += part.len() as u64;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
