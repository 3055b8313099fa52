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

/// What becomes of a request.
pub enum RequestFate {
    /// It is answered by the server.
    Pass,
    /// It is answered by the server, but the answer does not state the SHA-256 of what was written, as not each server does.
    WithoutChecksum,
    /// It is answered by the server, which has no other request meanwhile that wants the same turn.
    InTurn(Arc<Mutex<()>>),
    /// The server does it, but its answer is lost.
    LoseAnswer,
    /// The server does it, and this happens in the place of an answer.
    Instead(Arc<dyn Fn() + Send + Sync>),
    /// This answer comes, with this status line and body, and the server never hears of it.
    Answer(&'static str, &'static str),
    /// Nothing comes, ever.
    Silence,
}

/// A proxy; dropped, it takes no more connections.
pub struct FaultyProxy {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    /// The first lines of all requests.
    request_lines: Arc<Mutex<Vec<String>>>,
    /// The thread that accepts connections; it gives those that serve them.
    accepting: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

impl FaultyProxy {
    /// Starts a proxy to `upstream` (`http://ADDRESS`); `fate` judges the first line of each request.
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
                // A thread that has ended keeps its stack as long as somebody may join it.
                serving.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                serving.push(thread::spawn(move || {
                    // A client that goes away is no failure of the proxy.
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

    /// A hotel's network: every request gets its login page.
    pub fn captive_portal() -> Self {
        Self::start("", |_| {
            RequestFate::Answer(
                "200 OK",
                "<!DOCTYPE html>\n<html><body>Please log in, room and name</body></html>\n",
            )
        })
    }

    /// For clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests had a first line that starts with `head`.
    pub fn count_requests(&self, head: &str) -> usize {
        self.request_lines
            .lock()
            .expect("no panic")
            .iter()
            .filter(|line| line.starts_with(head))
            .count()
    }

    /// Takes no more connections and waits for those under way, whose clients must have ended: then the server has done all that it
    /// was asked for.
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
            let body = if line.starts_with("HEAD ") { "" } else { body };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            client.write_all(head.as_bytes())?;
            client.write_all(body.as_bytes())?;
        }
        fate @ (RequestFate::Pass
        | RequestFate::WithoutChecksum
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

/// An answer, or its head, without what it states of the body's SHA-256.
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

/// The first line of a request, and all of it, with a header that makes this request the connection's last.
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
