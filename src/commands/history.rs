//! `history`: the versions of a customer's config, who deployed them, and what changed.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, stream};

use crate::commands::bucket_args::BucketArgs;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::history::change_summary::summarize_changes;
use crate::history::load::{get_uploader_id, get_version_bytes, load_history};
use crate::history::versions::{ConfigHistory, version_md5};
use crate::output::{self, OutputFormat, TableCell, TableStyle};
use crate::record::format_rfc3339;
use crate::s3::caller::user_name_from_arn;
use crate::s3::object_failures::ObjectFailures;
use crate::s3::store::ObjectStore;
use crate::snapshot::{ConfigVersion, READ_TIMEOUTS, SkippedObject, write_skipped};
use crate::system::env::{env_var, terminal_width};
use crate::system::runtime::block_on;
use clap::Args;
use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The customer's exact name
    pub customer: String,
    /// Output format [default: table on a terminal, otherwise csv]
    #[arg(
        short,
        long,
        value_name = "table|json|csv",
        value_parser = list_format_parser(),
        hide_possible_values = true
    )]
    pub format: Option<OutputFormat>,
    /// Show only the newest N versions
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub source: BucketArgs,
}

/// The formats of a list; the others are for reports.
fn list_format_parser() -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(["table", "json", "csv"])
        .try_map(|name| OutputFormat::from_str(&name, false))
}

/// New columns are added at the end.
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
/// How many of the columns a table has.
const TABLE_COLUMN_COUNT: usize = 6;
/// How much of an MD5 a table shows: enough to name a version.
const TABLE_MD5_DIGITS: usize = 12;
const FETCH_CONCURRENCY: usize = 8;
/// The largest version that is compared with its neighbours.
const MAX_COMPARED_BYTES: u64 = 10 << 20;

struct HistoryRow<'a> {
    version: &'a ConfigVersion,
    user: String,
    deployment_id: String,
    deployment_count: u64,
    change: String,
}

/// Prints the versions, newest first.
pub fn run_history(
    arguments: &HistoryArgs,
    output: impl Write + IsTerminal,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let target = arguments.source.resolve_target(&mut messages)?;
    let is_terminal = output.is_terminal();
    let default_format = if is_terminal {
        OutputFormat::Table
    } else {
        OutputFormat::Csv
    };
    let format = arguments.format.unwrap_or(default_format);

    let mut written = Ok(());
    let skipped = block_on(async {
        let store = Arc::new(ObjectStore::open(&target, READ_TIMEOUTS).await?);
        let loaded = load_history(&store, &arguments.customer).await?;
        let mut reader = VersionReader {
            store: &store,
            failures: ObjectFailures::default(),
            skipped: loaded.skipped,
        };
        let rows = build_rows(&mut reader, &loaded.history, arguments.limit).await?;
        reader.failures.confirm(&store).await?;
        written = write_rows(&rows, format, is_terminal, &mut BufWriter::new(output));
        Ok::<_, Error>(reader.skipped)
    })??;
    write_skipped(&skipped, &mut messages)?;
    output::ignore_broken_pipe(written).context("cannot write the history to stdout")?;
    Ok(ExitCode::Ok)
}

/// Reads versions, and counts those that cannot be read.
struct VersionReader<'a> {
    store: &'a ObjectStore,
    failures: ObjectFailures,
    skipped: Vec<SkippedObject>,
}

/// What a version is compared with its neighbours by.
enum VersionText {
    Bytes(Vec<u8>),
    TooLarge,
    Unreadable,
}

impl VersionReader<'_> {
    /// A version that cannot be read is listed all the same.
    fn accept_text(
        &mut self,
        version: &ConfigVersion,
        text: Result<VersionText, Error>,
    ) -> Result<VersionText, Error> {
        match text {
            Ok(text) => {
                self.failures.add_read();
                Ok(text)
            }
            Err(error) => {
                self.failures.add_failure(&version.key, &error)?;
                // Such a version is named already.
                if version.read_error.is_none() {
                    self.skipped.push(SkippedObject::from_reason(error.message));
                }
                Ok(VersionText::Unreadable)
            }
        }
    }

    /// The id of the deployment that uploaded a version, as far as its metadata can be read.
    async fn find_uploader_id(&mut self, version: &ConfigVersion) -> Result<String, Error> {
        match get_uploader_id(self.store, version).await {
            Ok(id) => Ok(id.unwrap_or_default()),
            Err(error) => {
                self.failures.add_failure(&version.key, &error)?;
                Ok(String::new())
            }
        }
    }
}

async fn build_rows<'a>(
    reader: &mut VersionReader<'_>,
    history: &'a ConfigHistory,
    limit: Option<usize>,
) -> Result<Vec<HistoryRow<'a>>, Error> {
    let versions = history.versions();
    let shown = limit.unwrap_or(versions.len()).min(versions.len());
    let compared = &versions[..versions.len().min(shown + 1)];
    let store = reader.store;
    // In order, so that memory only has those that are compared or on their way.
    let mut texts = stream::iter(compared)
        .map(|version| get_comparable_text(store, version))
        .buffered(FETCH_CONCURRENCY);

    let mut rows = Vec::new();
    let mut newer = match texts.next().await {
        Some(text) => reader.accept_text(&versions[0], text)?,
        None => return Ok(rows),
    };
    for index in 0..shown {
        let older = match texts.next().await {
            Some(text) => Some(reader.accept_text(&versions[index + 1], text)?),
            None => None,
        };
        let change = describe_change(older.as_ref(), &newer);
        rows.push(build_row(reader, history, index, change).await?);
        if let Some(older) = older {
            newer = older;
        }
    }
    Ok(rows)
}

fn describe_change(older: Option<&VersionText>, newer: &VersionText) -> String {
    let text = match (older, newer) {
        (_, VersionText::Unreadable) => "cannot be read",
        (None, _) => "first version",
        (Some(VersionText::Unreadable), _) => "the version before cannot be read",
        (Some(VersionText::Bytes(older)), VersionText::Bytes(newer)) => {
            return summarize_changes(older, newer);
        }
        _ => "too large to compare",
    };
    text.to_owned()
}

async fn get_comparable_text(
    store: &ObjectStore,
    version: &ConfigVersion,
) -> Result<VersionText, Error> {
    if version.size > MAX_COMPARED_BYTES {
        return Ok(VersionText::TooLarge);
    }
    let bytes = get_version_bytes(store, version).await?;
    Ok(VersionText::Bytes(bytes))
}

async fn build_row<'a>(
    reader: &mut VersionReader<'_>,
    history: &'a ConfigHistory,
    index: usize,
    change: String,
) -> Result<HistoryRow<'a>, Error> {
    let version = &history.versions()[index];
    let first = history.deployments_of(index).next();
    // Without a record, the object's metadata may still name the deployment.
    let deployment_id = match first {
        Some(first) => first.parsed.deployment_id.clone(),
        None => reader.find_uploader_id(version).await?,
    };
    let deployment = match first {
        Some(first) => Some(first),
        None => history.find_deployment(&deployment_id),
    };
    let user = match deployment {
        Some(deployment) => deployment.parsed.user.clone(),
        None => String::new(),
    };
    let deployment_count = history.deployments_of(index).count() as u64;
    Ok(HistoryRow {
        version,
        user,
        deployment_id,
        deployment_count,
        change,
    })
}

fn write_rows(
    rows: &[HistoryRow<'_>],
    format: OutputFormat,
    is_terminal: bool,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let is_table = format == OutputFormat::Table;
    let columns = if is_table {
        &HISTORY_COLUMNS[..TABLE_COLUMN_COUNT]
    } else {
        &HISTORY_COLUMNS[..]
    };
    let md5_digits = if is_table {
        TABLE_MD5_DIGITS
    } else {
        usize::MAX
    };
    let cells = |row: &HistoryRow<'_>| {
        let mut cells = row_cells(row, md5_digits);
        cells.truncate(columns.len());
        cells
    };
    let style = TableStyle {
        is_raw: false,
        max_width: if is_terminal { terminal_width() } else { None },
        is_bold: is_terminal && env_var("NO_COLOR").is_none(),
    };
    let rows = || -> Box<dyn Iterator<Item = _>> { Box::new(rows.iter().map(cells)) };
    output::write_cells(format, columns, rows, style, output)?;
    output.flush()
}

fn row_cells<'a>(row: &HistoryRow<'_>, md5_digits: usize) -> Vec<TableCell<'a>> {
    let text = |text: &str| TableCell::Text(text.to_owned().into());
    let version = row.version;
    let md5 = version_md5(version);
    vec![
        text(&format_rfc3339(version.captured_at())),
        text(user_name_from_arn(&row.user)),
        TableCell::Count(row.deployment_count),
        TableCell::Count(version.size),
        text(&md5[..md5.len().min(md5_digits)]),
        text(&row.change),
        text(&row.user),
        text(&row.deployment_id),
        text(&version.key),
        text(version.version_id.as_deref().unwrap_or_default()),
    ]
}
