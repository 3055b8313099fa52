//! The programs that `make bench` needs; tests/bench/bench.py starts them. See `report-bench
//! --help`.

use std::fs;
use std::io::{self, Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::Parser;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::records::{RecordOptions, SyntheticRecords};

mod bare_client;
mod records;
mod slow_line;
mod synthetic_s3;

/// With a shorter backlog, a client that opens hundreds of connections waits a second for some.
const BACKLOG: u32 = 1024;

/// What `make bench` needs beside the programs that it compares.
#[derive(Parser)]
#[command(version)]
enum BenchCommand {
    /// A line with a delay in front of a server: prints its endpoint, ends on SIGTERM or SIGINT
    SlowLine {
        /// The server
        #[arg(long, value_name = "ADDRESS")]
        upstream: SocketAddr,
        /// How long a byte takes there and back
        #[arg(long, value_name = "MILLISECONDS")]
        round_trip_ms: u64,
        /// Loopback address to listen on; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// An S3 with synthetic records, without authentication: prints its endpoint, ends as slow-line does
    SyntheticS3 {
        #[command(flatten)]
        choice: RecordOptions,
        /// Loopback address to listen on; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Writes records into a folder, one file each
    Records {
        #[command(flatten)]
        choice: RecordOptions,
        /// The folder
        #[arg(long)]
        into: PathBuf,
        /// Also write what embedded-aws wants to know of each object, into this folder
        #[arg(long)]
        meta: Option<PathBuf>,
    },
    /// Gets addresses as fast as the line allows, throws the answers away and prints the seconds and the bytes of the bodies
    Floor {
        /// The server
        #[arg(long, value_name = "ADDRESS")]
        server: SocketAddr,
        /// How many connections, each with one request under way
        #[arg(long)]
        connections: usize,
        /// A file with a signed path and query per line
        #[arg(long)]
        targets: PathBuf,
    },
}

fn main() -> ExitCode {
    match run_command(BenchCommand::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr cannot report errors.
            let _ = writeln!(stderr(), "report-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: BenchCommand) -> io::Result<()> {
    // One thread is enough for two cores of clients, and avoids hand-over costs.
    let one = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    match command {
        BenchCommand::SlowLine {
            upstream,
            round_trip_ms,
            listen,
        } => one()?.block_on(serve_until_signal(listen, |listener| {
            slow_line::serve_slow_line(listener, upstream, Duration::from_millis(round_trip_ms))
        })),
        BenchCommand::SyntheticS3 { choice, listen } => {
            let records = SyntheticRecords::new(choice);
            let many = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            many.block_on(serve_until_signal(listen, |listener| {
                synthetic_s3::serve_bucket(listener, records)
            }))
        }
        BenchCommand::Records { choice, into, meta } => {
            write_records(&SyntheticRecords::new(choice), &into, meta.as_deref())
        }
        BenchCommand::Floor {
            server,
            connections,
            targets,
        } => {
            let targets = fs::read_to_string(targets)?
                .lines()
                .map(str::to_owned)
                .collect();
            let (took, bytes) =
                one()?.block_on(bare_client::get_all(server, connections, targets))?;
            writeln!(stdout(), "{} {bytes}", took.as_secs_f64())
        }
    }
}

async fn serve_until_signal<F: Future<Output = io::Result<()>>>(
    listen: SocketAddr,
    serve: impl FnOnce(TcpListener) -> F,
) -> io::Result<()> {
    if !listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{listen}` is no loopback address"),
        ));
    }
    // Registered before the endpoint is printed, so that an early signal also ends the program
    // cleanly.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let socket = if listen.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(BACKLOG)?;
    let endpoint = format!("http://{}\n", listener.local_addr()?);
    stdout().write_all(endpoint.as_bytes())?;
    stdout().flush()?;
    tokio::select! {
        done = serve(listener) => done,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn write_records(records: &SyntheticRecords, into: &Path, meta: Option<&Path>) -> io::Result<()> {
    for position in 0..records.count() {
        let record = records.get(position);
        let place = |folder: &Path| -> io::Result<PathBuf> {
            let path = folder.join(&record.key);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            Ok(path)
        };
        let path = place(into)?;
        fs::write(&path, &record.body)?;
        fs::File::options()
            .write(true)
            .open(&path)?
            .set_modified(UNIX_EPOCH + Duration::from_secs(record.modified))?;
        if let Some(meta) = meta {
            fs::write(place(meta)?, "{}\n")?;
        }
    }
    Ok(())
}
