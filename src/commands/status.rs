//! `status`: shows the spool and the quarantine. Uploads nothing and changes nothing.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::deployment::spool_queue::{
    describe_waiting_uploads, item_put_off_name, target_put_off_name,
};
use crate::exit_code::ExitCode;
use crate::output::sanitize::sanitize;
use crate::output::to_json_line;
use crate::record;
use crate::s3::store::BucketTarget;
use crate::state::dirs::StateDirs;
use crate::state::put_off::{self, PutOff};
use crate::state::quarantine;
use crate::state::spool::Spool;
use crate::state::spool_file::{SpoolItem, SpoolItemKind};
use crate::system::clock::utc_now;

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
    /// The targets of the queued uploads, each with its failure if no deployment tries it now.
    #[serde(skip)]
    targets: HashMap<BucketTarget, Option<PutOff>>,
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
    /// Before this time no deployment tries the upload again: RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<String>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip)]
    target: BucketTarget,
}

impl SpoolStatus {
    fn add_item(&mut self, state_dirs: &StateDirs, path: &Path, item: SpoolItem, bytes: usize) {
        let target = item.target.clone();
        let of_target = self
            .targets
            .entry(target)
            .or_insert_with_key(|target| find_waiting(state_dirs, &target_put_off_name(target)));
        let put_off = match of_target {
            Some(put_off) => Some(put_off.clone()),
            None => find_waiting(state_dirs, &item_put_off_name(path)),
        };
        self.queued.push(SpoolStatusItem {
            kind: item.kind,
            at: record::format_rfc3339(item.at),
            customer: item.customer,
            deployment_id: item.deployment_id,
            bucket: item.target.bucket.clone(),
            profile: item.target.profile.clone(),
            bytes,
            path: path.display().to_string(),
            next_try_at: put_off
                .as_ref()
                .map(|it| record::format_rfc3339(it.next_try_at)),
            problem: put_off.map(|it| it.reason),
            target: item.target,
        });
    }
}

fn find_waiting(state_dirs: &StateDirs, name: &str) -> Option<PutOff> {
    put_off::read_put_off(state_dirs, name).filter(|it| it.is_waiting(utc_now()))
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
            Ok(Some((item, body))) => status.add_item(state_dirs, &path, item, body.len()),
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

/// One line for each target or upload that is put off.
fn render_waits(text: &mut String, status: &SpoolStatus) {
    let mut told: HashSet<&BucketTarget> = HashSet::new();
    for item in &status.queued {
        let target = &item.target;
        let of_target = status.targets.get(target).and_then(Option::as_ref);
        let line = match (of_target, &item.next_try_at, &item.problem) {
            (Some(_), ..) if !told.insert(target) => continue,
            (Some(put_off), ..) => {
                let same = status.queued.iter().filter(|it| it.target == *target);
                describe_waiting_uploads(target, same.count(), put_off)
            }
            (None, Some(until), Some(problem)) => {
                format!("`{}` waits until {until}: {problem}", item.path)
            }
            _ => continue,
        };
        let _ = writeln!(text, "{}", sanitize(&line));
    }
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
    render_waits(&mut text, status);
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
