//! `history`: the versions of a customer's config: when, by whom, how often they were used, and what changed.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, stream};

use crate::commands::bucket_args::BucketArgs;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::history::change_summary::summarize_changes;
use crate::history::load::{self, READ_TIMEOUTS};
use crate::history::versions::{ConfigHistory, ConfigVersion};
use crate::output::sanitize::sanitize;
use crate::output::{self, OutputFormat, TableCell, TableStyle};
use crate::record::deployment::user_name_from_arn;
use crate::record::format_rfc3339;
use crate::s3::store::ObjectStore;
use crate::system::host;
use crate::system::runtime::block_on;
use clap::Args;
use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};

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

/// The formats of a list that is no report.
fn forms() -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(["table", "json", "csv"])
        .try_map(|name| OutputFormat::from_str(&name, false))
}

/// The columns; new ones are added at the end.
pub const HISTORY_COLUMNS: [&str; 10] = [
    "timestamp",
    "user",
    "deployments",
    "size",
    "config_hash",
    "change",
    "arn",
    "deployment_id",
    "key",
    "version_id",
];
/// How many of them a table has.
const TABLE_COLUMN_COUNT: usize = 6;
/// How much of an MD5 a table shows: enough to name a version.
const TABLE_MD5_DIGITS: usize = 12;
/// Versions under way at once.
const FETCH_CONCURRENCY: usize = 8;
/// The largest version that is fetched to be compared, in bytes.
const MAX_COMPARED_BYTES: u64 = 10 << 20;

/// One version as it is shown.
struct HistoryRow<'a> {
    version: &'a ConfigVersion,
    user: String,
    deployment_id: String,
    deployment_count: u64,
    change: String,
}

/// Prints the versions, newest first. Exit: see docs/commands.md, "Exit codes".
pub fn run_history(
    arguments: &HistoryArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target()?;
    let terminal = output.is_terminal();
    let format = arguments.format.unwrap_or(if terminal {
        OutputFormat::Table
    } else {
        OutputFormat::Csv
    });
    let mut written = Ok(());
    let left_out = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let found = load::load_history(&store, &arguments.customer).await?;
        let rows = build_rows(&store, &found.history, arguments.limit).await?;
        written = write_rows(&rows, format, terminal, &mut BufWriter::new(output));
        Ok::<_, Error>(found.skipped)
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", sanitize(&line))?;
    }
    output::ignore_broken_pipe(written).context("write the history to stdout")?;
    Ok(ExitCode(0))
}

async fn build_rows<'a>(
    store: &ObjectStore,
    past: &'a ConfigHistory,
    limit: Option<usize>,
) -> Result<Vec<HistoryRow<'a>>, Error> {
    let versions = past.versions();
    let shown = limit.unwrap_or(versions.len()).min(versions.len());
    // In order, and no more of them in memory than are compared or on their way.
    let mut bodies = stream::iter(&versions[..versions.len().min(shown + 1)])
        .map(|version| get_comparable_bytes(store, version))
        .buffered(FETCH_CONCURRENCY);
    let mut rows = Vec::new();
    let mut newer = bodies.next().await.transpose()?.flatten();
    for place in 0..shown {
        let older = bodies.next().await.transpose()?;
        let change = match (&older, &newer) {
            (None, _) => "first version".to_owned(),
            (Some(Some(older)), Some(newer)) => summarize_changes(older, newer),
            _ => "too large to compare".to_owned(),
        };
        rows.push(build_row(store, past, place, change).await?);
        newer = older.flatten();
    }
    Ok(rows)
}

async fn get_comparable_bytes(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<Option<Vec<u8>>, Error> {
    if version.size > MAX_COMPARED_BYTES {
        Ok(None)
    } else {
        load::get_version_bytes(store, version).await.map(Some)
    }
}

async fn build_row<'a>(
    store: &ObjectStore,
    past: &'a ConfigHistory,
    place: usize,
    change: String,
) -> Result<HistoryRow<'a>, Error> {
    let version = &past.versions()[place];
    let first = past.deployments_of(place).next();
    // A deployment may have ended before it was logged, and its record may still be on its way.
    let deployment_id = match first {
        Some(first) => first.deployment_id.clone(),
        None => load::get_uploader_id(store, version).await?,
    };
    let user = first
        .or_else(|| past.find_deployment(&deployment_id))
        .map(|it| it.user.clone())
        .unwrap_or_default();
    let deployments = past.deployments_of(place).count() as u64;
    Ok(HistoryRow {
        version,
        user,
        deployment_id,
        deployment_count: deployments,
        change,
    })
}

fn write_rows(
    rows: &[HistoryRow<'_>],
    format: OutputFormat,
    terminal: bool,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let (columns, digits) = if format == OutputFormat::Table {
        (&HISTORY_COLUMNS[..TABLE_COLUMN_COUNT], TABLE_MD5_DIGITS)
    } else {
        (&HISTORY_COLUMNS[..], usize::MAX)
    };
    let text = |text: &str| TableCell::Text(text.to_owned().into());
    let cells = |row: &HistoryRow<'_>| {
        let mut cells = vec![
            text(&format_rfc3339(row.version.at)),
            text(user_name_from_arn(&row.user)),
            TableCell::Count(row.deployment_count),
            TableCell::Count(row.version.size),
            text(&row.version.md5[..row.version.md5.len().min(digits)]),
            text(&row.change),
            text(&row.user),
            text(&row.deployment_id),
            text(&row.version.key),
            text(&row.version.version_id),
        ];
        cells.truncate(columns.len());
        cells
    };
    let style = TableStyle {
        is_raw: false,
        max_width: Some(())
            .filter(|()| terminal)
            .and_then(|()| host::terminal_width()),
        is_bold: terminal && host::env_var("NO_COLOR").is_none(),
    };
    output::write_cells(
        format,
        columns,
        || Box::new(rows.iter().map(cells)),
        style,
        output,
    )?;
    output.flush()
}
