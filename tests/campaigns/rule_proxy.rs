//! A proxy that passes requests on byte for byte, but for those that its rule is about.
//!
//! Signatures cover the `Host` header, so that one goes through as well. A thread a connection, with as many requests as
//! the client sends over it.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::client_streams::{Stream, reset};
use crate::http1::{self, Message, Side};
use crate::request_faults::{self, Fault};
use crate::request_points::{Class, Point, Shape};

/// Between the pieces of an answer that comes slowly.
const PAUSE: Duration = Duration::from_millis(50);

/// How clients are met.
#[derive(Clone)]
pub(crate) enum Front {
    Http,
    Https(Arc<ServerConfig>),
    /// Connections are taken, and nothing is read: neither a request nor a handshake.
    Deaf,
}

/// Says what becomes of a request.
pub(crate) type Rule = Box<dyn Fn(Point) -> Option<Fault> + Send>;

/// A running proxy. Dropped, it lets go of whoever waits, and takes no more connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    over: bool,
    /// Whether answers state the SHA-256 of what was written.
    states_sums: bool,
    step: &'static str,
    rule: Rule,
    counts: HashMap<(&'static str, Class), usize>,
    seen: Vec<(Point, Shape)>,
    heads: Vec<String>,
    hits: usize,
    /// How many requests are at the server.
    asking: usize,
}

impl Proxy {
    /// Starts a proxy to `upstream` (`http://ADDRESS`).
    pub(crate) fn start(upstream: &str, front: Front, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if matches!(front, Front::Https(_)) {
            "https"
        } else {
            "http"
        };
        let state = State {
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
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(state),
            ended: Condvar::new(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &front, &shared))
        };
        Self {
            address,
            scheme,
            shared,
            accepting: Some(accepting),
        }
    }

    /// For clients.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Says which step of the deployment makes the requests from now on.
    pub(crate) fn enter(&self, step: &'static str) {
        self.shared.lock().step = step;
    }

    /// Whether answers state SHA-256 from now on, as those of some servers do not.
    pub(crate) fn state_sums(&self, states_sums: bool) {
        self.shared.lock().states_sums = states_sums;
    }

    /// Passes everything on from now on.
    pub(crate) fn calm(&self) {
        self.shared.lock().rule = Box::new(|_| None);
    }

    /// The requests so far, in their order, with what they and their answers had.
    pub(crate) fn seen(&self) -> Vec<(Point, Shape)> {
        self.shared.lock().seen.clone()
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.lock().heads.clone()
    }

    /// How often something went wrong: requests that the rule was about, and connections that came to nothing.
    pub(crate) fn hits(&self) -> usize {
        self.shared.lock().hits
    }
}

impl Drop for Proxy {
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Notes a request, and gives what becomes of it.
    fn judge(&self, head: &str) -> (usize, Option<Fault>) {
        let mut state = self.lock();
        let (step, class) = (state.step, Class::of(head));
        let count = state.counts.entry((step, class)).or_default();
        *count += 1;
        let point = Point {
            step,
            class,
            nth: *count,
        };
        state.seen.push((point, Shape::of(head)));
        state.heads.push(head.to_owned());
        (state.seen.len() - 1, (state.rule)(point))
    }

    fn hit(&self) {
        self.hit_if(true);
    }

    fn hit_if(&self, met: bool) {
        self.lock().hits += usize::from(met);
    }

    /// Waits; gives whether the proxy is still there.
    fn wait(&self, limit: Duration) -> bool {
        let waited = self
            .ended
            .wait_timeout_while(self.lock(), limit, |state| !state.over);
        !waited.expect("no panic").0.over
    }

    /// Has the server answer, unless it may be gone: another one could have its port by now.
    fn ask(&self, request: &Message) -> io::Result<Message> {
        {
            let mut state = self.lock();
            if state.over {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            state.asking += 1;
        }
        let answer = self.exchange(request);
        self.lock().asking -= 1;
        self.ended.notify_all();
        answer
    }

    fn exchange(&self, request: &Message) -> io::Result<Message> {
        let mut server = TcpStream::connect(&self.upstream)?;
        server.write_all(&request.bytes())?;
        let side = if request.head.starts_with("HEAD ") {
            Side::AnswerToHead
        } else {
            Side::Answer
        };
        http1::read_answer(&mut BufReader::new(server), side)
    }
}

fn accept(listener: &TcpListener, front: &Front, shared: &Arc<Shared>) {
    for client in listener.incoming().filter_map(Result::ok) {
        if shared.lock().over {
            return;
        }
        let (front, shared) = (front.clone(), Arc::clone(shared));
        // A client that goes away is no failure of the proxy.
        thread::spawn(move || drop(meet(client, front, &shared)));
    }
}

fn meet(client: TcpStream, front: Front, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    match front {
        Front::Http => serve(client, shared),
        Front::Https(config) => {
            let mut stream = StreamOwned::new(
                ServerConnection::new(config).map_err(io::Error::other)?,
                client,
            );
            while stream.conn.is_handshaking() {
                stream
                    .conn
                    .complete_io(&mut stream.sock)
                    .inspect_err(|_| shared.hit())?;
            }
            serve(stream, shared)
        }
        Front::Deaf => {
            shared.hit();
            hold(client, shared);
            Ok(())
        }
    }
}

fn serve(client: impl Stream, shared: &Shared) -> io::Result<()> {
    let mut client = BufReader::new(client);
    while let Some(head) = http1::read_head(&mut client)? {
        let (number, fault) = shared.judge(&head);
        if fault == Some(Fault::SilenceAfterHead) {
            shared.hit();
            hold(client, shared);
            return Ok(());
        }
        if let Some(Fault::ResetRequest(percent)) = fault {
            shared.hit();
            let length: usize = http1::header(&head, "content-length")
                .and_then(|it| it.parse().ok())
                .unwrap_or_default();
            client.read_exact(&mut vec![0; length * percent / 100])?;
            return reset(client.get_ref().tcp());
        }
        if http1::header(&head, "expect").is_some() {
            client
                .get_mut()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = http1::read_body(&mut client, &head, Side::Request)?;
        match fault {
            Some(Fault::Silence) => {
                shared.hit();
                hold(client, shared);
                return Ok(());
            }
            Some(Fault::Answer(answer)) => {
                shared.hit();
                client.get_mut().write_all(&answer.to(&head))?;
            }
            Some(Fault::Swallow) if head.starts_with("PUT ") => {
                shared.hit();
                client.get_mut().write_all(request_faults::DONE)?;
            }
            _ if pass(
                client.get_mut(),
                Message { head, body },
                number,
                fault,
                shared,
            )? => {}
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Has a request answered by the server, as far as its fault lets that happen; gives whether the connection goes on.
fn pass(
    out: &mut impl Stream,
    mut request: Message,
    number: usize,
    fault: Option<Fault>,
    shared: &Shared,
) -> io::Result<bool> {
    if let Some(Fault::FlipRequest(part)) = fault {
        shared.hit_if(request_faults::flip(&mut request, part));
    }
    let mut answer = shared.ask(&request)?;
    let states_sums = {
        let mut state = shared.lock();
        state.seen[number].1.complete(&request, &answer);
        state.states_sums
    };
    if !states_sums {
        request_faults::state_none(&mut answer);
    }
    match fault {
        Some(Fault::FlipAnswer(part)) => shared.hit_if(request_faults::flip(&mut answer, part)),
        Some(Fault::WrongChecksum) if request.head.starts_with("PUT ") => {
            shared.hit();
            request_faults::misstate(&mut answer);
        }
        Some(Fault::ResetAnswer(_) | Fault::CutAnswer(_) | Fault::Drip | Fault::Slow) => {
            shared.hit();
        }
        _ => {}
    }
    let bytes = answer.bytes();
    // Never all of it: what arrives whole is no fault.
    let part = |percent: usize| &bytes[..(bytes.len() * percent / 100).min(bytes.len() - 1)];
    match fault {
        Some(Fault::ResetAnswer(percent)) => {
            out.write_all(part(percent))?;
            reset(out.tcp()).map(|()| false)
        }
        Some(Fault::CutAnswer(percent)) => out.write_all(part(percent)).map(|()| false),
        Some(Fault::Drip) => drip(out, &bytes, 1, shared),
        Some(Fault::Slow) => drip(out, &bytes, bytes.len().div_ceil(4), shared),
        _ => out
            .write_all(&bytes)
            .and_then(|()| out.flush())
            .map(|()| true),
    }
}

/// Keeps a connection, unused, for as long as the proxy is there.
fn hold<T>(client: T, shared: &Shared) {
    while shared.wait(Duration::from_hours(1)) {}
    drop(client);
}

fn drip(out: &mut impl Write, bytes: &[u8], size: usize, shared: &Shared) -> io::Result<bool> {
    for piece in bytes.chunks(size) {
        if !shared.wait(PAUSE) {
            return Ok(false);
        }
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(true)
}
