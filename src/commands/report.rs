//! `report`: who deployed what, as one row per day, customer and user, as all deployments, or as
//! totals.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use clap::Args;

use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind, write_message};
use crate::exit_code::ExitCode;
use crate::output::sanitize::count_noun;
use crate::output::{OutputFormat, ignore_broken_pipe};
use crate::report::collector::RecordProblems;
use crate::report::columns::SortKey;
use crate::report::filter::ReportFilter;
use crate::report::request::{CacheMode, CollectedReport, ReportRequest};
use crate::report::rows::{ReportRows, RowKind};
use crate::report::writer::{RenderOptions, ReportWriter};
use crate::s3::caller::UserIdentity;
use crate::system::atomic_file::AtomicFile;
use crate::system::clock::utc_now;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_argument};

/// The end of `report --help`.
pub const EXAMPLES: &str = "\
Examples:
  config-backup report --profile team                       one CSV row per day, customer and user
  config-backup report airbnb acme --since 30d -f table     two customers, the last 30 days, aligned
  config-backup report --all --user jane.roe --sort=-timestamp --limit 10
                                                            jane's last ten deployments, in full
  config-backup report --summary -f markdown                totals per customer, user, month and week
  config-backup report -o usage.html                        a page with charts, for the browser

Days are in UTC, and the row of a day is its last deployment. Damaged records are skipped and named on stderr.
Fetched records are cached in $XDG_CACHE_HOME/config-backup.

Exit codes: 0 ok, 1 error, 2 usage, 3 bad input, 4 credentials, 5 denied or no such bucket, 6 network or timeout,
7 a record could not be used in full (with --strict), 130 interrupted.";

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct ReportArgs {
    /// Only these customers, by their exact names
    pub customer: Vec<String>,

    /// Output format [default: from the --output extension, otherwise csv]
    #[arg(
        short,
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "csv|table|json|ndjson|html|markdown",
        help_heading = "Output"
    )]
    pub format: Option<OutputFormat>,
    /// Write to this file instead of stdout (`-`)
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// All deployments, not only the last of each day, with time, hash, backup, git and CI
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// Totals in all and per customer, user, month and week instead of rows
    #[arg(long, conflicts_with_all = ["all", "sort", "limit"], help_heading = "Output")]
    pub summary: bool,
    /// Sort by these columns; a leading `-` sorts in descending order (--sort=-timestamp)
    #[arg(
        long,
        value_name = "COLUMN",
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = "Output"
    )]
    pub sort: Vec<SortKey>,
    /// Only the first N rows
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub limit: Option<usize>,
    /// Distinguish users by their name, or by their full ARN
    #[arg(long, value_enum, default_value = "name", help_heading = "Output")]
    pub by: UserIdentity,
    /// Do not escape CSV cells that a spreadsheet would run as a formula
    #[arg(long, help_heading = "Output")]
    pub raw_cells: bool,
    /// Exit with 7 when a record could not be used in full
    #[arg(long, help_heading = "Output")]
    pub strict: bool,

    /// Only deployments by this user: a name, a session name or a full ARN; repeatable
    #[arg(long, help_heading = "Choice")]
    pub user: Vec<String>,
    /// Only deployments of this project; repeatable
    #[arg(long, help_heading = "Choice")]
    pub project: Vec<String>,
    /// Only deployments of this cluster; repeatable
    #[arg(long, help_heading = "Choice")]
    pub cluster: Vec<String>,
    /// Only deployments since this time: a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub since: Option<String>,
    /// Only deployments until this time, as for --since; a date includes its day
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub until: Option<String>,

    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
    /// Fetch everything, and neither read nor write the cache
    #[arg(long, help_heading = "Source")]
    pub no_cache: bool,
    /// Fetch everything again into a new cache
    #[arg(long, conflicts_with = "no_cache", help_heading = "Source")]
    pub refresh: bool,
}

impl ReportArgs {
    /// `None` for stdout.
    #[must_use]
    pub fn output_file(&self) -> Option<&Path> {
        match self.output.as_deref() {
            Some(path) if path != Path::new("-") => Some(path),
            _ => None,
        }
    }

    #[must_use]
    pub fn output_format(&self) -> OutputFormat {
        if let Some(format) = self.format {
            return format;
        }
        let Some(path) = self.output_file() else {
            return OutputFormat::Csv;
        };
        let by_extension = OutputFormat::from_file_name(&path.to_string_lossy());
        by_extension.unwrap_or(OutputFormat::Csv)
    }

    fn to_request(&self, now: DateTime<Utc>) -> Result<ReportRequest, Error> {
        let row_kind = match (self.summary, self.all) {
            (true, _) => None,
            (false, true) => Some(RowKind::EveryDeployment),
            (false, false) => Some(RowKind::LastOfDay),
        };
        let cache_mode = match (self.no_cache, self.refresh) {
            (true, _) => CacheMode::Off,
            (false, true) => CacheMode::Refresh,
            (false, false) => CacheMode::Use,
        };
        Ok(ReportRequest {
            filter: self.to_filter(now)?,
            identity: self.by,
            row_kind,
            has_totals: self.summary || self.output_format() == OutputFormat::Html,
            cache_mode,
            now,
        })
    }

    fn to_filter(&self, now: DateTime<Utc>) -> Result<ReportFilter, Error> {
        let since = parse_time_option("--since", self.since.as_deref(), DayBoundary::Start, now)?;
        let until = parse_time_option("--until", self.until.as_deref(), DayBoundary::End, now)?;
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(Error::new(
                ErrorKind::Input,
                "cannot report this period: `--since` is later than `--until`",
                "",
            ));
        }
        Ok(ReportFilter {
            customers: self.customer.clone(),
            users: self.user.clone(),
            projects: self.project.clone(),
            clusters: self.cluster.clone(),
            since,
            until,
        })
    }

    fn render_options(&self) -> RenderOptions {
        RenderOptions {
            format: self.output_format(),
            is_sorted: !self.sort.is_empty(),
            is_raw: self.raw_cells,
            is_file: self.output_file().is_some(),
        }
    }
}

fn parse_time_option(
    flag: &str,
    text: Option<&str>,
    boundary: DayBoundary,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Error> {
    match text {
        Some(text) => parse_time_argument(flag, text, boundary, now).map(Some),
        None => Ok(None),
    }
}

/// With `has_progress`, `messages` is a terminal and shows a progress line.
pub fn run_report(
    args: &ReportArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
    has_progress: bool,
) -> Result<ExitCode> {
    let now = utc_now();
    let target = args.source.resolve_target(&mut messages)?;
    let request = args.to_request(now)?;
    let output_file = args.output_file();
    if let Some(path) = output_file {
        check_output_path(path).map_err(|error| Error::local_file("write", path, &error))?;
    }

    let progress_terminal = has_progress.then_some(&mut messages);
    let mut report = block_on(request.collect(&target, progress_terminal))??;
    if let Some(rows) = &mut report.content.rows {
        rows.sort_and_limit(&args.sort, args.limit);
    }

    let writer = ReportWriter {
        options: args.render_options(),
        content: &report.content,
        bucket: &target.bucket,
        created_at: now,
        is_terminal: output.is_terminal(),
    };
    if let Some(path) = output_file {
        write_file(&writer, path, &mut messages)?;
    } else {
        let written = writer.write_to_output(&mut BufWriter::new(output));
        ignore_broken_pipe(written).context("cannot write the report to stdout")?;
    }
    write_messages(&report, &mut messages)?;

    let has_failed = args.strict && !report.content.problems.is_empty();
    Ok(if has_failed {
        ExitCode::FindingsReported
    } else {
        ExitCode::Ok
    })
}

/// Reports an unusable path at once, not after minutes of fetching.
fn check_output_path(path: &Path) -> io::Result<()> {
    if let Ok(metadata) = fs::metadata(path)
        && !metadata.is_file()
        && !metadata.is_dir()
    {
        // Opening and closing a pipe would end the input of its reader.
        return Ok(());
    }
    AtomicFile::create_for_user(path)?;
    Ok(())
}

fn write_file(writer: &ReportWriter<'_>, path: &Path, messages: &mut impl Write) -> Result<()> {
    let written = writer.write_to_file(path);
    written.map_err(|error| Error::local_file("write", path, &error))?;
    let rows = count_noun(writer.row_count(), "row");
    write_message(messages, &format!("wrote {rows} to {}", path.display()))?;
    Ok(())
}

fn write_messages(report: &CollectedReport, messages: &mut impl Write) -> Result<()> {
    let content = &report.content;
    for line in &report.cache_errors {
        write_message(
            messages,
            &format!("{line}; the report is complete without it"),
        )?;
    }
    write_problems(&content.problems, messages)?;
    if let Some(rows) = &content.rows {
        write_ambiguous_names(rows, messages)?;
    }
    if !content.problems.skipped.is_empty() {
        let records = count_noun(content.problems.skipped.len(), "record");
        write_message(messages, &format!("skipped {records} in all"))?;
    }
    Ok(())
}

fn write_problems(problems: &RecordProblems, messages: &mut impl Write) -> Result<()> {
    for line in problems.skipped_archives.iter().chain(&problems.skipped) {
        write_message(messages, &format!("skipped {line}"))?;
    }
    for line in &problems.partly_used {
        write_message(messages, &format!("partly used {line}"))?;
    }
    Ok(())
}

fn write_ambiguous_names(rows: &ReportRows, messages: &mut impl Write) -> Result<()> {
    for (name, arns) in rows.ambiguous_names() {
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        let arns = arns.join(" and ");
        let line = format!("{name} stands for {arns}; `--by arn` distinguishes them");
        write_message(messages, &line)?;
    }
    Ok(())
}
