//! A network line with a delay: it forwards every byte unchanged, half a round trip after the byte
//! arrived.
//!
//! Bytes have timestamps and may queue in any number, so the delay does not limit the throughput.
//! Opening a connection costs one more round trip, as in TCP. The timer counts whole milliseconds
//! and rounds up, so a round trip takes up to 2 ms longer than configured.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// The largest read.
const CHUNK: usize = 64 << 10;
/// The smallest buffer for a read.
const ROOM: usize = 4 << 10;
/// Queued chunks per direction of a connection: more than a TCP window.
const ON_THE_WAY: usize = 4096;

/// Forwards every connection to `upstream`.
pub(crate) async fn serve_slow_line(
    listener: TcpListener,
    upstream: SocketAddr,
    round_trip: Duration,
) -> io::Result<()> {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // The client has disconnected, or file descriptors are exhausted until others close.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // The client notices a failed connection, because it is closed.
        tokio::spawn(async move { join_with_delay(client, upstream, round_trip).await.ok() });
    }
}

async fn join_with_delay(
    client: TcpStream,
    upstream: SocketAddr,
    round_trip: Duration,
) -> io::Result<()> {
    let opened = Instant::now() + round_trip;
    let server = TcpStream::connect(upstream).await?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
    }
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::spawn(copy_with_delay(
        from_client,
        to_server,
        opened,
        round_trip / 2,
    ));
    copy_with_delay(from_server, to_client, opened, round_trip / 2).await
}

/// Copies bytes and the end of input from `from` to `to`, not before `opened`.
async fn copy_with_delay<R, W>(
    mut from: R,
    mut to: W,
    opened: Instant,
    delay: Duration,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(ON_THE_WAY);
    let read = async move {
        let mut buffer = BytesMut::new();
        loop {
            if buffer.capacity() < ROOM {
                buffer.reserve(CHUNK);
            }
            // A reset counts as the end.
            let ended = from.read_buf(&mut buffer).await.unwrap_or(0) == 0;
            let due = Instant::now().max(opened) + delay;
            // An empty chunk is the end, which has the same delay.
            if sender.send((due, buffer.split().freeze())).await.is_err() || ended {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::join!(read, write).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex, split};

    const ROUND_TRIP: Duration = Duration::from_millis(34);

    /// A connection opened at `opened`: its client end and server end.
    fn delayed_pair(opened: Instant) -> (DuplexStream, DuplexStream) {
        let (client, near) = duplex(1 << 20);
        let (far, server) = duplex(1 << 20);
        let ((from_client, to_client), (from_server, to_server)) = (split(near), split(far));
        tokio::spawn(copy_with_delay(
            from_client,
            to_server,
            opened,
            ROUND_TRIP / 2,
        ));
        tokio::spawn(copy_with_delay(
            from_server,
            to_client,
            opened,
            ROUND_TRIP / 2,
        ));
        (client, server)
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_and_its_answer_take_a_round_trip() {
        let start = Instant::now();
        let (mut client, mut server) = delayed_pair(start);
        for round in 1..=3 {
            client.write_all(b"ask").await.unwrap();
            server.read_exact(&mut [0; 3]).await.unwrap();
            server.write_all(b"told").await.unwrap();
            client.read_exact(&mut [0; 4]).await.unwrap();
            assert_eq!(start.elapsed(), ROUND_TRIP * round);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn setting_up_takes_one_more_for_whoever_does_not_wait() {
        let start = Instant::now();
        let (mut client, mut server) = delayed_pair(start + ROUND_TRIP);
        client.write_all(b"ask").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        assert_eq!(start.elapsed(), ROUND_TRIP + ROUND_TRIP / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_at_once_arrives_at_once() {
        let start = Instant::now();
        let (mut client, mut server) = delayed_pair(start);
        for _ in 0..100 {
            client.write_all(&[7; 1000]).await.unwrap();
            tokio::task::yield_now().await;
        }
        server.read_exact(&mut vec![0; 100_000]).await.unwrap();
        assert_eq!(start.elapsed(), ROUND_TRIP / 2);
    }

    #[tokio::test]
    async fn many_connections_get_their_own_bytes_and_may_end_one_direction_first() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = server.accept().await.unwrap();
                tokio::spawn(async move {
                    // Answers after the other direction has ended.
                    let mut all = Vec::new();
                    connection.read_to_end(&mut all).await.unwrap();
                    all.reverse();
                    connection.write_all(&all).await.unwrap();
                });
            }
        });
        let line = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = line.local_addr().unwrap();
        tokio::spawn(serve_slow_line(line, upstream, Duration::from_millis(2)));
        let clients: Vec<_> = (0..128_u32)
            .map(|number| {
                tokio::spawn(async move {
                    let mut connection = TcpStream::connect(address).await.unwrap();
                    let sent: Vec<u8> = (0..5000_u32)
                        .flat_map(|at| (at * 7 + number).to_le_bytes())
                        .collect();
                    connection.write_all(&sent).await.unwrap();
                    connection.shutdown().await.unwrap();
                    let mut back = Vec::new();
                    connection.read_to_end(&mut back).await.unwrap();
                    back.reverse();
                    assert!(back == sent, "connection {number}");
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    }
}
