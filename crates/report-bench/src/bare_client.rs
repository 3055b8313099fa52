//! The lower bound for `report`: the same GETs over plain sockets, signed in advance, with the
//! responses discarded.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Gets all `targets`; returns the time and the total size of the bodies.
pub(crate) async fn get_all(
    server: SocketAddr,
    connections: usize,
    targets: Vec<String>,
) -> io::Result<(Duration, usize)> {
    let requests = targets
        .iter()
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: {server}\r\n\r\n").into_bytes());
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(requests.collect());
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..connections {
        all.spawn(get_some(server, Arc::clone(&requests), Arc::clone(&next)));
    }
    let mut bytes = 0;
    while let Some(some) = all.join_next().await {
        bytes += some.map_err(io::Error::other)??;
    }
    Ok((start.elapsed(), bytes))
}

async fn get_some(
    server: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> io::Result<usize> {
    let mut connection = TcpStream::connect(server).await?;
    connection.set_nodelay(true)?;
    let mut bytes = 0;
    let mut buffer = Vec::with_capacity(16 << 10);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        connection.write_all(request).await?;
        buffer.clear();
        let (head, body) = loop {
            if let Some(lengths) = response_lengths(&buffer)? {
                break lengths;
            }
            read_response(&mut connection, &mut buffer).await?;
        };
        while buffer.len() < head + body {
            read_response(&mut connection, &mut buffer).await?;
        }
        bytes += body;
    }
    Ok(bytes)
}

async fn read_response(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match connection.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The lengths of head and body, once the head is complete.
fn response_lengths(answer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    match length {
        Some(length) if status.contains(" 200 ") => Ok(Some((end + 4, length))),
        _ => Err(io::Error::other(format!(
            "the server answers `{status}`, or without a length"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_once_the_head_is_complete() {
        assert_eq!(
            response_lengths(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n").unwrap(),
            None
        );
        assert_eq!(
            response_lengths(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nab").unwrap(),
            Some((39, 12))
        );
        for refused in [
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 12\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(response_lengths(refused.as_bytes()).is_err());
        }
    }
}
