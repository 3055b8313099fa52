//! `diff`: what differs between two states of a customer's config, with its secrets masked.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::arguments::DiffArguments;
use crate::aws::Store;
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::documents::{self, Node};
use crate::fault::{Fault, Kind};
use crate::formats::until_closed;
use crate::literal::{Lines, split, unified};
use crate::masking::Known;
use crate::masks::{Mark, Masks};
use crate::past::{self, PATIENCE};
use crate::text::plain;
use crate::versions::Past;
use crate::{config, hiding, host};

/// Stands for the file on this machine.
const LOCAL: &str = "local";

/// One of the two states that are compared.
struct Side {
    /// Where it is, for people.
    name: String,
    bytes: Vec<u8>,
}

/// Prints what differs. Exit: see README.md, "Exit codes"; 1 with `--exit-code` where anything does.
pub fn run(arguments: &DiffArguments, output: impl Write + IsTerminal, mut messages: impl Write) -> Result<Exit> {
    let target = arguments.source.target()?;
    let (sides, left_out) = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        let found = past::look(&store, &arguments.customer).await?;
        let before = side(&store, &found.past, &arguments.before, arguments).await?;
        let after = side(&store, &found.past, &arguments.after, arguments).await?;
        Ok::<_, Fault>(([before, after], found.left_out))
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", plain(&line))?;
    }
    if arguments.show_secrets {
        writeln!(messages, "config-backup: WARNING: secrets are shown in clear")?;
    }
    let masks = if arguments.show_secrets { Masks::Off } else { Masks::On(host::random_key()) };
    let lines = if arguments.text { literal_lines(&sides, masks)? } else { lines(&sides, masks)? };
    if lines.is_empty() && sides[0].bytes != sides[1].bytes {
        writeln!(messages, "config-backup: they differ in comments or order only")?;
    }
    let coloured = output.is_terminal() && host::var("NO_COLOR").is_none();
    let written = write(&sides, &lines, coloured, &mut BufWriter::new(output));
    until_closed(written).context("write the difference to stdout")?;
    Ok(Exit(u8::from(arguments.exit_code && !lines.is_empty())))
}

async fn side(store: &Store, past: &Past, word: &str, arguments: &DiffArguments) -> Result<Side, Fault> {
    if word == LOCAL {
        let path = local(arguments)?;
        return Ok(Side { name: path.display().to_string(), bytes: config::read(&path)?.bytes });
    }
    let chosen = past.meant(word, host::now()).and_then(|wanted| past.find(&wanted));
    let place = chosen.map_err(|why| Fault::new(Kind::Input, format!("choose a version: {why}"), ""))?;
    let bytes = past::proven(store, past, place).await?.bytes;
    Ok(Side { name: store.uri(&past.versions()[place].address()), bytes })
}

/// The customer's config on this machine: in this folder, or above it, as seen from a unit's folder.
fn local(arguments: &DiffArguments) -> Result<PathBuf, Fault> {
    let here = ["config.yaml", "../config.yaml"].into_iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned);
    arguments.source.config_file.clone().or(here).ok_or_else(|| {
        let text = "find the config on this machine: there is no config.yaml here, nor in the folder above";
        Fault::new(Kind::Input, text, "name it with `--config-file`, or name two versions")
    })
}

fn lines(sides: &[Side; 2], masks: Masks) -> Result<Vec<(Mark, String)>, Fault> {
    let [before, after] = sides;
    if before.bytes == after.bytes {
        return Ok(Vec::new());
    }
    Ok(masks.lines(&tree(before)?, &tree(after)?))
}

fn tree(side: &Side) -> Result<Node, Fault> {
    documents::read(&side.bytes).map_err(|why| {
        let text = format!("compare `{}`: {why}", plain(&side.name));
        Fault::new(Kind::Input, text, "`config-backup restore` gives it back as it is")
    })
}

/// The lines as they are; without their secrets only where the parser can tell what is one.
fn literal_lines(sides: &[Side; 2], masks: Masks) -> Result<Vec<(Mark, String)>, Fault> {
    let [before, after] = sides;
    if before.bytes == after.bytes {
        return Ok(Vec::new());
    }
    let texts = sides.each_ref().map(|side| String::from_utf8_lossy(&side.bytes));
    let shown = match masks {
        Masks::Off => {
            texts.each_ref().map(|text| split(text).into_iter().map(|line| plain(line.trim_end_matches('\n')).into_owned()).collect())
        }
        Masks::On(_) => {
            let refused = |fault: Fault| Fault { advice: "`--show-secrets` shows its lines as they are".to_owned(), ..fault };
            let known = Known::all_of([&tree(before).map_err(refused)?, &tree(after).map_err(refused)?]);
            texts.each_ref().map(|text| hiding::lines(text, &known, &masks))
        }
    };
    let [before, after] = &texts;
    let [shown_before, shown_after] = shown;
    let before = Lines { real: split(before), shown: shown_before };
    Ok(unified(&before, &Lines { real: split(after), shown: shown_after }))
}

fn write(sides: &[Side; 2], lines: &[(Mark, String)], coloured: bool, output: &mut dyn Write) -> io::Result<()> {
    let [before, after] = sides.each_ref().map(|side| plain(&side.name));
    if !lines.is_empty() {
        writeln!(output, "--- {before}\n+++ {after}")?;
    }
    for (mark, text) in lines {
        let colour = match mark {
            Mark::Gone => "\u{1b}[31m",
            Mark::New => "\u{1b}[32m",
            Mark::Other => "\u{1b}[33m",
            Mark::Same => "",
        };
        if coloured && !colour.is_empty() {
            writeln!(output, "{colour}{text}\u{1b}[0m")?;
        } else {
            writeln!(output, "{text}")?;
        }
    }
    output.flush()
}
