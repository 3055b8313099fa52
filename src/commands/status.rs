//! `status`: what deployments had to keep on this machine, and what was set aside. Sends nothing and changes nothing.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::output::sanitize::{escape_json, sanitize};
use crate::record;
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::state::spool::Spool;
use crate::state::spool_file::SpoolItemKind;
use clap::Args;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// As JSON: `kept`, `quarantine` and `problems`
    #[arg(long)]
    pub json: bool,
}

/// What `status --json` prints.
#[derive(Debug, Serialize)]
struct SpoolStatus {
    /// What is to be sent, oldest first.
    kept: Vec<SpoolStatusItem>,
    /// Paths of what was found in the spool and is no item.
    quarantine: Vec<String>,
    /// What cannot be looked at, one phrase each.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SpoolStatusItem {
    what: SpoolItemKind,
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
pub fn run_status(arguments: &StatusArgs, mut output: impl Write) -> Result<ExitCode> {
    let status = collect_status(&StateDirs::detect());
    let text = if arguments.json {
        escape_json(&serde_json::to_string(&status)?).into_owned() + "\n"
    } else {
        render_status(&status)
    };
    output
        .write_all(text.as_bytes())
        .context("write to stdout")?;
    Ok(ExitCode(u8::from(!status.problems.is_empty())))
}

fn collect_status(places: &StateDirs) -> SpoolStatus {
    let contents = Spool::new(places).list();
    let shown = |path: &Path| path.display().to_string();
    let mut status = SpoolStatus {
        kept: Vec::new(),
        quarantine: quarantine::list_quarantine(places)
            .iter()
            .map(|path| shown(path))
            .collect(),
        problems: contents.errors.iter().map(ToString::to_string).collect(),
    };
    status.problems.extend(
        contents
            .foreign
            .iter()
            .map(|path| format!("`{}` is not of ours", path.display())),
    );
    for path in contents.items {
        match Spool::read_item(&path) {
            Ok(Some((item, body))) => status.kept.push(SpoolStatusItem {
                what: item.what,
                at: record::format_rfc3339(item.at),
                customer: item.customer,
                deployment_id: item.deployment_id,
                bucket: item.target.bucket,
                profile: item.target.profile,
                bytes: body.len(),
                path: shown(&path),
            }),
            // Sent this very moment.
            Ok(None) => {}
            Err(refused) => status
                .problems
                .push(format!("`{}`: {refused}", path.display())),
        }
    }
    status
}

fn render_status(status: &SpoolStatus) -> String {
    let mut text = String::new();
    for kept in &status.kept {
        let what = match kept.what {
            SpoolItemKind::Config => "config.yaml",
            SpoolItemKind::Record => "usage record",
        };
        let (at, customer, bucket) = (&kept.at, sanitize(&kept.customer), sanitize(&kept.bucket));
        let _ = writeln!(
            text,
            "{what} of `{customer}`, {at}, for the bucket {bucket}: {}",
            sanitize(&kept.path)
        );
    }
    for path in &status.quarantine {
        let _ = writeln!(
            text,
            "in quarantine, to look at and to delete: {}",
            sanitize(path)
        );
    }
    for problem in &status.problems {
        let _ = writeln!(text, "{}", sanitize(problem));
    }
    let (kept, aside) = (status.kept.len(), status.quarantine.len());
    let way_out = if kept == 0 {
        ""
    } else {
        "; `config-backup replay` sends what is kept, and so does the next deployment"
    };
    let _ = writeln!(text, "{kept} kept, {aside} in quarantine{way_out}");
    text
}
