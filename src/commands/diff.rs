//! `diff`: what differs between two states of a customer's config, with its secrets masked.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::commands::bucket_args::BucketArgs;
use crate::config::document::{self, YamlNode};
use crate::config::file;
use crate::config::unified_diff::{ChangeKind, DiffLine, diff_lines};
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::history::load::{self, READ_TIMEOUTS};
use crate::history::versions::ConfigHistory;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::sanitize;
use crate::redaction::render::RedactionMode;
use crate::s3::store::ObjectStore;
use crate::system::host;
use crate::system::runtime::block_on;
use clap::Args;

/// The arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = MEANT)]
pub struct DiffArgs {
    /// The customer, by the exact name
    pub customer: String,
    /// What is compared
    #[arg(default_value = "latest")]
    pub before: String,
    /// What it is compared with
    #[arg(default_value = "local")]
    pub after: String,

    /// Compare line by line, as `diff -u` does
    #[arg(long, requires = "show_secrets")]
    pub text: bool,
    /// Exit with 1 where anything differs
    #[arg(long)]
    pub exit_code: bool,
    /// Show secrets in clear
    #[arg(long)]
    pub show_secrets: bool,

    /// Where to look; --config-file is also what `local` stands for
    #[command(flatten)]
    pub source: BucketArgs,
}

/// What `diff --help` ends with.
const MEANT: &str = "\
BEFORE and AFTER are each one of
  latest       the newest version in the bucket
  local        the file --config-file, or config.yaml in this folder or the one above
  a version    its MD5, or the first 4 digits or more, or the time in its key (2026-10-01_080000), or its version id
  a deployment its id, or the beginning of it
  a time       a date (2026-10-01: the end of that day in UTC), an age (36h, 30d, 2w) or RFC 3339

Order and comments play no part, and items of lists are compared by their places. What looks like a secret, by its key or
by itself, is shown as changed, with a fingerprint that differs in each run.";

/// Stands for the file on this machine.
const LOCAL_KEYWORD: &str = "local";

/// One of the two states that are compared.
struct DiffSide {
    /// Where it is, for people.
    name: String,
    bytes: Vec<u8>,
}

/// Prints what differs. Exit: see docs/commands.md, "Exit codes"; 1 with `--exit-code` where anything does.
pub fn run_diff(
    arguments: &DiffArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target()?;
    let (sides, left_out) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let found = load::load_history(&store, &arguments.customer).await?;
        let before = load_side(&store, &found.history, &arguments.before, arguments).await?;
        let after = load_side(&store, &found.history, &arguments.after, arguments).await?;
        Ok::<_, Error>(([before, after], found.skipped))
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", sanitize(&line))?;
    }
    if arguments.show_secrets {
        writeln!(
            messages,
            "config-backup: WARNING: secrets are shown in clear"
        )?;
    }
    let masks = if arguments.show_secrets {
        RedactionMode::ShowSecrets
    } else {
        RedactionMode::Redact(host::random_key())
    };
    let lines = if arguments.text {
        diff_text(&sides)
    } else {
        diff_documents(&sides, masks)?
    };
    if lines.is_empty() && sides[0].bytes != sides[1].bytes {
        writeln!(
            messages,
            "config-backup: they differ in comments or order only"
        )?;
    }
    let coloured = output.is_terminal() && host::env_var("NO_COLOR").is_none();
    let written = write_diff(&sides, &lines, coloured, &mut BufWriter::new(output));
    ignore_broken_pipe(written).context("write the difference to stdout")?;
    Ok(ExitCode(u8::from(arguments.exit_code && !lines.is_empty())))
}

async fn load_side(
    store: &ObjectStore,
    past: &ConfigHistory,
    word: &str,
    arguments: &DiffArgs,
) -> Result<DiffSide, Error> {
    if word == LOCAL_KEYWORD {
        let path = find_local_config(arguments)?;
        return Ok(DiffSide {
            name: path.display().to_string(),
            bytes: file::read_config_file(&path)?.bytes,
        });
    }
    let chosen = past
        .parse_selector(word, host::utc_now())
        .and_then(|wanted| past.find_version(&wanted));
    let place = chosen
        .map_err(|why| Error::new(ErrorKind::Input, format!("choose a version: {why}"), ""))?;
    let bytes = load::get_verified_version(store, past, place).await?.bytes;
    Ok(DiffSide {
        name: store.object_uri(&past.versions()[place].versioned_key()),
        bytes,
    })
}

/// The customer's config on this machine: in this folder, or above it, as seen from a unit's folder.
fn find_local_config(arguments: &DiffArgs) -> Result<PathBuf, Error> {
    let here = ["config.yaml", "../config.yaml"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .map(Path::to_owned);
    arguments.source.config_file.clone().or(here).ok_or_else(|| {
        let text = "find the config on this machine: there is no config.yaml here, nor in the folder above";
        Error::new(ErrorKind::Input, text, "name it with `--config-file`, or name two versions")
    })
}

fn diff_documents(sides: &[DiffSide; 2], masks: RedactionMode) -> Result<Vec<DiffLine>, Error> {
    let [before, after] = sides;
    if before.bytes == after.bytes {
        return Ok(Vec::new());
    }
    Ok(masks.render_changes(&parse_document(before)?, &parse_document(after)?))
}

fn parse_document(side: &DiffSide) -> Result<YamlNode, Error> {
    document::parse_document(&side.bytes).map_err(|why| {
        let text = format!("compare `{}`: {why}", sanitize(&side.name));
        Error::new(
            ErrorKind::Input,
            text,
            "`config-backup restore` gives it back as it is",
        )
    })
}

/// Shows all lines as they are, so it must not run without `--show-secrets`.
fn diff_text(sides: &[DiffSide; 2]) -> Vec<DiffLine> {
    let [before, after] = sides
        .each_ref()
        .map(|side| String::from_utf8_lossy(&side.bytes));
    let mut lines = diff_lines(&before, &after);
    for line in &mut lines {
        line.text = sanitize(&line.text).into_owned();
    }
    lines
}

fn write_diff(
    sides: &[DiffSide; 2],
    lines: &[DiffLine],
    coloured: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    let [before, after] = sides.each_ref().map(|side| sanitize(&side.name));
    if !lines.is_empty() {
        writeln!(output, "--- {before}\n+++ {after}")?;
    }
    for DiffLine { kind, text } in lines {
        let colour = match kind {
            ChangeKind::Removed => "\u{1b}[31m",
            ChangeKind::Added => "\u{1b}[32m",
            ChangeKind::Changed | ChangeKind::HunkHeader => "\u{1b}[33m",
            ChangeKind::Unchanged => "",
        };
        if coloured && !colour.is_empty() {
            writeln!(output, "{colour}{text}\u{1b}[0m")?;
        } else {
            writeln!(output, "{text}")?;
        }
    }
    output.flush()
}
