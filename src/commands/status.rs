//! `status`: shows the spool and the quarantine. Uploads nothing and changes nothing.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::output::sanitize::sanitize;
use crate::output::to_json_line;
use crate::record;
use crate::state::dirs::StateDirs;
use crate::state::quarantine;
use crate::state::spool::Spool;
use crate::state::spool_file::SpoolItemKind;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print one JSON object with `kept`, `quarantine` and `problems`
    #[arg(long)]
    pub json: bool,
}

/// The output of `status --json`.
#[derive(Debug, Default, Serialize)]
struct SpoolStatus {
    /// The queued uploads of each bucket and profile: records first, oldest first.
    #[serde(rename = "kept")]
    queued: Vec<SpoolStatusItem>,
    /// The paths of quarantined files.
    quarantine: Vec<String>,
    /// What cannot be read, one phrase each.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SpoolStatusItem {
    #[serde(rename = "what")]
    kind: SpoolItemKind,
    /// When the config was read or the deployment began: RFC 3339, UTC.
    at: String,
    customer: String,
    deployment_id: String,
    bucket: String,
    /// Empty for the credentials of the environment.
    profile: String,
    /// The length of the upload.
    bytes: usize,
    path: String,
}

impl SpoolStatusItem {
    fn order(&self) -> impl Ord + '_ {
        let is_config = self.kind == SpoolItemKind::Config;
        (&self.bucket, &self.profile, is_config, &self.at, &self.path)
    }
}

/// Exits with 0, or with 1 if something cannot be read.
pub fn run_status(args: &StatusArgs, mut output: impl Write) -> Result<ExitCode> {
    let status = collect_status(&StateDirs::detect());
    let text = if args.json {
        to_json_line(&status)? + "\n"
    } else {
        render_status(&status)
    };
    output
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    if status.problems.is_empty() {
        Ok(ExitCode::Ok)
    } else {
        Ok(ExitCode::Error)
    }
}

fn collect_status(state_dirs: &StateDirs) -> SpoolStatus {
    let mut status = SpoolStatus::default();
    for path in quarantine::list_quarantine(state_dirs) {
        status.quarantine.push(path.display().to_string());
    }

    let contents = Spool::new(state_dirs).list();
    for error in &contents.errors {
        status.problems.push(error.to_string());
    }
    for path in &contents.foreign {
        let path = path.display();
        status
            .problems
            .push(format!("`{path}` is not a spool file"));
    }
    for path in contents.items {
        match Spool::read_item(&path) {
            Ok(Some((item, body))) => status.queued.push(SpoolStatusItem {
                kind: item.kind,
                at: record::format_rfc3339(item.at),
                customer: item.customer,
                deployment_id: item.deployment_id,
                bucket: item.target.bucket,
                profile: item.target.profile,
                bytes: body.len(),
                path: path.display().to_string(),
            }),
            // It was uploaded since the spool was listed.
            Ok(None) => {}
            Err(error) => {
                let path = path.display();
                status.problems.push(format!("`{path}`: {error}"));
            }
        }
    }
    // A deployment queues its record and its config at once: which file is written first differs.
    status
        .queued
        .sort_by(|one, other| one.order().cmp(&other.order()));
    status
}

fn render_status(status: &SpoolStatus) -> String {
    let mut text = String::new();
    for item in &status.queued {
        let what = match item.kind {
            SpoolItemKind::Config => "config.yaml",
            SpoolItemKind::Record => "usage record",
        };
        let at = &item.at;
        let customer = sanitize(&item.customer);
        let bucket = sanitize(&item.bucket);
        let path = sanitize(&item.path);
        let _ = writeln!(
            text,
            "{what} of `{customer}`, {at}, for the bucket {bucket}: {path}"
        );
    }
    for path in &status.quarantine {
        let path = sanitize(path);
        let _ = writeln!(text, "quarantined (inspect it, then delete it): {path}");
    }
    for problem in &status.problems {
        let _ = writeln!(text, "{}", sanitize(problem));
    }

    let queued = status.queued.len();
    let quarantined = status.quarantine.len();
    let _ = write!(text, "{queued} queued, {quarantined} in quarantine");
    if queued > 0 {
        text.push_str("; the next deployment or `config-backup replay` uploads what is queued");
    }
    text.push('\n');
    text
}
