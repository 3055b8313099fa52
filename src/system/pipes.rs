//! Reads and writes that end, whatever is at the other end.
//!
//! What waits for another process runs on a thread of its own. A thread that is stuck ends with the process.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::system::panics;

const CHUNK_BYTES: usize = 64 << 10;
/// How long an input that is complete may take to end.
const END_GRACE: Duration = Duration::from_millis(200);

/// Reads `input` to its end, but at most `max_bytes` of it. Where `is_complete` accepts what was
/// read, an input that does not end is not waited for.
///
/// # Errors
/// The input cannot be read, or it is not complete at `deadline`.
pub fn read_until(
    input: impl Read + Send + 'static,
    max_bytes: usize,
    deadline: Instant,
    is_complete: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let chunks = match spawn_reader(input) {
        Ok(chunks) => chunks,
        Err(input) => {
            // Without a thread the input is still more likely to end than not.
            input.take(max_bytes as u64).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    };
    let mut wait_until = deadline;
    loop {
        let time_left = wait_until.saturating_duration_since(Instant::now());
        match chunks.recv_timeout(time_left) {
            Ok(Ok(chunk)) if chunk.is_empty() => return Ok(bytes),
            Ok(Ok(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) if is_complete(&bytes) => return Ok(bytes),
            Err(RecvTimeoutError::Timeout) => {
                let message = "it has not ended in time";
                return Err(io::Error::new(ErrorKind::TimedOut, message));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the thread that reads it ended"));
            }
        }
        if bytes.len() >= max_bytes {
            bytes.truncate(max_bytes);
            return Ok(bytes);
        }
        if is_complete(&bytes) {
            wait_until = deadline.min(Instant::now() + END_GRACE);
        }
    }
}

/// The first `max_bytes` of a file, which may be a device that never ends.
///
/// # Errors
/// The file cannot be read.
pub fn read_file_start(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Sends what is read chunk by chunk, an empty chunk at the end. Gives `input` back if no thread can
/// be started.
fn spawn_reader<R: Read + Send + 'static>(
    input: R,
) -> Result<mpsc::Receiver<io::Result<Vec<u8>>>, R> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let read = move |input| send_chunks(input, &sender);
    panics::spawn_thread_with(input, read, || ())?;
    Ok(receiver)
}

/// A chunk that is not taken ends this, so that an endless input takes no memory.
fn send_chunks(mut input: impl Read, sender: &mpsc::SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let result = match input.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) => Err(error),
        };
        let is_last = !matches!(&result, Ok(chunk) if !chunk.is_empty());
        if sender.send(result).is_err() || is_last {
            return;
        }
    }
}

/// Writes `bytes`.
///
/// # Errors
/// They cannot be written, or not until `deadline`: a pipe that is full and that no process reads.
pub fn write_until<W: Write + Send + 'static>(
    output: W,
    bytes: Vec<u8>,
    deadline: Instant,
) -> io::Result<()> {
    let (sender, result) = mpsc::channel();
    let panic_sender = sender.clone();
    let write = move |(output, bytes): (W, Vec<u8>)| {
        let _ = sender.send(Some(write_and_flush(output, &bytes)));
    };
    let tell_panic = move || {
        let _ = panic_sender.send(None);
    };
    if let Err((output, bytes)) = panics::spawn_thread_with((output, bytes), write, tell_panic) {
        // Without a thread the output is still more likely to be read than not.
        return write_and_flush(output, &bytes);
    }
    let time_left = deadline.saturating_duration_since(Instant::now());
    match result.recv_timeout(time_left) {
        Ok(Some(result)) => result,
        _ => Err(io::Error::new(ErrorKind::TimedOut, "it is not read")),
    }
}

fn write_and_flush(mut output: impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(100);

    fn ends_with_brace(bytes: &[u8]) -> bool {
        bytes.ends_with(b"}")
    }

    fn in_time(limit: Duration) -> Instant {
        Instant::now() + limit
    }

    /// A pipe whose writer stays open after it wrote `bytes`.
    fn open_pipe(bytes: &[u8]) -> (io::PipeReader, io::PipeWriter) {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(bytes).expect("written");
        (reader, writer)
    }

    #[test]
    fn an_input_that_ends_is_read_to_its_end() {
        let read = read_until(&b"{} more"[..], 100, in_time(LONG), ends_with_brace);
        assert_eq!(read.expect("read"), b"{} more");
    }

    #[test]
    fn an_input_that_does_not_end_is_waited_for_unless_it_is_complete() {
        let (reader, _writer) = open_pipe(b"{}");
        let read = read_until(reader, 100, in_time(LONG), ends_with_brace);
        assert_eq!(read.expect("read"), b"{}");

        let (reader, _writer) = open_pipe(b"{");
        let read = read_until(reader, 100, in_time(SHORT), ends_with_brace);
        assert_eq!(read.expect_err("an error").kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn an_endless_input_is_read_to_the_limit() {
        let read = read_until(io::repeat(b'a'), 1 << 20, in_time(LONG), ends_with_brace);
        assert_eq!(read.expect("read").len(), 1 << 20);
    }

    #[test]
    fn a_full_pipe_is_not_waited_for() {
        let (_reader, writer) = io::pipe().expect("a pipe");
        let written = write_until(writer, vec![0; 1 << 20], in_time(SHORT));
        assert_eq!(written.expect_err("an error").kind(), ErrorKind::TimedOut);

        let (mut reader, writer) = io::pipe().expect("a pipe");
        write_until(writer, b"answer".to_vec(), in_time(LONG)).expect("written");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("read");
        assert_eq!(text, "answer");
    }
}
