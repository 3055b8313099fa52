//! `history`: the versions of a customer's config: when, by whom, how often they were used, and what changed.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, stream};

use crate::arguments::HistoryArguments;
use crate::aws::Store;
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::fault::Fault;
use crate::formats::{self, Cell, Format, Style};
use crate::logged::user_name;
use crate::past::{self, PATIENCE};
use crate::record::timestamp;
use crate::text::plain;
use crate::versions::{Past, Version};
use crate::{host, masking};

/// The columns; new ones are added at the end.
pub const COLUMNS: [&str; 10] =
    ["timestamp", "user", "deployments", "size", "config_hash", "change", "arn", "deployment_id", "key", "version_id"];
/// How many of them a table has.
const OF_TABLE: usize = 6;
/// How much of an MD5 a table shows: enough to name a version.
const DIGITS_IN_TABLE: usize = 12;
/// Versions under way at once.
const AT_ONCE: usize = 8;
/// The largest version that is fetched to be compared, in bytes.
const LARGEST_COMPARED: u64 = 10 << 20;

/// One version as it is shown.
struct Row<'a> {
    version: &'a Version,
    user: String,
    deployment_id: String,
    deployments: u64,
    change: String,
}

/// Prints the versions, newest first. Exit: see README.md, "Exit codes".
pub fn run(arguments: &HistoryArguments, output: impl Write + IsTerminal, mut messages: impl Write) -> Result<Exit> {
    let target = arguments.source.target()?;
    let terminal = output.is_terminal();
    let format = arguments.format.unwrap_or(if terminal { Format::Table } else { Format::Csv });
    let mut written = Ok(());
    let left_out = block_on(async {
        let store = Arc::new(Store::open(&target, PATIENCE).await?);
        let found = past::look(&store, &arguments.customer).await?;
        let rows = rows(&store, &found.past, arguments.limit).await?;
        written = write(&rows, format, terminal, &mut BufWriter::new(output));
        Ok::<_, Fault>(found.left_out)
    })??;
    for line in left_out {
        writeln!(messages, "config-backup: left out {}", plain(&line))?;
    }
    formats::until_closed(written).context("write the history to stdout")?;
    Ok(Exit(0))
}

async fn rows<'a>(store: &Store, past: &'a Past, limit: Option<usize>) -> Result<Vec<Row<'a>>, Fault> {
    let versions = past.versions();
    let shown = limit.unwrap_or(versions.len()).min(versions.len());
    // In order, and no more of them in memory than are compared or on their way.
    let mut bodies = stream::iter(&versions[..versions.len().min(shown + 1)]).map(|version| body(store, version)).buffered(AT_ONCE);
    let mut rows = Vec::new();
    let mut newer = bodies.next().await.transpose()?.flatten();
    for place in 0..shown {
        let older = bodies.next().await.transpose()?;
        let change = match (&older, &newer) {
            (None, _) => "first version".to_owned(),
            (Some(Some(older)), Some(newer)) => masking::phrase(older, newer),
            _ => "too large to compare".to_owned(),
        };
        rows.push(row(store, past, place, change).await?);
        newer = older.flatten();
    }
    Ok(rows)
}

async fn body(store: &Store, version: &Version) -> Result<Option<Vec<u8>>, Fault> {
    if version.size > LARGEST_COMPARED { Ok(None) } else { past::bytes(store, version).await.map(Some) }
}

async fn row<'a>(store: &Store, past: &'a Past, place: usize, change: String) -> Result<Row<'a>, Fault> {
    let version = &past.versions()[place];
    let first = past.uses_of(place).next();
    // A deployment may have ended before it was logged, and its record may still be on its way.
    let deployment_id = match first {
        Some(first) => first.deployment_id.clone(),
        None => past::uploader(store, version).await?,
    };
    let user = first.or_else(|| past.deployment(&deployment_id)).map(|it| it.user.clone()).unwrap_or_default();
    let deployments = past.uses_of(place).count() as u64;
    Ok(Row { version, user, deployment_id, deployments, change })
}

fn write(rows: &[Row<'_>], format: Format, terminal: bool, output: &mut dyn Write) -> std::io::Result<()> {
    let (columns, digits) = if format == Format::Table { (&COLUMNS[..OF_TABLE], DIGITS_IN_TABLE) } else { (&COLUMNS[..], usize::MAX) };
    let text = |text: &str| Cell::Text(text.to_owned().into());
    let cells = |row: &Row<'_>| {
        let mut cells = vec![
            text(&timestamp(row.version.at)),
            text(user_name(&row.user)),
            Cell::Count(row.deployments),
            Cell::Count(row.version.size),
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
    let style = Style {
        raw: false,
        width: Some(()).filter(|()| terminal).and_then(|()| host::terminal_width()),
        bold: terminal && host::var("NO_COLOR").is_none(),
    };
    formats::write(format, columns, || Box::new(rows.iter().map(cells)), style, output)?;
    output.flush()
}
