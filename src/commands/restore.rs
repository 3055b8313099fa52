//! `restore`: writes a version of a customer's config to a file, after its digests are verified.
//!
//! Must not write to the bucket.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};

use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind, write_message};
use crate::exit_code::ExitCode;
use crate::history::load::{VerifiedConfig, get_verified_version, load_history};
use crate::history::versions::{ConfigHistory, VersionSelector};
use crate::output::ignore_broken_pipe;
use crate::record::format_rfc3339;
use crate::s3::store::{ObjectStore, s3_uri};
use crate::snapshot::{READ_TIMEOUTS, write_skipped};
use crate::system::atomic_file::{self, FileMode};
use crate::system::clock::utc_now;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_argument};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["output", "stdout"])))]
#[command(group(ArgGroup::new("which").args(["at", "deployment", "version"])))]
pub struct RestoreArgs {
    /// The customer's exact name
    pub customer: String,

    /// The newest version at this time: a date (2026-10-01: the end of that day in UTC), an age
    /// (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub at: Option<String>,
    /// The version that this deployment used: its id or the beginning of it
    #[arg(long, value_name = "ID", help_heading = "Choice")]
    pub deployment: Option<String>,
    /// This version: the first 4 digits or more of its MD5, the time in its key
    /// (2026-10-01_080000), or its version id
    #[arg(long, value_name = "VERSION", help_heading = "Choice")]
    pub version: Option<String>,

    /// Write to this file, with mode 0600
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write to stdout
    #[arg(long, help_heading = "Output")]
    pub stdout: bool,
    /// Replace a file with other content, and keep the old content as *.bak
    #[arg(long, conflicts_with = "stdout", help_heading = "Output")]
    pub force: bool,

    #[command(flatten)]
    pub source: BucketArgs,
}

/// Writes the version that the arguments select.
pub fn run_restore(
    arguments: &RestoreArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let selector = selector_from_args(arguments, utc_now())?;
    // Before anything is fetched, so that an unusable path fails at once.
    let output_path = match &arguments.output {
        Some(path) => Some(resolve_output_path(path)?),
        None => None,
    };

    let (loaded, index, config) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let loaded = load_history(&store, &arguments.customer).await?;
        let index = loaded.history.find_version(&selector)?;
        let config = get_verified_version(&store, &loaded.history, index).await?;
        Ok::<_, Error>((loaded, index, config))
    })??;
    write_skipped(&loaded.skipped, &mut messages)?;

    let done = if let Some(path) = &output_path {
        write_output_file(path, &config.bytes, arguments.force)?
    } else {
        let written = output
            .write_all(&config.bytes)
            .and_then(|()| output.flush());
        ignore_broken_pipe(written).context("cannot write the config to stdout")?;
        "wrote to stdout".to_owned()
    };
    let origin = describe_origin(&loaded.history, index, &selector, &config, &target.bucket);
    write_message(&mut messages, &format!("{done}: {origin}"))?;
    if config.verified_by.is_empty() {
        let note = "not verified: the bucket has no digest of this object";
        write_message(&mut messages, note)?;
    }
    Ok(ExitCode::Ok)
}

fn selector_from_args(
    arguments: &RestoreArgs,
    now: DateTime<Utc>,
) -> Result<VersionSelector, Error> {
    if let Some(text) = &arguments.at {
        return parse_time_argument("--at", text, DayBoundary::End, now).map(VersionSelector::At);
    }
    if let Some(id) = &arguments.deployment {
        return Ok(VersionSelector::Deployment(id.clone()));
    }
    match &arguments.version {
        Some(version) => Ok(VersionSelector::Version(version.clone())),
        None => Ok(VersionSelector::Latest),
    }
}

/// The file to write to, behind a symbolic link if the path is one.
fn resolve_output_path(path: &Path) -> Result<PathBuf, Error> {
    let path = if path.is_symlink() {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    };
    let refuse = |cause: &str, hint: &str| {
        let message = format!("cannot write `{}`: {cause}", path.display());
        Err(Error::new(ErrorKind::Input, message, hint))
    };
    match fs::metadata(&path) {
        Ok(existing) if existing.is_dir() => refuse("it is a folder", "name a file in it"),
        Ok(existing) if !existing.is_file() => refuse("it is not a regular file", "use `--stdout`"),
        _ if path.file_name().is_none() => refuse("the path does not name a file", "name a file"),
        _ if !atomic_file::parent_dir(&path).is_dir() => {
            refuse("there is no such folder", "create the folder first")
        }
        _ => Ok(path),
    }
}

/// Writes the file, unless it has other content. Returns what was done.
fn write_output_file(path: &Path, bytes: &[u8], can_replace: bool) -> Result<String, Error> {
    let name = path.display();
    let existing = match fs::read(path) {
        Ok(existing) => existing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_private_file(path, bytes)?;
            return Ok(format!("wrote `{name}`"));
        }
        Err(error) => return Err(Error::local_file("read", path, &error)),
    };
    if existing == bytes {
        return Ok(format!("`{name}` already has this content"));
    }
    if !can_replace {
        let message = format!("cannot write `{name}`: it has other content");
        let hint = "choose another file, or use `--force`, which keeps the old content as *.bak";
        return Err(Error::new(ErrorKind::Local, message, hint));
    }

    let backup = match atomic_file::copy_to_backup(path) {
        Ok(backup) => backup,
        Err(error) => return Err(Error::local_file("back up", path, &error)),
    };
    write_private_file(path, bytes)?;
    Ok(format!(
        "wrote `{name}`, and its old content to `{}`",
        backup.display()
    ))
}

fn write_private_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match atomic_file::write_atomically(path, &[bytes], FileMode::Private) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::local_file("write", path, &error)),
    }
}

/// Who deployed the version and when, where it was, and what was verified.
fn describe_origin(
    history: &ConfigHistory,
    index: usize,
    selector: &VersionSelector,
    config: &VerifiedConfig,
    bucket: &str,
) -> String {
    let version = &history.versions()[index];
    let deployment = match selector {
        VersionSelector::Deployment(id) => history.find_deployment(id),
        _ => history.deployments_of(index).next(),
    };
    let captured_at = format_rfc3339(version.captured_at());
    let who = match (deployment, &config.deployment_id) {
        (Some(record), _) => {
            let (time, user) = (format_rfc3339(record.deployed_at), &record.parsed.user);
            match record.parsed.deployment_id.as_str() {
                "" => format!("deployed {time} by {user}"),
                id => format!("deployed {time} by {user} ({id})"),
            }
        }
        (None, Some(id)) => format!("of {captured_at}, by the deployment {id} without a record"),
        (None, None) => format!("of {captured_at}, by a deployment without a record"),
    };
    let uri = s3_uri(bucket, &version.versioned_key());
    match config.verified_by.split_last() {
        Some((last, [])) => format!("{who}, from {uri}; {last} verified"),
        Some((last, fields)) => {
            let fields = fields.join(", ");
            format!("{who}, from {uri}; {fields} and {last} verified")
        }
        None => format!("{who}, from {uri}"),
    }
}
