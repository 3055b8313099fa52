//! `report`: who deployed what, one row per day, customer and user, or all deployments, or totals.

use std::collections::HashSet;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::arguments::ReportArguments;
use crate::aws::{Listing, Patience, Store, Target};
use crate::cache::Cache;
use crate::choice::{Choice, End, moment};
use crate::cli::Exit;
use crate::deployment::block_on_threads;
use crate::fault::{Fault, Kind};
use crate::files::Draft;
use crate::formats::{Cell, Format, Style};
use crate::gather::{Findings, Gathering, LARGEST};
use crate::layout::{self, LOGS};
use crate::page::{self, Page};
use crate::progress::Progress;
use crate::rows::Rows;
use crate::spans::{self, Span};
use crate::summary::{self, Summary};
use crate::text::plain;
use crate::{config, facts, fetch, formats, host};

/// Attempts are counted by whoever sends the requests.
const PATIENCE: Patience = Patience { operation: Duration::from_secs(30), attempt: Duration::from_secs(20), attempts: 1 };

/// A report that is ready to be written.
struct Report {
    rows: Option<Rows>,
    summary: Option<Summary>,
    findings: Findings,
    /// What went wrong with the cache, which the report did without.
    troubles: Vec<String>,
}

/// Prints the report; `watched` says whether `messages` go to a terminal. Exit: see README.md, "Exit codes".
pub fn run(arguments: &ReportArguments, output: impl Write + IsTerminal, mut messages: impl Write, watched: bool) -> Result<Exit> {
    let now = host::now();
    let target = target(arguments)?;
    let choice = choice(arguments, now)?;
    let format = format(arguments);
    if let Some(path) = to_file(arguments) {
        check_place(path).map_err(|error| cannot_write(path, &error))?;
    }
    let mut report = block_on_threads(collect(arguments, &target, &choice, format, now, watched.then_some(&mut messages)))??;
    if let Some(rows) = &mut report.rows {
        rows.finish(&arguments.sort, arguments.limit);
    }
    let terminal = output.is_terminal();
    let sheet = Sheet { arguments, format, report: &report, bucket: &target.bucket, now, terminal };
    match to_file(arguments) {
        Some(path) => {
            sheet.into_file(path).map_err(|error| cannot_write(path, &error))?;
            writeln!(messages, "config-backup: wrote {} to {}", count(sheet.len(), "row"), path.display())?;
        }
        None => until_closed(sheet.write(&mut BufWriter::new(output))).context("write the report to stdout")?,
    }
    tell(&report, &mut messages)?;
    let flawless = report.findings.unusable.is_empty() && report.findings.partial.is_empty();
    Ok(Exit(if arguments.strict && !flawless { 7 } else { 0 }))
}

fn target(arguments: &ReportArguments) -> Result<Target> {
    let profile = match (&arguments.profile, &arguments.config_file) {
        (Some(profile), _) => profile.clone(),
        (None, Some(path)) => facts::read(&config::read(path)?.bytes).profile,
        (None, None) => String::new(),
    };
    Ok(Target { bucket: arguments.bucket.clone(), region: arguments.bucket_region.clone(), profile })
}

fn choice(arguments: &ReportArguments, now: DateTime<Utc>) -> Result<Choice> {
    let read = |name: &str, text: &Option<String>, end| {
        let read = text.as_deref().map(|text| moment(text, end, now).map_err(|why| Fault::new(Kind::Input, format!("read `--{name} {text}`"), why)));
        read.transpose()
    };
    let (since, until) = (read("since", &arguments.since, End::First)?, read("until", &arguments.until, End::Last)?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Fault::new(Kind::Input, "read the time asked for: `--since` is later than `--until`", "").into());
    }
    let named = |names: &[String]| names.to_vec();
    Ok(Choice { users: named(&arguments.user), projects: named(&arguments.project), clusters: named(&arguments.cluster), since, until })
}

fn format(arguments: &ReportArguments) -> Format {
    let by_name = || to_file(arguments).and_then(|path| Format::of_name(&path.to_string_lossy()));
    arguments.format.or_else(by_name).unwrap_or(Format::Csv)
}

fn to_file(arguments: &ReportArguments) -> Option<&Path> {
    arguments.output.as_deref().filter(|path| *path != Path::new("-"))
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    Fault::new(Kind::Local, format!("write `{}`: {error}", path.display()), "").into()
}

/// Says at once that the report could not be written, not after minutes of fetching.
fn check_place(path: &Path) -> io::Result<()> {
    Draft::for_user(path).map(drop)
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
    let mut troubles = Vec::new();
    let mut cache = folder.as_deref().and_then(|folder| {
        let opened = Cache::open(folder, &place);
        opened.map_err(|why| troubles.push(format!("open the cache in `{}`: {why}", folder.display()))).ok()
    });
    loop {
        let mut gathering = Gathering {
            choice,
            rows: (!arguments.summary).then(|| Rows::new(arguments.by, arguments.all)),
            summary: (arguments.summary || format == Format::Html).then(|| Summary::new(arguments.by)),
            findings: Findings::default(),
            cache: cache.take(),
            trouble: None,
            misled: false,
            progress: Progress::new(terminal.as_deref_mut()),
            seen: HashSet::new(),
            incomplete: HashSet::new(),
        };
        let done = gather(&store, &arguments.customer, &mut gathering, now).await;
        gathering.progress.end();
        troubles.extend(gathering.trouble.take());
        if gathering.misled {
            folder.iter().for_each(|folder| Cache::remove(folder, &place));
            continue;
        }
        let Gathering { rows, summary, findings, .. } = gathering;
        return done.map(|()| Report { rows, summary, findings, troubles });
    }
}

async fn gather(
    store: &Arc<Store>,
    customers: &[String],
    gathering: &mut Gathering<'_, impl Write>,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let spans = plan(store, customers, gathering, now).await?;
    let mut listings = Vec::new();
    let mut in_part = HashSet::new();
    for Span { listings: to_list, cached } in spans {
        if let Some((from, to)) = cached {
            in_part.extend(layout::segment_of(&from).map(str::to_owned));
            gathering.take_cached(&from, &to)?;
        }
        listings.extend(to_list);
    }
    fetch::all(Arc::clone(store), listings, LARGEST, gathering).await?;
    gathering.close_cache(now, |segment| !in_part.contains(segment));
    Ok(())
}

/// How to find the records of `customers`, or of all.
async fn plan(
    store: &Arc<Store>,
    customers: &[String],
    gathering: &mut Gathering<'_, impl Write>,
    now: DateTime<Utc>,
) -> Result<Vec<Span>, Fault> {
    if !customers.is_empty() {
        let prefixes: std::collections::BTreeSet<String> = customers.iter().flat_map(|name| layout::prefixes_to_read(name)).collect();
        return prefixes.iter().map(|prefix| gathering.span(prefix, now)).collect();
    }
    let known = gathering.known(LOGS)?;
    if known <= spans::FEW {
        return Ok(vec![spans::whole(LOGS)]);
    }
    let listing = Listing { prefix: LOGS.to_owned(), folders: true, ..Listing::default() };
    let folders = fetch::folders(store, &listing).await?;
    if !spans::one_by_one(folders.len(), known) {
        return Ok(vec![spans::whole(LOGS)]);
    }
    folders.iter().map(|prefix| gathering.span(prefix, now)).collect()
}

/// What is written, and how.
struct Sheet<'a> {
    arguments: &'a ReportArguments,
    format: Format,
    report: &'a Report,
    bucket: &'a str,
    now: DateTime<Utc>,
    terminal: bool,
}

impl<'a> Sheet<'a> {
    fn len(&self) -> usize {
        self.report.rows.as_ref().map_or_else(|| self.report.summary.as_ref().map_or(0, Summary::len), Rows::len)
    }

    fn into_file(&self, path: &Path) -> io::Result<()> {
        let mut draft = Draft::for_user(path)?;
        self.write(&mut BufWriter::new(&mut draft))?;
        draft.commit().map(drop)
    }

    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let names = self.names();
        if self.format == Format::Html {
            let empty = Summary::default();
            let page = Page {
                bucket: self.bucket,
                made_at: self.now,
                summary: self.report.summary.as_ref().unwrap_or(&empty),
                names: &names,
                rows: &mut self.cells(),
                row_count: self.len(),
                left_out: self.report.findings.unusable.len(),
            };
            page::write(page, output)?;
        } else {
            let style = Style {
                raw: self.arguments.raw_cells && !self.terminal,
                width: self.width(),
                bold: self.terminal && to_file(self.arguments).is_none() && host::var("NO_COLOR").is_none(),
            };
            formats::write(self.format, &names, || self.cells(), style, output)?;
        }
        output.flush()
    }

    fn names(&self) -> Vec<&'static str> {
        let of_rows = |rows: &Rows| rows.columns().iter().map(|(_, name)| *name).collect();
        self.report.rows.as_ref().map_or_else(|| summary::COLUMNS.to_vec(), of_rows)
    }

    fn cells(&self) -> Box<dyn Iterator<Item = Vec<Cell<'a>>> + 'a> {
        match (&self.report.rows, &self.report.summary) {
            (Some(rows), _) => Box::new(rows.cells()),
            (None, Some(summary)) => Box::new(summary.cells()),
            (None, None) => Box::new(std::iter::empty()),
        }
    }

    /// The width of the terminal that the table goes to.
    fn width(&self) -> Option<usize> {
        let on_terminal = self.terminal && to_file(self.arguments).is_none();
        on_terminal.then(host::terminal_width).flatten()
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn until_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn tell(report: &Report, messages: &mut impl Write) -> Result<()> {
    for line in &report.troubles {
        writeln!(messages, "config-backup: {}; the report is complete without it", plain(line))?;
    }
    for line in &report.findings.unusable {
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
