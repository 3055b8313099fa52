//! A proxy in front of a server that forwards requests, answers in place of the server, or does not
//! answer.
//!
//! It speaks the subset of HTTP/1.1 that the SDK uses: one request per connection, with a content
//! length.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What the proxy does with a request.
pub enum RequestFate {
    /// Forwards the request and the answer.
    Pass,
    /// Forwards both, but removes the SHA-256 from the answer, because some servers do not send it.
    WithoutChecksum,
    /// Forwards both while it holds this lock, so that requests run one at a time.
    InTurn(Arc<Mutex<()>>),
    /// The server executes the request, but its answer is lost.
    LoseAnswer,
    /// The server executes the request, and this runs instead of an answer.
    Instead(Arc<dyn Fn() + Send + Sync>),
    /// Answers with this status line and body, without the server.
    Answer(&'static str, &'static str),
    /// Forwards the request and the answer, but a conditional write gets 501.
    WithoutConditions,
    /// Never answers.
    Silence,
}

/// A running proxy, which stops accepting connections when it is dropped.
pub struct FaultyProxy {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    /// The first lines of all requests.
    request_lines: Arc<Mutex<Vec<String>>>,
    /// The accepting thread, which returns the threads that serve connections.
    accepting: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

impl FaultyProxy {
    /// Starts a proxy to `upstream` (`http://ADDRESS`); `fate` decides by the first line of each
    /// request.
    pub fn start(
        upstream: &str,
        fate: impl Fn(&str) -> RequestFate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut proxy = Self {
            address,
            is_stopped: Arc::default(),
            request_lines: Arc::default(),
            accepting: None,
        };
        let (over, seen) = (
            Arc::clone(&proxy.is_stopped),
            Arc::clone(&proxy.request_lines),
        );
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let fate = Arc::new(fate);
        proxy.accepting = Some(thread::spawn(move || {
            let silent = Arc::new(Mutex::new(Vec::new()));
            let mut serving = Vec::new();
            for client in listener
                .incoming()
                .take_while(|_| !over.load(Ordering::SeqCst))
                .filter_map(Result::ok)
            {
                let (upstream, fate) = (upstream.clone(), Arc::clone(&fate));
                let (seen, silent) = (Arc::clone(&seen), Arc::clone(&silent));
                // A finished thread keeps its stack until its handle is dropped.
                serving.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                serving.push(thread::spawn(move || {
                    // A client that disconnects is not an error of the proxy.
                    let _ = serve_client(client, &upstream, &*fate, &seen, &silent);
                }));
            }
            serving
        }));
        proxy
    }

    /// A proxy that never answers anything.
    pub fn black_hole() -> Self {
        Self::start("", |_| RequestFate::Silence)
    }

    /// A captive portal: every request gets its login page.
    pub fn captive_portal() -> Self {
        Self::start("", |_| {
            RequestFate::Answer(
                "200 OK",
                "<!DOCTYPE html>\n<html><body>Please log in, room and name</body></html>\n",
            )
        })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of requests whose first line starts with `head`.
    pub fn count_requests(&self, head: &str) -> usize {
        self.request_lines
            .lock()
            .expect("no panic")
            .iter()
            .filter(|line| line.starts_with(head))
            .count()
    }

    /// Stops accepting connections and waits for the current ones, whose clients must have ended.
    /// Then the server has executed all requests.
    pub fn finish(mut self) {
        self.stop();
        let serving = self
            .accepting
            .take()
            .map(|accepting| accepting.join().expect("no panic"));
        for thread in serving.into_iter().flatten() {
            thread.join().expect("no panic");
        }
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve_client(
    mut client: TcpStream,
    upstream: &str,
    fate: &(impl Fn(&str) -> RequestFate + ?Sized),
    seen: &Mutex<Vec<String>>,
    silent: &Mutex<Vec<TcpStream>>,
) -> std::io::Result<()> {
    let (line, request) = read_request(&client)?;
    if line.is_empty() {
        return Ok(());
    }
    seen.lock().expect("no panic").push(line.clone());
    match fate(&line) {
        RequestFate::Silence => silent.lock().expect("no panic").push(client),
        RequestFate::Answer(status, body) => {
            let is_head = line.starts_with("HEAD ");
            client.write_all(build_answer(status, body, is_head).as_bytes())?;
        }
        RequestFate::WithoutConditions if is_conditional(&request) => {
            let body = "<Error><Code>NotImplemented</Code><Message>m</Message></Error>";
            let answer = build_answer("501 Not Implemented", body, false);
            client.write_all(answer.as_bytes())?;
        }
        fate @ (RequestFate::Pass
        | RequestFate::WithoutChecksum
        | RequestFate::WithoutConditions
        | RequestFate::InTurn(_)
        | RequestFate::LoseAnswer
        | RequestFate::Instead(_)) => {
            let turn = if let RequestFate::InTurn(turn) = &fate {
                Some(turn.lock().expect("no panic"))
            } else {
                None
            };
            let mut server = TcpStream::connect(upstream)?;
            server.write_all(&request)?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            drop(turn);
            match fate {
                RequestFate::Instead(act) => act(),
                RequestFate::LoseAnswer => {}
                RequestFate::WithoutChecksum => client.write_all(&remove_checksum(answer))?,
                _ => client.write_all(&answer)?,
            }
        }
    }
    Ok(())
}

/// An answer with the content type of a page or of S3's errors.
fn build_answer(status: &str, body: &str, is_head: bool) -> String {
    let is_page = body.to_lowercase().contains("<html");
    let content_type = if is_page {
        "text/html"
    } else {
        "application/xml"
    };
    let body = if is_head { "" } else { body };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn is_conditional(request: &[u8]) -> bool {
    let head = String::from_utf8_lossy(request).to_lowercase();
    head.contains("\r\nif-none-match:") || head.contains("\r\nif-match:")
}

/// Removes the SHA-256 header from an answer or its head.
pub fn remove_checksum(answer: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"\r\nx-amz-checksum-sha256:";
    let Some(start) = answer
        .windows(NAME.len())
        .position(|part| part.eq_ignore_ascii_case(NAME))
    else {
        return answer;
    };
    let length = answer[start + 2..]
        .iter()
        .position(|byte| *byte == b'\r')
        .expect("an end")
        + 2;
    [&answer[..start], &answer[start + length..]].concat()
}

/// Reads a request: its first line, and all bytes with `connection: close`.
fn read_request(client: &TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length, mut first) = (Vec::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok((String::new(), head));
        }
        if line == "\r\n" {
            break;
        }
        if first.is_empty() {
            line.trim_end().clone_into(&mut first);
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if lower.starts_with("expect:") {
            (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        } else if !lower.starts_with("connection:") {
            head.extend_from_slice(line.as_bytes());
        }
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    head.extend_from_slice(&body);
    Ok((first, head))
}
