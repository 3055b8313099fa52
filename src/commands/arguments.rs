//! The arguments of `report`, `history`, `diff` and `restore`. The doc comments are the help.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, ValueEnum as _};

use crate::commands::bucket_args::BucketArgs;
use crate::output::table_formats::OutputFormat;
use crate::record::deployment::UserIdentity;
use crate::report::columns::SortKey;

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
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', allow_hyphen_values = true, help_heading = "Output")]
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
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// How to write it.
    #[must_use]
    pub fn output_format(&self) -> OutputFormat {
        let by_name = || self.output_file().and_then(|path| OutputFormat::from_file_name(&path.to_string_lossy()));
        self.format.or_else(by_name).unwrap_or(OutputFormat::Csv)
    }
}

/// The arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The customer, by the exact name
    pub customer: String,
    /// How to write it; without this as a table on a terminal, and else as CSV
    #[arg(short, long, value_name = "table|json|csv", value_parser = forms(), hide_possible_values = true)]
    pub format: Option<OutputFormat>,
    /// Only the newest N versions
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
}

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

    /// Compare line by line, as `diff -u` does; lines that may hold a secret are masked
    #[arg(long)]
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

/// The arguments of `restore`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["output", "stdout"])))]
#[command(group(ArgGroup::new("which").args(["at", "deployment", "version"])))]
pub struct RestoreArgs {
    /// The customer, by the exact name
    pub customer: String,

    /// The version as of then: a date (2026-10-01, the end of that day in UTC), an age (36h, 30d, 2w) or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Choice")]
    pub at: Option<String>,
    /// The version that this deployment used: its id, or the beginning of it
    #[arg(long, value_name = "ID", help_heading = "Choice")]
    pub deployment: Option<String>,
    /// This version: its MD5, or the beginning of it (4 digits or more), or the time in its key (2026-10-01_080000), or its
    /// version id
    #[arg(long, value_name = "VERSION", help_heading = "Choice")]
    pub version: Option<String>,

    /// Write to this file, readable for you alone
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write to stdout
    #[arg(long, help_heading = "Output")]
    pub stdout: bool,
    /// Replace a file with other content, too; what it held is kept beside it as *.bak
    #[arg(long, conflicts_with = "stdout", help_heading = "Output")]
    pub force: bool,

    /// Where to look
    #[command(flatten)]
    pub source: BucketArgs,
}

/// The formats of a list that is no report.
fn forms() -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(["table", "json", "csv"]).try_map(|name| OutputFormat::from_str(&name, false))
}
