//! `diff`: what differs between two versions of a customer's config, without its secrets.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::commands::bucket_args::BucketArgs;
use crate::config::document::{self, YamlNode};
use crate::config::file;
use crate::config::unified_diff::{ChangeKind, DiffLine, diff_lines};
use crate::error::{Error, ErrorKind, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::history::load::{get_verified_version, load_history};
use crate::history::versions::ConfigHistory;
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::sanitize;
use crate::redaction::render::RedactionMode;
use crate::s3::store::ObjectStore;
use crate::snapshot::{READ_TIMEOUTS, write_skipped};
use crate::system::clock::utc_now;
use crate::system::env::env_var;
use crate::system::random::random_key;
use crate::system::runtime::block_on;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = DIFF_HELP)]
pub struct DiffArgs {
    /// The customer's exact name
    pub customer: String,
    /// The old version
    #[arg(default_value = "latest")]
    pub before: String,
    /// The new version
    #[arg(default_value = "local")]
    pub after: String,

    /// Compare line by line, as `diff -u` does
    #[arg(long, requires = "show_secrets")]
    pub text: bool,
    /// Exit with 1 if anything differs
    #[arg(long)]
    pub exit_code: bool,
    /// Show secrets in clear
    #[arg(long)]
    pub show_secrets: bool,

    #[command(flatten)]
    pub source: BucketArgs,
}

/// What `diff --help` ends with.
const DIFF_HELP: &str = "\
BEFORE and AFTER are each one of
  latest        the newest version in the bucket
  local         --config-file, or config.yaml in this folder or the one above
  a version     the first 4 digits or more of its MD5, the time in its key
                (2026-10-01_080000), or its version id
  a deployment  its id or the beginning of it
  a time        a date (2026-10-01: the end of that day in UTC), an age (36h, 30d, 2w)
                or RFC 3339

The order of keys and comments are ignored. Items of lists are compared by position.
A value that looks like a secret is shown as changed, with a fingerprint that differs in
each run.";

/// Names the file on this machine.
const LOCAL_KEYWORD: &str = "local";

/// One of the two configs that are compared.
struct DiffSide {
    /// The path or the S3 URI.
    name: String,
    bytes: Vec<u8>,
}

/// Prints what differs. Exits with 1 if anything does and `--exit-code` is given.
pub fn run_diff(
    arguments: &DiffArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let (sides, skipped) = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let loaded = load_history(&store, &arguments.customer).await?;
        let before = load_side(&store, &loaded.history, &arguments.before, arguments).await?;
        let after = load_side(&store, &loaded.history, &arguments.after, arguments).await?;
        Ok::<_, Error>(([before, after], loaded.skipped))
    })??;
    write_skipped(&skipped, &mut messages)?;
    if arguments.show_secrets {
        write_message(&mut messages, "WARNING: secrets are shown in clear")?;
    }

    let mode = if arguments.show_secrets {
        RedactionMode::ShowSecrets
    } else {
        RedactionMode::Redact(random_key())
    };
    let is_same = sides[0].bytes == sides[1].bytes;
    let lines = if is_same {
        Vec::new()
    } else if arguments.text {
        diff_text(&sides)
    } else {
        diff_documents(&sides, mode)?
    };
    if lines.is_empty() && !is_same {
        write_message(&mut messages, "only comments or order differ")?;
    }

    let has_colours = output.is_terminal() && env_var("NO_COLOR").is_none();
    let written = write_diff(&sides, &lines, has_colours, &mut BufWriter::new(output));
    ignore_broken_pipe(written).context("cannot write the difference to stdout")?;
    let has_difference = !lines.is_empty();
    Ok(if arguments.exit_code && has_difference {
        ExitCode::Error
    } else {
        ExitCode::Ok
    })
}

async fn load_side(
    store: &ObjectStore,
    history: &ConfigHistory,
    word: &str,
    arguments: &DiffArgs,
) -> Result<DiffSide, Error> {
    if word == LOCAL_KEYWORD {
        let path = find_local_config(arguments)?;
        let bytes = file::read_config_file(&path)?.bytes;
        return Ok(DiffSide {
            name: path.display().to_string(),
            bytes,
        });
    }
    let selector = history.parse_selector(word, utc_now())?;
    let index = history.find_version(&selector)?;
    let bytes = get_verified_version(store, history, index).await?.bytes;
    let name = store.object_uri(&history.versions()[index].versioned_key());
    Ok(DiffSide { name, bytes })
}

/// The customer's config on this machine: `--config-file`, or `config.yaml` here or one folder up.
fn find_local_config(arguments: &DiffArgs) -> Result<PathBuf, Error> {
    if let Some(path) = &arguments.source.config_file {
        return Ok(path.clone());
    }
    for path in ["config.yaml", "../config.yaml"] {
        if Path::new(path).is_file() {
            return Ok(PathBuf::from(path));
        }
    }
    Err(Error::new(
        ErrorKind::Input,
        "cannot find the local config: no config.yaml in this folder or the one above",
        "name it with `--config-file`, or name two versions",
    ))
}

fn diff_documents(sides: &[DiffSide; 2], mode: RedactionMode) -> Result<Vec<DiffLine>, Error> {
    let [before, after] = sides;
    let (before, after) = (parse_side(before)?, parse_side(after)?);
    Ok(mode.render_changes(&before, &after))
}

fn parse_side(side: &DiffSide) -> Result<YamlNode, Error> {
    match document::parse_document(&side.bytes) {
        Ok(document) => Ok(document),
        Err(cause) => {
            let message = format!("cannot compare `{}`: {cause}", side.name);
            let hint = "`config-backup restore` writes it unchanged";
            Err(Error::new(ErrorKind::Input, message, hint))
        }
    }
}

/// Shows all lines as they are, so it must not run without `--show-secrets`.
fn diff_text(sides: &[DiffSide; 2]) -> Vec<DiffLine> {
    let [before, after] = sides
        .each_ref()
        .map(|side| String::from_utf8_lossy(&side.bytes));
    diff_lines(&before, &after)
}

fn write_diff(
    sides: &[DiffSide; 2],
    lines: &[DiffLine],
    has_colours: bool,
    output: &mut impl Write,
) -> io::Result<()> {
    if !lines.is_empty() {
        let [before, after] = sides.each_ref().map(|side| sanitize(&side.name));
        write_line(output, &format!("--- {before}"))?;
        write_line(output, &format!("+++ {after}"))?;
    }
    for DiffLine { kind, text } in lines {
        let colour = match kind {
            ChangeKind::Removed => "\u{1b}[31m",
            ChangeKind::Added => "\u{1b}[32m",
            ChangeKind::Changed | ChangeKind::HunkHeader => "\u{1b}[33m",
            ChangeKind::Unchanged => "",
        };
        if has_colours && !colour.is_empty() {
            writeln!(output, "{colour}{}\u{1b}[0m", sanitize(text))?;
        } else {
            write_line(output, &sanitize(text))?;
        }
    }
    output.flush()
}
