//! The command line: arguments, the line on standard output, and when to stop.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use embedded_aws::{AwsIdentity, BucketConfig, EmbeddedServer, ServerOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Serves S3 and STS on this machine, from a folder.
///
/// Prints the endpoint on one line once it listens, and serves until SIGTERM or SIGINT.
#[derive(Parser)]
#[command(version)]
pub(crate) struct ServerArguments {
    /// Folder with the objects, as plain files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Bucket to have, in us-east-1 unless a region is named; repeatable
    #[arg(long = "bucket", value_name = "NAME[=REGION]", value_parser = parse_bucket)]
    buckets: Vec<BucketConfig>,
    /// Who may sign requests: JSON array of objects with `access_key`, `secret_key`, `arn`, `user_id`, `account` and optionally `deny`,
    /// a list of S3 operations or `*` [default: two demo identities]
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
    /// File to append one JSON line per request to
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// File to write the endpoint to, complete as soon as it exists
    #[arg(long, value_name = "FILE")]
    endpoint_file: Option<PathBuf>,
    /// Also stop at the end of standard input
    #[arg(long)]
    stdin_eof: bool,
}

fn parse_bucket(text: &str) -> Result<BucketConfig, &'static str> {
    let (name, region) = text.split_once('=').unwrap_or((text, "us-east-1"));
    if name.is_empty() || region.is_empty() {
        return Err("use NAME or NAME=REGION");
    }
    Ok(BucketConfig {
        name: name.to_owned(),
        region: region.to_owned(),
    })
}

/// Serves until a signal or the end of input.
pub(crate) fn run_server(
    arguments: &ServerArguments,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
) -> io::Result<()> {
    let identities = match &arguments.identities {
        Some(file) => read_identities(file)?,
        None => embedded_aws::demo_identities(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Registered before the endpoint is printed, so that an early signal also stops the server
        // cleanly.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = EmbeddedServer::start(ServerOptions {
            data: arguments.data.clone(),
            buckets: arguments.buckets.clone(),
            identities,
            listen: arguments.listen,
            log: arguments.log.clone(),
        })?;
        announce_endpoint(
            &server.endpoint(),
            arguments.endpoint_file.as_deref(),
            output,
        )?;
        // Only read on request, because a background program that reads from a terminal is
        // suspended.
        let input = arguments.stdin_eof.then(|| wait_for_end_of(input));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = async {
                match input {
                    Some(end) => drop(end.await),
                    None => std::future::pending().await,
                }
            } => {}
        }
        drop(server);
        Ok(())
    })
}

fn read_identities(file: &Path) -> io::Result<Vec<AwsIdentity>> {
    let refused = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot read identities `{}`: {error}", file.display()),
        )
    };
    let text = fs::read(file).map_err(refused)?;
    serde_json::from_slice(&text).map_err(|error| refused(error.into()))
}

fn announce_endpoint(
    endpoint: &str,
    file: Option<&Path>,
    output: &mut impl Write,
) -> io::Result<()> {
    if let Some(file) = file {
        let refused = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot write endpoint file `{}`: {error}", file.display()),
            )
        };
        let mut draft = file.as_os_str().to_owned();
        draft.push(".tmp");
        fs::write(&draft, format!("{endpoint}\n")).map_err(refused)?;
        fs::rename(&draft, file).map_err(refused)?;
    }
    writeln!(output, "{endpoint}")?;
    output.flush()
}

/// Resolves at the end of `input`. A thread waits for it, because a read from a terminal cannot be
/// cancelled.
fn wait_for_end_of(mut input: impl Read + Send + 'static) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        // A read error counts as the end.
        let _ = io::copy(&mut input, &mut io::sink());
        let _ = ended.send(());
    });
    end
}
