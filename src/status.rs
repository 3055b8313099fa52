//! `status`: what deployments had to keep on this machine, and what was set aside. Sends nothing and changes nothing.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cli::{Exit, StatusArguments};
use crate::item::What;
use crate::places::Places;
use crate::quarantine;
use crate::record;
use crate::spool::Spool;
use crate::text::{escape_json, plain};

/// What `status --json` prints.
#[derive(Debug, Serialize)]
struct Status {
    /// What is to be sent, oldest first.
    kept: Vec<Kept>,
    /// Paths of what was found in the spool and is no item.
    quarantine: Vec<String>,
    /// What cannot be looked at, one phrase each.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Kept {
    what: What,
    /// When it was kept: RFC 3339, UTC.
    at: String,
    customer: String,
    deployment_id: String,
    bucket: String,
    /// Empty for the environment's credentials.
    profile: String,
    /// The length of what is to be sent.
    bytes: usize,
    path: String,
}

/// Prints what is kept. Exit: 0, or 1 where something cannot be looked at.
pub fn run(arguments: &StatusArguments, mut output: impl Write) -> Result<Exit> {
    let status = look(&Places::of_host());
    let text = if arguments.json { escape_json(&serde_json::to_string(&status)?).into_owned() + "\n" } else { words(&status) };
    output.write_all(text.as_bytes()).context("write to stdout")?;
    Ok(Exit(u8::from(!status.problems.is_empty())))
}

fn look(places: &Places) -> Status {
    let contents = Spool::new(places).look();
    let shown = |path: &Path| path.display().to_string();
    let mut status = Status {
        kept: Vec::new(),
        quarantine: quarantine::list(places).iter().map(|path| shown(path)).collect(),
        problems: contents.faults.iter().map(ToString::to_string).collect(),
    };
    status.problems.extend(contents.foreign.iter().map(|path| format!("`{}` is not of ours", path.display())));
    for path in contents.items {
        match Spool::peek(&path) {
            Ok(Some((item, body))) => status.kept.push(Kept {
                what: item.what,
                at: record::timestamp(item.at),
                customer: item.customer,
                deployment_id: item.deployment_id,
                bucket: item.target.bucket,
                profile: item.target.profile,
                bytes: body.len(),
                path: shown(&path),
            }),
            // Sent this very moment.
            Ok(None) => {}
            Err(refused) => status.problems.push(format!("`{}`: {refused}", path.display())),
        }
    }
    status
}

fn words(status: &Status) -> String {
    let mut text = String::new();
    for kept in &status.kept {
        let what = match kept.what {
            What::Config => "config.yaml",
            What::Record => "usage record",
        };
        let (at, customer, bucket) = (&kept.at, plain(&kept.customer), plain(&kept.bucket));
        let _ = writeln!(text, "{what} of `{customer}`, {at}, for the bucket {bucket}: {}", plain(&kept.path));
    }
    for path in &status.quarantine {
        let _ = writeln!(text, "in quarantine, to look at and to delete: {}", plain(path));
    }
    for problem in &status.problems {
        let _ = writeln!(text, "{}", plain(problem));
    }
    let (kept, aside) = (status.kept.len(), status.quarantine.len());
    let way_out = if kept == 0 { "" } else { "; `config-backup replay` sends what is kept, and so does the next deployment" };
    let _ = writeln!(text, "{kept} kept, {aside} in quarantine{way_out}");
    text
}
