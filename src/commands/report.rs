//! `report`: who deployed what, one row per day, customer and user, or all deployments, or totals.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::archive::reader;
use crate::commands::bucket_args::BucketArgs;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::keys::{self, RECORDS_PREFIX};
use crate::output::progress::ProgressLine;
use crate::output::sanitize::sanitize;
use crate::output::{OutputFormat, ignore_broken_pipe};
use crate::record::deployment::UserIdentity;
use crate::report::cache::RecordCache;
use crate::report::collector::{MAX_RECORD_BYTES, RecordProblems, ReportCollector};
use crate::report::columns::SortKey;
use crate::report::filter::ReportFilter;
use crate::report::list_plan::{self, ListPlan};
use crate::report::rows::ReportRows;
use crate::report::totals::ReportTotals;
use crate::report::writer::{CollectedReport, RenderOptions, ReportWriter};
use crate::s3::bulk_get;
use crate::s3::listing::ListRequest;
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::system::atomic_file::AtomicFile;
use crate::system::host;
use crate::system::runtime::block_on;
use crate::time_spec::{DayBoundary, parse_time_spec};
use clap::Args;
use std::path::PathBuf;

/// What `report --help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  config-backup report --profile team                       one CSV row per day, customer and user
  config-backup report airbnb acme --since 30d -f table     two customers, the last 30 days, aligned
  config-backup report --all --user jane.roe --sort=-timestamp --limit 10
                                                            jane's last ten deployments, in full
  config-backup report --summary -f markdown                totals per customer, user, month and week
  config-backup report -o usage.html                        a page with charts, for the browser

A day is a day in UTC, and its row is that of the last deployment. Records that are damaged are named on stderr
and left out; the others are reported. What was fetched once is kept in $XDG_CACHE_HOME/config-backup.

Exit codes: 0 ok, 1 error, 2 usage, 3 bad input, 4 credentials, 5 denied or no such bucket, 6 network or timeout,
7 a record could not be used in full (with --strict), 130 interrupted.";

/// The arguments of `report`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of the command line
pub struct ReportArgs {
    /// Only these customers, by their exact names
    pub customer: Vec<String>,

    /// How to write it; without this as the suffix of --output says, and else csv
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
    /// Every deployment, not only the last of each day, with time, hash, backup, git and CI
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// Totals in all and per customer, user, month and week instead of rows
    #[arg(long, conflicts_with_all = ["all", "sort", "limit"], help_heading = "Output")]
    pub summary: bool,
    /// Sort by these columns; a leading `-` puts the greatest first (--sort=-timestamp)
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
    /// Tell users apart by the last part of their ARN, or by all of it
    #[arg(long, value_enum, default_value = "name", help_heading = "Output")]
    pub by: UserIdentity,
    /// Leave CSV cells as they are, even where a spreadsheet would run them as a formula
    #[arg(long, help_heading = "Output")]
    pub raw_cells: bool,
    /// Exit with 7 when a record could not be used in full
    #[arg(long, help_heading = "Output")]
    pub strict: bool,

    /// Only deployments by this user: a name or a full ARN; repeatable
    #[arg(long, help_heading = "Choice")]
    pub user: Vec<String>,
    /// Only deployments of this project; repeatable
    #[arg(long, help_heading = "Choice")]
    pub project: Vec<String>,
    /// Only deployments of this cluster; repeatable
    #[arg(long, help_heading = "Choice")]
    pub cluster: Vec<String>,
    /// Nothing before: a date (2026-10-01), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub since: Option<String>,
    /// Nothing after: as --since; a date includes its day
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub until: Option<String>,

    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
    /// Fetch everything, and leave the cache alone
    #[arg(long, help_heading = "Source")]
    pub no_cache: bool,
    /// Fetch everything anew into the cache
    #[arg(long, conflicts_with = "no_cache", help_heading = "Source")]
    pub refresh: bool,
}

impl ReportArgs {
    /// The file to write to; `None` for stdout.
    #[must_use]
    pub fn output_file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| *path != Path::new("-"))
    }

    /// How to write it.
    #[must_use]
    pub fn output_format(&self) -> OutputFormat {
        let by_name = || {
            self.output_file()
                .and_then(|path| OutputFormat::from_file_name(&path.to_string_lossy()))
        };
        self.format.or_else(by_name).unwrap_or(OutputFormat::Csv)
    }
}

/// Attempts are counted by whoever sends the requests.
const REPORT_TIMEOUTS: RequestTimeouts = RequestTimeouts {
    operation: Duration::from_secs(30),
    attempt: Duration::from_secs(20),
    max_attempts: 1,
};

/// Prints the report; `watched` says whether `messages` go to a terminal. Exit: see docs/commands.md, "Exit codes".
pub fn run_report(
    arguments: &ReportArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
    watched: bool,
) -> Result<ExitCode> {
    let now = host::utc_now();
    let target = arguments.source.resolve_target()?;
    let choice = parse_filter(arguments, now)?;
    let format = arguments.output_format();
    if let Some(path) = arguments.output_file() {
        check_output_path(path).map_err(|error| write_error(path, &error))?;
    }
    let mut report = block_on(collect_report(
        arguments,
        &target,
        &choice,
        format,
        now,
        watched.then_some(&mut messages),
    ))??;
    if let Some(rows) = &mut report.rows {
        rows.sort_and_limit(&arguments.sort, arguments.limit);
    }
    let terminal = output.is_terminal();
    let options = RenderOptions {
        format,
        is_sorted: !arguments.sort.is_empty(),
        is_raw: arguments.raw_cells,
        is_file: arguments.output_file().is_some(),
    };
    let sheet = ReportWriter {
        options,
        report: &report,
        bucket: &target.bucket,
        created_at: now,
        is_terminal: terminal,
    };
    match arguments.output_file() {
        Some(path) => {
            sheet
                .write_to_file(path)
                .map_err(|error| write_error(path, &error))?;
            writeln!(
                messages,
                "config-backup: wrote {} to {}",
                count_noun(sheet.row_count(), "row"),
                path.display()
            )?;
        }
        None => ignore_broken_pipe(sheet.write_to_output(&mut BufWriter::new(output)))
            .context("write the report to stdout")?,
    }
    write_messages(&report, &mut messages)?;
    let RecordProblems {
        skipped: unusable,
        partly_used: partial,
        skipped_archives: archive,
    } = &report.problems;
    let flawless = unusable.is_empty() && partial.is_empty() && archive.is_empty();
    Ok(ExitCode(if arguments.strict && !flawless { 7 } else { 0 }))
}

fn parse_filter(arguments: &ReportArgs, now: DateTime<Utc>) -> Result<ReportFilter> {
    let read = |name: &str, text: &Option<String>, end| {
        let read = text.as_deref().map(|text| {
            parse_time_spec(text, end, now)
                .map_err(|why| Error::new(ErrorKind::Input, format!("read `--{name} {text}`"), why))
        });
        read.transpose()
    };
    let (since, until) = (
        read("since", &arguments.since, DayBoundary::Start)?,
        read("until", &arguments.until, DayBoundary::End)?,
    );
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Error::new(
            ErrorKind::Input,
            "read the time asked for: `--since` is later than `--until`",
            "",
        )
        .into());
    }
    let named = |names: &[String]| names.to_vec();
    Ok(ReportFilter {
        customers: named(&arguments.customer),
        users: named(&arguments.user),
        projects: named(&arguments.project),
        clusters: named(&arguments.cluster),
        since,
        until,
    })
}

fn write_error(path: &Path, error: &io::Error) -> anyhow::Error {
    Error::new(
        ErrorKind::Local,
        format!("write `{}`: {error}", path.display()),
        "",
    )
    .into()
}

/// Says at once that the report could not be written, not after minutes of fetching.
fn check_output_path(path: &Path) -> io::Result<()> {
    // To open a pipe would be to write to it: whoever reads it would see an end.
    let is_special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    if is_special {
        Ok(())
    } else {
        AtomicFile::create_for_user(path).map(drop)
    }
}

/// Gathers the report; once more and without the cache where that turns out to be damaged.
async fn collect_report<W: Write>(
    arguments: &ReportArgs,
    target: &BucketTarget,
    choice: &ReportFilter,
    format: OutputFormat,
    now: DateTime<Utc>,
    mut terminal: Option<&mut W>,
) -> Result<CollectedReport, Error> {
    let store = Arc::new(ObjectStore::open(target, REPORT_TIMEOUTS).await?);
    let place = store.bucket_identity();
    let folder = host::cache_dir().filter(|_| !arguments.no_cache);
    if let Some(folder) = folder.as_deref().filter(|_| arguments.refresh) {
        RecordCache::remove(folder, &place);
    }
    let drop_cache = || {
        folder
            .iter()
            .for_each(|folder| RecordCache::remove(folder, &place));
    };
    let mut troubles = Vec::new();
    let mut cache = None;
    let mut without_archive = None;
    if let Some(folder) = &folder {
        match RecordCache::open(folder, &place) {
            Ok(opened) => cache = Some(opened),
            Err(why) => {
                troubles.push(format!(
                    "open the cache in `{}`: {}",
                    folder.display(),
                    why.message
                ));
                if why.is_corrupt {
                    drop_cache();
                }
            }
        }
    }
    loop {
        let mut gathering = ReportCollector {
            filter: choice,
            rows: (!arguments.summary).then(|| ReportRows::new(arguments.by, arguments.all)),
            totals: (arguments.summary || format == OutputFormat::Html)
                .then(|| ReportTotals::new(arguments.by)),
            problems: RecordProblems::default(),
            cache: cache.take(),
            cache_error: None,
            is_cache_untrusted: false,
            is_cache_corrupt: false,
            is_temporary_cache_full: false,
            progress: ProgressLine::new(terminal.as_deref_mut()),
            seen_segments: HashSet::new(),
            incomplete_segments: HashSet::new(),
            archive_keys: BTreeSet::new(),
        };
        gathering
            .problems
            .skipped_archives
            .extend(without_archive.clone());
        let done = collect_records(
            &store,
            &arguments.customer,
            &mut gathering,
            without_archive.is_none(),
            now,
        )
        .await;
        gathering.progress.clear();
        let ReportCollector {
            rows,
            totals: summary,
            problems: findings,
            cache_error: trouble,
            is_cache_untrusted: misled,
            is_cache_corrupt: damaged,
            is_temporary_cache_full: no_room,
            ..
        } = gathering;
        // Once more, then: without the cache, and where there is no room for the archive either, without that.
        if no_room {
            without_archive = trouble;
        } else {
            troubles.extend(trouble);
        }
        if damaged {
            drop_cache();
        }
        if misled {
            continue;
        }
        return done.map(|()| CollectedReport {
            rows,
            totals: summary,
            problems: findings,
            cache_errors: troubles,
        });
    }
}

async fn collect_records(
    store: &Arc<ObjectStore>,
    customers: &[String],
    gathering: &mut ReportCollector<'_, impl Write>,
    with_archive: bool,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let prefixes: BTreeSet<String> = customers
        .iter()
        .flat_map(|name| keys::customer_record_prefixes(name))
        .collect();
    let logs = if customers.is_empty() {
        vec![RECORDS_PREFIX.to_owned()]
    } else {
        prefixes.into_iter().collect()
    };
    if with_archive {
        let refused = reader::read_archive(store, &logs, gathering).await?;
        gathering.finish_archives(&logs, refused)?;
    }
    let spans = plan_listings(store, customers.is_empty(), &logs, gathering, now).await?;
    let mut listings = Vec::new();
    let mut in_part = HashSet::new();
    for ListPlan {
        listings: to_list,
        cached_keys: cached,
    } in spans
    {
        if let Some((from, to)) = cached {
            in_part.extend(keys::record_key_segment(&from).map(str::to_owned));
            gathering.add_cached_records(&from, &to)?;
        }
        listings.extend(to_list);
    }
    let fetched =
        bulk_get::list_and_fetch(Arc::clone(store), listings, MAX_RECORD_BYTES, gathering).await;
    // Also after a failure: the next run need not fetch again what came before it.
    gathering.close_cache(|segment| (fetched.is_ok() && !in_part.contains(segment)).then_some(now));
    fetched
}

/// How to find the records below `logs`, which are customers' prefixes, or that of all records.
async fn plan_listings(
    store: &Arc<ObjectStore>,
    of_all: bool,
    logs: &[String],
    gathering: &mut ReportCollector<'_, impl Write>,
    now: DateTime<Utc>,
) -> Result<Vec<ListPlan>, Error> {
    if !of_all {
        return logs
            .iter()
            .map(|prefix| gathering.plan_customer(prefix, now))
            .collect();
    }
    let known = gathering.count_cached(RECORDS_PREFIX)?;
    if known <= list_plan::MAX_RECORDS_FOR_FULL_LISTING {
        return Ok(vec![list_plan::plan_full_listing(RECORDS_PREFIX)]);
    }
    let listing = ListRequest {
        prefix: RECORDS_PREFIX.to_owned(),
        delimiter: "/",
        ..ListRequest::default()
    };
    let mut folders = gathering.archived_prefixes(RECORDS_PREFIX);
    folders.extend(bulk_get::list_folders(store, &listing).await?);
    if !list_plan::should_list_per_customer(folders.len(), known) {
        return Ok(vec![list_plan::plan_full_listing(RECORDS_PREFIX)]);
    }
    folders
        .iter()
        .map(|prefix| gathering.plan_customer(prefix, now))
        .collect()
}

fn write_messages(report: &CollectedReport, messages: &mut impl Write) -> Result<()> {
    for line in &report.cache_errors {
        writeln!(
            messages,
            "config-backup: {}; the report is complete without it",
            sanitize(line)
        )?;
    }
    for line in report
        .problems
        .skipped_archives
        .iter()
        .chain(&report.problems.skipped)
    {
        writeln!(messages, "config-backup: left out {}", sanitize(line))?;
    }
    for line in &report.problems.partly_used {
        writeln!(messages, "config-backup: used in part {}", sanitize(line))?;
    }
    for (name, arns) in report.rows.iter().flat_map(ReportRows::ambiguous_names) {
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        let line = format!(
            "{name} stands for {}; `--by arn` keeps them apart",
            arns.join(" and ")
        );
        writeln!(messages, "config-backup: {}", sanitize(&line))?;
    }
    if !report.problems.skipped.is_empty() {
        writeln!(
            messages,
            "config-backup: left out {} in all",
            count_noun(report.problems.skipped.len(), "record")
        )?;
    }
    Ok(())
}

fn count_noun(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
