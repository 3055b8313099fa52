//! `report`: who deployed what, one row per day, customer and user, or all deployments, or totals.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::arguments::ReportArguments;
use crate::aws::{Patience, Store, Target};
use crate::cache::Cache;
use crate::choice::{Choice, End, moment};
use crate::cli::Exit;
use crate::deployment::block_on;
use crate::fault::{Fault, Kind};
use crate::files::Draft;
use crate::formats::{Format, until_closed};
use crate::gather::{Findings, Gathering, LARGEST};
use crate::layout::{self, LOGS};
use crate::listing::Listing;
use crate::progress::Progress;
use crate::rows::Rows;
use crate::sheet::{Report, Sheet};
use crate::spans::{self, Span};
use crate::summary::Summary;
use crate::text::plain;
use crate::{archive, fetch, host};

/// Attempts are counted by whoever sends the requests.
const PATIENCE: Patience = Patience { operation: Duration::from_secs(30), attempt: Duration::from_secs(20), attempts: 1 };

/// Prints the report; `watched` says whether `messages` go to a terminal. Exit: see README.md, "Exit codes".
pub fn run(arguments: &ReportArguments, output: impl Write + IsTerminal, mut messages: impl Write, watched: bool) -> Result<Exit> {
    let now = host::now();
    let target = arguments.source.target()?;
    let choice = choice(arguments, now)?;
    let format = arguments.form();
    if let Some(path) = arguments.file() {
        check_place(path).map_err(|error| cannot_write(path, &error))?;
    }
    let mut report = block_on(collect(arguments, &target, &choice, format, now, watched.then_some(&mut messages)))??;
    if let Some(rows) = &mut report.rows {
        rows.finish(&arguments.sort, arguments.limit);
    }
    let terminal = output.is_terminal();
    let sheet = Sheet { arguments, format, report: &report, bucket: &target.bucket, now, terminal };
    match arguments.file() {
        Some(path) => {
            sheet.write_to(path).map_err(|error| cannot_write(path, &error))?;
            writeln!(messages, "config-backup: wrote {} to {}", count(sheet.len(), "row"), path.display())?;
        }
        None => until_closed(sheet.write(&mut BufWriter::new(output))).context("write the report to stdout")?,
    }
    tell(&report, &mut messages)?;
    let Findings { unusable, partial, archive } = &report.findings;
    let flawless = unusable.is_empty() && partial.is_empty() && archive.is_empty();
    Ok(Exit(if arguments.strict && !flawless { 7 } else { 0 }))
}

fn choice(arguments: &ReportArguments, now: DateTime<Utc>) -> Result<Choice> {
    let read = |name: &str, text: &Option<String>, end| {
        let read = text
            .as_deref()
            .map(|text| moment(text, end, now).map_err(|why| Fault::new(Kind::Input, format!("read `--{name} {text}`"), why)));
        read.transpose()
    };
    let (since, until) = (read("since", &arguments.since, End::First)?, read("until", &arguments.until, End::Last)?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Fault::new(Kind::Input, "read the time asked for: `--since` is later than `--until`", "").into());
    }
    let named = |names: &[String]| names.to_vec();
    Ok(Choice {
        customers: named(&arguments.customer),
        users: named(&arguments.user),
        projects: named(&arguments.project),
        clusters: named(&arguments.cluster),
        since,
        until,
    })
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    Fault::new(Kind::Local, format!("write `{}`: {error}", path.display()), "").into()
}

/// Says at once that the report could not be written, not after minutes of fetching.
fn check_place(path: &Path) -> io::Result<()> {
    // To open a pipe would be to write to it: whoever reads it would see an end.
    let is_special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    if is_special { Ok(()) } else { Draft::for_user(path).map(drop) }
}

/// Gathers the report; once more and without the cache where that turns out to be damaged.
async fn collect<W: Write>(
    arguments: &ReportArguments,
    target: &Target,
    choice: &Choice,
    format: Format,
    now: DateTime<Utc>,
    mut terminal: Option<&mut W>,
) -> Result<Report, Fault> {
    let store = Arc::new(Store::open(target, PATIENCE).await?);
    let place = store.place();
    let folder = host::cache_dir().filter(|_| !arguments.no_cache);
    if let Some(folder) = folder.as_deref().filter(|_| arguments.refresh) {
        Cache::remove(folder, &place);
    }
    let drop_cache = || folder.iter().for_each(|folder| Cache::remove(folder, &place));
    let mut troubles = Vec::new();
    let mut cache = None;
    let mut without_archive = None;
    if let Some(folder) = &folder {
        match Cache::open(folder, &place) {
            Ok(opened) => cache = Some(opened),
            Err(why) => {
                troubles.push(format!("open the cache in `{}`: {}", folder.display(), why.words));
                if why.damaged {
                    drop_cache();
                }
            }
        }
    }
    loop {
        let mut gathering = Gathering {
            choice,
            rows: (!arguments.summary).then(|| Rows::new(arguments.by, arguments.all)),
            summary: (arguments.summary || format == Format::Html).then(|| Summary::new(arguments.by)),
            findings: Findings::default(),
            cache: cache.take(),
            trouble: None,
            misled: false,
            damaged: false,
            no_room: false,
            progress: Progress::new(terminal.as_deref_mut()),
            seen: HashSet::new(),
            incomplete: HashSet::new(),
            parts: BTreeSet::new(),
        };
        gathering.findings.archive.extend(without_archive.clone());
        let done = gather(&store, &arguments.customer, &mut gathering, without_archive.is_none(), now).await;
        gathering.progress.end();
        let Gathering { rows, summary, findings, trouble, misled, damaged, no_room, .. } = gathering;
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
        return done.map(|()| Report { rows, summary, findings, troubles });
    }
}

async fn gather(
    store: &Arc<Store>,
    customers: &[String],
    gathering: &mut Gathering<'_, impl Write>,
    with_archive: bool,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let prefixes: BTreeSet<String> = customers.iter().flat_map(|name| layout::prefixes_to_read(name)).collect();
    let logs = if customers.is_empty() { vec![LOGS.to_owned()] } else { prefixes.into_iter().collect() };
    if with_archive {
        let refused = archive::read(store, &logs, gathering).await?;
        gathering.unpacked(&logs, refused)?;
    }
    let spans = plan(store, customers.is_empty(), &logs, gathering, now).await?;
    let mut listings = Vec::new();
    let mut in_part = HashSet::new();
    for Span { listings: to_list, cached } in spans {
        if let Some((from, to)) = cached {
            in_part.extend(layout::segment_of(&from).map(str::to_owned));
            gathering.take_cached(&from, &to)?;
        }
        listings.extend(to_list);
    }
    let fetched = fetch::all(Arc::clone(store), listings, LARGEST, gathering).await;
    // Also after a failure: the next run need not fetch again what came before it.
    gathering.close_cache(|segment| (fetched.is_ok() && !in_part.contains(segment)).then_some(now));
    fetched
}

/// How to find the records below `logs`, which are customers' prefixes, or that of all records.
async fn plan(
    store: &Arc<Store>,
    of_all: bool,
    logs: &[String],
    gathering: &mut Gathering<'_, impl Write>,
    now: DateTime<Utc>,
) -> Result<Vec<Span>, Fault> {
    if !of_all {
        return logs.iter().map(|prefix| gathering.span(prefix, now)).collect();
    }
    let known = gathering.known(LOGS)?;
    if known <= spans::FEW {
        return Ok(vec![spans::whole(LOGS)]);
    }
    let listing = Listing { prefix: LOGS.to_owned(), delimiter: "/", ..Listing::default() };
    let mut folders = gathering.archived(LOGS);
    folders.extend(fetch::folders(store, &listing).await?);
    if !spans::one_by_one(folders.len(), known) {
        return Ok(vec![spans::whole(LOGS)]);
    }
    folders.iter().map(|prefix| gathering.span(prefix, now)).collect()
}

fn tell(report: &Report, messages: &mut impl Write) -> Result<()> {
    for line in &report.troubles {
        writeln!(messages, "config-backup: {}; the report is complete without it", plain(line))?;
    }
    for line in report.findings.archive.iter().chain(&report.findings.unusable) {
        writeln!(messages, "config-backup: left out {}", plain(line))?;
    }
    for line in &report.findings.partial {
        writeln!(messages, "config-backup: used in part {}", plain(line))?;
    }
    for (name, arns) in report.rows.iter().flat_map(Rows::folded) {
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        let line = format!("{name} stands for {}; `--by arn` keeps them apart", arns.join(" and "));
        writeln!(messages, "config-backup: {}", plain(&line))?;
    }
    if !report.findings.unusable.is_empty() {
        writeln!(messages, "config-backup: left out {} in all", count(report.findings.unusable.len(), "record"))?;
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
