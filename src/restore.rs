//! `restore`: gives back a version of a customer's config, byte for byte, once it is known to be what was backed up.
//!
//! Writes one file on this machine and nothing to the bucket.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::arguments::RestoreArguments;
use crate::aws::{Store, uri};
use crate::choice::{End, moment};
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::fault::{Fault, Kind};
use crate::files::{self, Mode};
use crate::formats::until_closed;
use crate::host;
use crate::past::{self, PATIENCE, Proven};
use crate::record::timestamp;
use crate::text::plain;
use crate::versions::{Past, Wanted};

/// Writes the version that is asked for. Exit: see README.md, "Exit codes".
pub fn run(arguments: &RestoreArguments, mut output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let target = arguments.source.target()?;
    let wanted = wanted(arguments, host::now())?;
    let place = arguments.output.as_deref().map(place).transpose()?;
    let (past, number, proven, left_out) = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        let found = past::look(&store, &arguments.customer).await?;
        let number = found.past.find(&wanted).map_err(|why| Fault::new(Kind::Input, format!("choose a version: {why}"), ""))?;
        let proven = past::proven(&store, &found.past, number).await?;
        Ok::<_, Fault>((found.past, number, proven, found.left_out))
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", plain(&line))?;
    }
    let done = if let Some(path) = &place {
        put(path, &proven.bytes, arguments.force)?
    } else {
        until_closed(output.write_all(&proven.bytes).and_then(|()| output.flush())).context("write the config to stdout")?;
        "wrote to stdout".to_owned()
    };
    let origin = origin(&past, number, &wanted, &proven, &target.bucket);
    writeln!(messages, "config-backup: {done}: {}", plain(&origin))?;
    if proven.by.is_empty() {
        writeln!(messages, "config-backup: nothing in the bucket says what that object must hold; it is as S3 has it")?;
    }
    Ok(Exit(0))
}

fn wanted(arguments: &RestoreArguments, now: DateTime<Utc>) -> Result<Wanted, Fault> {
    Ok(match (&arguments.at, &arguments.deployment, &arguments.version) {
        (Some(at), ..) => {
            let read = moment(at, End::Last, now).map_err(|why| Fault::new(Kind::Input, format!("read `--at {at}`"), why));
            Wanted::At(read?)
        }
        (_, Some(id), _) => Wanted::Deployment(id.clone()),
        (.., Some(version)) => Wanted::Version(version.clone()),
        _ => Wanted::Latest,
    })
}

/// The file that a path stands for: a link is followed. Refused at once, not after the fetching, is what cannot be one.
fn place(path: &Path) -> Result<PathBuf, Fault> {
    let path = if path.is_symlink() { fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() };
    let refused = |why: &str, way_out: &str| Err(Fault::new(Kind::Input, format!("write `{}`: {why}", path.display()), way_out));
    match fs::metadata(&path) {
        Ok(there) if there.is_dir() => refused("it is a folder", "name a file in it"),
        Ok(there) if !there.is_file() => refused("it is no regular file", "use `--stdout`"),
        _ if path.file_name().is_none() => refused("it names no file", "name one"),
        _ if !files::folder_of(&path).is_dir() => refused("there is no such folder", "make it first"),
        _ => Ok(path),
    }
}

/// Writes the file, unless it holds something else; gives what was done.
fn put(path: &Path, bytes: &[u8], force: bool) -> Result<String, Fault> {
    let name = path.display();
    let failed = |doing: &str, error: &io::Error| Fault::new(Kind::Local, format!("{doing} `{name}`: {error}"), "");
    let there = match fs::read(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", &error)),
    };
    let write = || files::put(path, &[bytes], Mode::Private).map(drop).map_err(|error| failed("write", &error));
    match there {
        Some(there) if there == bytes => Ok(format!("`{name}` is the same already")),
        Some(_) if !force => {
            let text = format!("write `{name}`: it is there and holds something else");
            Err(Fault::new(Kind::Local, text, "choose another file, or use `--force`, which keeps what it holds as *.bak"))
        }
        Some(_) => {
            let aside = files::set_aside(path).map_err(|error| failed("keep what is in", &error))?;
            write()?;
            Ok(format!("wrote `{name}`, and what it held is now `{}`", aside.display()))
        }
        None => write().map(|()| format!("wrote `{name}`")),
    }
}

/// Whose config it is, of when, and where it was.
fn origin(past: &Past, number: usize, wanted: &Wanted, proven: &Proven, bucket: &str) -> String {
    let version = &past.versions()[number];
    let deployment = match wanted {
        Wanted::Deployment(id) => past.deployment(id),
        _ => past.uses_of(number).next(),
    };
    let who = match deployment {
        Some(it) if it.deployment_id.is_empty() => format!("deployed {} by {}", timestamp(it.at), it.user),
        Some(it) => format!("deployed {} by {} ({})", timestamp(it.at), it.user, it.deployment_id),
        None if proven.deployment_id.is_empty() => format!("of {}, by a deployment without a record", timestamp(version.at)),
        None => format!("of {}, by the deployment {}, which has no record", timestamp(version.at), proven.deployment_id),
    };
    let proof = if proven.by.is_empty() { String::new() } else { format!("; {} as they must be", proven.by) };
    format!("{who}, from {}{proof}", uri(bucket, &version.address()))
}
