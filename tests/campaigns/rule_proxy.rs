//! A proxy that forwards requests byte for byte, except those that its rule selects.
//!
//! It forwards the `Host` header unchanged because signatures cover it. Each connection has a
//! thread and carries as many requests as the client sends.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::client_streams::{ClientStream, reset_on_close};
use crate::http1::{self, HttpMessage, MessageSide};
use crate::request_faults::{self, RequestFault};
use crate::request_points::{RequestClass, RequestPoint, RequestShape};

/// The pause between the pieces of a slow answer.
const PAUSE: Duration = Duration::from_millis(50);

/// How the proxy accepts clients.
#[derive(Clone)]
pub(crate) enum ProxyFront {
    Http,
    Https(Arc<ServerConfig>),
    /// Accepts connections but reads neither a request nor a handshake.
    Deaf,
}

pub(crate) type FaultRule = Box<dyn Fn(RequestPoint) -> Option<RequestFault> + Send>;

/// A running proxy. When it is dropped, it ends waiting connections and accepts no more.
pub(crate) struct RuleProxy {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<SharedState>,
    accepting: Option<JoinHandle<()>>,
}

struct SharedState {
    upstream: String,
    state: Mutex<ProxyState>,
    ended: Condvar,
}

struct ProxyState {
    over: bool,
    /// Whether answers state the SHA-256 of uploads.
    states_sums: bool,
    step: &'static str,
    rule: FaultRule,
    counts: HashMap<(&'static str, RequestClass), usize>,
    seen: Vec<(RequestPoint, RequestShape)>,
    heads: Vec<String>,
    hits: usize,
    /// The number of requests at the server.
    asking: usize,
}

impl RuleProxy {
    /// Starts a proxy to `upstream` (`http://ADDRESS`).
    pub(crate) fn start(upstream: &str, front: ProxyFront, rule: FaultRule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if matches!(front, ProxyFront::Https(_)) {
            "https"
        } else {
            "http"
        };
        let state = ProxyState {
            over: false,
            states_sums: true,
            step: "",
            rule,
            counts: HashMap::new(),
            seen: Vec::new(),
            heads: Vec::new(),
            hits: 0,
            asking: 0,
        };
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let shared = Arc::new(SharedState {
            upstream,
            state: Mutex::new(state),
            ended: Condvar::new(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept_clients(&listener, &front, &shared))
        };
        Self {
            address,
            scheme,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Sets the step of the next requests.
    pub(crate) fn begin_step(&self, step: &'static str) {
        self.shared.lock().step = step;
    }

    /// Sets whether answers state the SHA-256, which those of some servers do not.
    pub(crate) fn state_sums(&self, states_sums: bool) {
        self.shared.lock().states_sums = states_sums;
    }

    /// Forwards all later requests without faults.
    pub(crate) fn end_faults(&self) {
        self.shared.lock().rule = Box::new(|_| None);
    }

    /// The requests so far, in order, with their parts.
    pub(crate) fn seen_requests(&self) -> Vec<(RequestPoint, RequestShape)> {
        self.shared.lock().seen.clone()
    }

    /// The heads of the requests so far.
    pub(crate) fn request_heads(&self) -> Vec<String> {
        self.shared.lock().heads.clone()
    }

    /// The number of faults so far: requests that the rule selected, and failed connections.
    pub(crate) fn hit_count(&self) -> usize {
        self.shared.lock().hits
    }
}

impl Drop for RuleProxy {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.ended.notify_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
        drop(
            self.shared
                .ended
                .wait_while(self.shared.lock(), |state| state.asking > 0),
        );
    }
}

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, ProxyState> {
        self.state.lock().expect("no panic")
    }

    /// Records a request, and returns its number and fault.
    fn choose_fault(&self, head: &str) -> (usize, Option<RequestFault>) {
        let mut state = self.lock();
        let (step, class) = (state.step, RequestClass::of(head));
        let count = state.counts.entry((step, class)).or_default();
        *count += 1;
        let point = RequestPoint {
            step,
            class,
            nth: *count,
        };
        state.seen.push((point, RequestShape::of(head)));
        state.heads.push(head.to_owned());
        (state.seen.len() - 1, (state.rule)(point))
    }

    fn record_hit(&self) {
        self.record_hit_if(true);
    }

    fn record_hit_if(&self, met: bool) {
        self.lock().hits += usize::from(met);
    }

    /// Waits; returns false if the proxy was stopped.
    fn wait_until_over(&self, limit: Duration) -> bool {
        let waited = self
            .ended
            .wait_timeout_while(self.lock(), limit, |state| !state.over);
        !waited.expect("no panic").0.over
    }

    /// Asks the server, unless the proxy was stopped: another server may have its port by now.
    fn forward_request(&self, request: &HttpMessage) -> io::Result<HttpMessage> {
        {
            let mut state = self.lock();
            if state.over {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            state.asking += 1;
        }
        let answer = self.try_forward(request);
        self.lock().asking -= 1;
        self.ended.notify_all();
        answer
    }

    fn try_forward(&self, request: &HttpMessage) -> io::Result<HttpMessage> {
        let mut server = TcpStream::connect(&self.upstream)?;
        server.write_all(&request.to_bytes())?;
        let side = if request.head.starts_with("HEAD ") {
            MessageSide::AnswerToHead
        } else {
            MessageSide::Answer
        };
        http1::read_answer(&mut BufReader::new(server), side)
    }
}

fn accept_clients(listener: &TcpListener, front: &ProxyFront, shared: &Arc<SharedState>) {
    for client in listener.incoming().filter_map(Result::ok) {
        if shared.lock().over {
            return;
        }
        let (front, shared) = (front.clone(), Arc::clone(shared));
        // A client that disconnects is not an error of the proxy.
        thread::spawn(move || drop(serve_front(client, front, &shared)));
    }
}

fn serve_front(client: TcpStream, front: ProxyFront, shared: &SharedState) -> io::Result<()> {
    client.set_nodelay(true)?;
    match front {
        ProxyFront::Http => serve_requests(client, shared),
        ProxyFront::Https(config) => {
            let mut stream = StreamOwned::new(
                ServerConnection::new(config).map_err(io::Error::other)?,
                client,
            );
            while stream.conn.is_handshaking() {
                stream
                    .conn
                    .complete_io(&mut stream.sock)
                    .inspect_err(|_| shared.record_hit())?;
            }
            serve_requests(stream, shared)
        }
        ProxyFront::Deaf => {
            shared.record_hit();
            hold_connection(client, shared);
            Ok(())
        }
    }
}

fn serve_requests(client: impl ClientStream, shared: &SharedState) -> io::Result<()> {
    let mut client = BufReader::new(client);
    while let Some(head) = http1::read_head(&mut client)? {
        let (number, fault) = shared.choose_fault(&head);
        if fault == Some(RequestFault::SilenceAfterHead) {
            shared.record_hit();
            hold_connection(client, shared);
            return Ok(());
        }
        if let Some(RequestFault::ResetRequest(percent)) = fault {
            shared.record_hit();
            let length: usize = http1::find_header(&head, "content-length")
                .and_then(|it| it.parse().ok())
                .unwrap_or_default();
            client.read_exact(&mut vec![0; length * percent / 100])?;
            return reset_on_close(client.get_ref().tcp());
        }
        if http1::find_header(&head, "expect").is_some() {
            client
                .get_mut()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = http1::read_body(&mut client, &head, MessageSide::Request)?;
        match fault {
            Some(RequestFault::Silence) => {
                shared.record_hit();
                hold_connection(client, shared);
                return Ok(());
            }
            Some(RequestFault::Answer(answer)) => {
                shared.record_hit();
                client.get_mut().write_all(&answer.bytes_for(&head))?;
            }
            Some(RequestFault::Swallow) if head.starts_with("PUT ") => {
                shared.record_hit();
                client.get_mut().write_all(request_faults::DONE)?;
            }
            _ if pass_request(
                client.get_mut(),
                HttpMessage { head, body },
                number,
                fault,
                shared,
            )? => {}
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Forwards a request, as far as its fault permits; returns whether the connection continues.
fn pass_request(
    out: &mut impl ClientStream,
    mut request: HttpMessage,
    number: usize,
    fault: Option<RequestFault>,
    shared: &SharedState,
) -> io::Result<bool> {
    if let Some(RequestFault::FlipRequest(part)) = fault {
        shared.record_hit_if(request_faults::flip_bit(&mut request, part));
    }
    let mut answer = shared.forward_request(&request)?;
    let states_sums = {
        let mut state = shared.lock();
        state.seen[number].1.complete(&request, &answer);
        state.states_sums
    };
    if !states_sums {
        request_faults::remove_stated_checksum(&mut answer);
    }
    match fault {
        Some(RequestFault::FlipAnswer(part)) => {
            shared.record_hit_if(request_faults::flip_bit(&mut answer, part));
        }
        Some(RequestFault::WrongChecksum) if request.head.starts_with("PUT ") => {
            shared.record_hit();
            request_faults::misstate_checksum(&mut answer);
        }
        Some(
            RequestFault::ResetAnswer(_)
            | RequestFault::CutAnswer(_)
            | RequestFault::Drip
            | RequestFault::Slow,
        ) => shared.record_hit(),
        _ => {}
    }
    let bytes = answer.to_bytes();
    // Never the complete answer, which would not be a fault.
    let part = |percent: usize| &bytes[..(bytes.len() * percent / 100).min(bytes.len() - 1)];
    match fault {
        Some(RequestFault::ResetAnswer(percent)) => {
            out.write_all(part(percent))?;
            reset_on_close(out.tcp()).map(|()| false)
        }
        Some(RequestFault::CutAnswer(percent)) => out.write_all(part(percent)).map(|()| false),
        Some(RequestFault::Drip) => write_slowly(out, &bytes, 1, shared),
        Some(RequestFault::Slow) => write_slowly(out, &bytes, bytes.len().div_ceil(4), shared),
        _ => out
            .write_all(&bytes)
            .and_then(|()| out.flush())
            .map(|()| true),
    }
}

/// Keeps an unused connection open until the proxy stops.
fn hold_connection<T>(client: T, shared: &SharedState) {
    while shared.wait_until_over(Duration::from_hours(1)) {}
    drop(client);
}

fn write_slowly(
    out: &mut impl Write,
    bytes: &[u8],
    size: usize,
    shared: &SharedState,
) -> io::Result<bool> {
    for piece in bytes.chunks(size) {
        if !shared.wait_until_over(PAUSE) {
            return Ok(false);
        }
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(true)
}
