//! `restore`: gives back a version of a customer's config, byte for byte, once it is known to be what was backed up.
//!
//! Writes one file on this machine and nothing to the bucket.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::history::load::{self, READ_TIMEOUTS, VerifiedConfig};
use crate::history::versions::{ConfigHistory, VersionSelector};
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::sanitize;
use crate::record::format_rfc3339;
use crate::s3::store::{ObjectStore, s3_uri};
use crate::system::atomic_file::{self, FileMode};
use crate::system::host;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_spec};
use clap::{ArgGroup, Args};

/// The arguments of `restore`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["output", "stdout"])))]
#[command(group(ArgGroup::new("which").args(["at", "deployment", "version"])))]
pub struct RestoreArgs {
    /// The customer, by the exact name
    pub customer: String,

    /// The version as of then: a date (2026-10-01, the end of that day in UTC), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub at: Option<String>,
    /// The version that this deployment used: its id, or the beginning of it
    #[arg(long, value_name = "ID", help_heading = "Choice")]
    pub deployment: Option<String>,
    /// This version: its MD5, or the beginning of it (4 digits or more), or the time in its key (2026-10-01_080000), or its
    /// version id
    #[arg(long, value_name = "VERSION", help_heading = "Choice")]
    pub version: Option<String>,

    /// Write to this file, readable for you alone
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write to stdout
    #[arg(long, help_heading = "Output")]
    pub stdout: bool,
    /// Replace a file with other content, too; what it held is kept beside it as *.bak
    #[arg(long, conflicts_with = "stdout", help_heading = "Output")]
    pub force: bool,

    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
}

/// Writes the version that is asked for. Exit: see docs/commands.md, "Exit codes".
pub fn run_restore(
    arguments: &RestoreArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target()?;
    let wanted = selector_from_args(arguments, host::utc_now())?;
    let place = arguments
        .output
        .as_deref()
        .map(resolve_output_path)
        .transpose()?;
    let (past, number, proven, left_out) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let found = load::load_history(&store, &arguments.customer).await?;
        let number = found
            .history
            .find_version(&wanted)
            .map_err(|why| Error::new(ErrorKind::Input, format!("choose a version: {why}"), ""))?;
        let proven = load::get_verified_version(&store, &found.history, number).await?;
        Ok::<_, Error>((found.history, number, proven, found.skipped))
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", sanitize(&line))?;
    }
    let done = if let Some(path) = &place {
        write_output_file(path, &proven.bytes, arguments.force)?
    } else {
        ignore_broken_pipe(
            output
                .write_all(&proven.bytes)
                .and_then(|()| output.flush()),
        )
        .context("write the config to stdout")?;
        "wrote to stdout".to_owned()
    };
    let origin = describe_origin(&past, number, &wanted, &proven, &target.bucket);
    writeln!(messages, "config-backup: {done}: {}", sanitize(&origin))?;
    if proven.verified_by.is_empty() {
        writeln!(
            messages,
            "config-backup: nothing in the bucket says what that object must hold; it is as S3 has it"
        )?;
    }
    Ok(ExitCode(0))
}

fn selector_from_args(
    arguments: &RestoreArgs,
    now: DateTime<Utc>,
) -> Result<VersionSelector, Error> {
    Ok(
        match (&arguments.at, &arguments.deployment, &arguments.version) {
            (Some(at), ..) => {
                let read = parse_time_spec(at, DayBoundary::End, now)
                    .map_err(|why| Error::new(ErrorKind::Input, format!("read `--at {at}`"), why));
                VersionSelector::At(read?)
            }
            (_, Some(id), _) => VersionSelector::Deployment(id.clone()),
            (.., Some(version)) => VersionSelector::Version(version.clone()),
            _ => VersionSelector::Latest,
        },
    )
}

/// The file that a path stands for: a link is followed. Refused at once, not after the fetching, is what cannot be one.
fn resolve_output_path(path: &Path) -> Result<PathBuf, Error> {
    let path = if path.is_symlink() {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    };
    let refused = |why: &str, way_out: &str| {
        Err(Error::new(
            ErrorKind::Input,
            format!("write `{}`: {why}", path.display()),
            way_out,
        ))
    };
    match fs::metadata(&path) {
        Ok(there) if there.is_dir() => refused("it is a folder", "name a file in it"),
        Ok(there) if !there.is_file() => refused("it is no regular file", "use `--stdout`"),
        _ if path.file_name().is_none() => refused("it names no file", "name one"),
        _ if !atomic_file::parent_dir(&path).is_dir() => {
            refused("there is no such folder", "make it first")
        }
        _ => Ok(path),
    }
}

/// Writes the file, unless it holds something else; gives what was done.
fn write_output_file(path: &Path, bytes: &[u8], force: bool) -> Result<String, Error> {
    let name = path.display();
    let failed = |doing: &str, error: &io::Error| {
        Error::new(ErrorKind::Local, format!("{doing} `{name}`: {error}"), "")
    };
    let there = match fs::read(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", &error)),
    };
    let write = || {
        atomic_file::write_atomically(path, &[bytes], FileMode::Private)
            .map(drop)
            .map_err(|error| failed("write", &error))
    };
    match there {
        Some(there) if there == bytes => Ok(format!("`{name}` is the same already")),
        Some(_) if !force => {
            let text = format!("write `{name}`: it is there and holds something else");
            Err(Error::new(
                ErrorKind::Local,
                text,
                "choose another file, or use `--force`, which keeps what it holds as *.bak",
            ))
        }
        Some(_) => {
            let aside = atomic_file::copy_to_backup(path)
                .map_err(|error| failed("keep what is in", &error))?;
            write()?;
            Ok(format!(
                "wrote `{name}`, and what it held is now `{}`",
                aside.display()
            ))
        }
        None => write().map(|()| format!("wrote `{name}`")),
    }
}

/// Whose config it is, of when, and where it was.
fn describe_origin(
    past: &ConfigHistory,
    number: usize,
    wanted: &VersionSelector,
    proven: &VerifiedConfig,
    bucket: &str,
) -> String {
    let version = &past.versions()[number];
    let deployment = match wanted {
        VersionSelector::Deployment(id) => past.find_deployment(id),
        _ => past.deployments_of(number).next(),
    };
    let who = match deployment {
        Some(it) if it.deployment_id.is_empty() => {
            format!("deployed {} by {}", format_rfc3339(it.at), it.user)
        }
        Some(it) => format!(
            "deployed {} by {} ({})",
            format_rfc3339(it.at),
            it.user,
            it.deployment_id
        ),
        None if proven.deployment_id.is_empty() => format!(
            "of {}, by a deployment without a record",
            format_rfc3339(version.at)
        ),
        None => format!(
            "of {}, by the deployment {}, which has no record",
            format_rfc3339(version.at),
            proven.deployment_id
        ),
    };
    let proof = if proven.verified_by.is_empty() {
        String::new()
    } else {
        format!("; {} as they must be", proven.verified_by)
    };
    format!(
        "{who}, from {}{proof}",
        s3_uri(bucket, &version.versioned_key())
    )
}
