//! From deployments to the rows of the report: one per day, customer and user, the last deployment winning; or all.
//!
//! Pure. Must not fetch, and must not depend on the order in which deployments come. A row takes 64 bytes, for there
//! may be a million of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::columns::{COLUMNS, Column, OF_DAYS, Sort};
use crate::formats::Cell;
use crate::layout::LOGS;
use crate::names::{Name, Names};
use crate::record::{Ci, Git};

/// One deployment, as a usage record and its object tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// When the object was written; the second thing that decides which deployment was the last.
    pub modified: DateTime<Utc>,
    /// The object's key; the third.
    pub key: String,
    /// The customer.
    pub customer: String,
    /// The full ARN.
    pub user: String,
    /// `additional_users_count`.
    pub additional_users_count: u64,
    /// `project_name`.
    pub project_name: String,
    /// `cluster_name`.
    pub cluster_name: String,
    /// `config_hash`, or empty.
    pub config_hash: String,
    /// What only the list of all deployments shows.
    pub more: More,
}

/// What only the list of all deployments shows; empty where a record does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct More {
    /// `account`.
    pub account: String,
    /// `backup`.
    pub backup: String,
    /// `late`.
    pub late: bool,
    /// `deployment_id`.
    pub deployment_id: String,
    /// `git`.
    pub git: Option<Git>,
    /// `ci`.
    pub ci: Option<Ci>,
}

/// How users are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum By {
    /// By what follows the last `/` of the ARN: one person with two roles is one user.
    #[default]
    Name,
    /// By the full ARN.
    Arn,
}

/// The report being made: takes deployments one at a time and keeps the last of each day, customer and user, or all.
#[derive(Debug, Default)]
pub struct Rows {
    by: By,
    all: bool,
    names: Names,
    rows: Vec<Row>,
    /// What [`Row::more`] points at; empty unless all deployments are kept.
    more: Vec<Details>,
    /// From this many rows on, those that lost are dropped.
    fold_at: usize,
    /// For each name, the ARNs that it stands for.
    arns: BTreeMap<String, BTreeSet<String>>,
}

/// A deployment in 64 bytes.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Nanoseconds since 1970.
    at: i64,
    /// Nanoseconds since 1970.
    modified: i64,
    /// The first 16 bytes of the object's name, which nearly always differ within a customer …
    key_head: [u8; 16],
    /// … and what stands before and behind them, which nearly never does: `<segment>/<rest>`.
    key_frame: Name,
    customer: Name,
    user: Name,
    project_name: Name,
    cluster_name: Name,
    more: u32,
    additional_users_count: u64,
}

#[derive(Debug)]
struct Details {
    arn: Name,
    account: Name,
    config_hash: Name,
    backup: Name,
    deployment_id: Name,
    commit: Name,
    branch: Name,
    provider: Name,
    run_url: Name,
    late: bool,
    dirty: Option<bool>,
}

/// Folding pays from this many rows on.
const FOLD_FROM: usize = 1 << 14;

impl Rows {
    /// An empty report: of days, or of all deployments.
    #[must_use]
    pub fn new(by: By, all: bool) -> Self {
        Self { by, all, fold_at: FOLD_FROM, ..Self::default() }
    }

    /// The columns and their names.
    #[must_use]
    pub fn columns(&self) -> &'static [(Column, &'static str)] {
        if self.all { &COLUMNS } else { &COLUMNS[..OF_DAYS] }
    }

    /// Takes one deployment in.
    pub fn add(&mut self, deployment: &Deployment) {
        let user = shown_user(&deployment.user, self.by);
        if self.by == By::Name && !self.arns.get(user).is_some_and(|arns| arns.contains(&deployment.user)) {
            self.arns.entry(user.to_owned()).or_default().insert(deployment.user.clone());
        }
        let names = &mut self.names;
        let (key_head, frame) = split_key(&deployment.key);
        let row = Row {
            at: nanoseconds(deployment.at),
            modified: nanoseconds(deployment.modified),
            key_head,
            key_frame: names.name(&frame),
            customer: names.name(&deployment.customer),
            user: names.name(user),
            project_name: names.name(&deployment.project_name),
            cluster_name: names.name(&deployment.cluster_name),
            more: u32::try_from(self.more.len()).unwrap_or(u32::MAX),
            additional_users_count: deployment.additional_users_count,
        };
        if self.all {
            self.more.push(Details::of(deployment, &mut self.names));
        } else if self.rows.len() >= self.fold_at {
            self.fold();
        }
        if self.rows.len() == self.rows.capacity() {
            // Twice as much, as a vector has it by itself, would be twice what is needed.
            self.rows.reserve_exact(self.rows.len() / 8 + FOLD_FROM);
        }
        self.rows.push(row);
    }

    /// Drops the rows that lost against another one of their day, customer and user.
    fn fold(&mut self) {
        let names = &self.names;
        let place = |row: &Row| (day(row), row.customer, row.user);
        self.rows.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| order(names, b, a)));
        self.rows.dedup_by_key(|row| place(row));
        self.fold_at = (self.rows.len() * 2).max(FOLD_FROM);
    }

    /// Brings the rows into their order: by `sort`, then by date, customer and user, or all of them by time; and keeps the first `limit`.
    pub fn finish(&mut self, sort: &[Sort], limit: Option<usize>) {
        if !self.all {
            self.fold();
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| {
            let asked = sort.iter().map(|sort| {
                let order = self.compare(a, b, sort.column);
                if sort.descending { order.reverse() } else { order }
            });
            let own = if self.all { order(&self.names, a, b) } else { Ordering::Equal };
            let usual = || [Column::Timestamp, Column::Customer, Column::User].into_iter().map(|column| self.compare(a, b, column));
            asked.chain([own]).chain(usual()).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        self.rows = rows;
    }

    /// How many rows there are; final after [`Rows::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names that stand for more than one ARN, with these.
    pub fn folded(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.arns.iter().filter(|(_, arns)| arns.len() > 1).map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, in order, with the values as the records have them.
    pub fn cells(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        self.rows.iter().map(|row| self.columns().iter().map(|(column, _)| self.cell(row, *column)).collect())
    }

    fn cell(&self, row: &Row, column: Column) -> Cell<'_> {
        match column {
            Column::Timestamp => Cell::Text(self.when(row).into()),
            Column::AdditionalUsersCount => Cell::Count(row.additional_users_count),
            Column::Late => Cell::Flag(self.details(row).is_some_and(|more| more.late)),
            Column::GitDirty => self.details(row).and_then(|more| more.dirty).map_or(Cell::Text("".into()), Cell::Flag),
            _ => Cell::Text(self.text(row, column).into()),
        }
    }

    fn when(&self, row: &Row) -> String {
        let at = DateTime::from_timestamp_nanos(row.at);
        if self.all { at.to_rfc3339_opts(SecondsFormat::AutoSi, true) } else { at.format("%Y-%m-%d").to_string() }
    }

    fn text(&self, row: &Row, column: Column) -> &str {
        let more = |field: fn(&Details) -> Name| self.details(row).map_or("", |more| self.names.text(field(more)));
        match column {
            Column::Customer => self.names.text(row.customer),
            Column::User => self.names.text(row.user),
            Column::ProjectName => self.names.text(row.project_name),
            Column::ClusterName => self.names.text(row.cluster_name),
            Column::Arn => more(|it| it.arn),
            Column::Account => more(|it| it.account),
            Column::ConfigHash => more(|it| it.config_hash),
            Column::Backup => more(|it| it.backup),
            Column::DeploymentId => more(|it| it.deployment_id),
            Column::GitCommit => more(|it| it.commit),
            Column::GitBranch => more(|it| it.branch),
            Column::CiProvider => more(|it| it.provider),
            Column::CiRunUrl => more(|it| it.run_url),
            Column::Timestamp | Column::AdditionalUsersCount | Column::Late | Column::GitDirty => "",
        }
    }

    fn details(&self, row: &Row) -> Option<&Details> {
        self.more.get(row.more as usize)
    }

    fn compare(&self, a: &Row, b: &Row, column: Column) -> Ordering {
        match column {
            Column::Timestamp if self.all => a.at.cmp(&b.at),
            Column::Timestamp => day(a).cmp(&day(b)),
            Column::AdditionalUsersCount => a.additional_users_count.cmp(&b.additional_users_count),
            Column::Customer if a.customer == b.customer => Ordering::Equal,
            Column::User if a.user == b.user => Ordering::Equal,
            Column::Late => self.details(a).map(|more| more.late).cmp(&self.details(b).map(|more| more.late)),
            Column::GitDirty => self.details(a).map(|more| more.dirty).cmp(&self.details(b).map(|more| more.dirty)),
            _ => self.text(a, column).cmp(self.text(b, column)),
        }
    }
}

impl Details {
    fn of(deployment: &Deployment, names: &mut Names) -> Self {
        let more = &deployment.more;
        let (git, ci) = (more.git.as_ref(), more.ci.as_ref());
        Self {
            arn: names.name(&deployment.user),
            account: names.name(&more.account),
            config_hash: names.name(&deployment.config_hash),
            backup: names.name(&more.backup),
            deployment_id: names.name(&more.deployment_id),
            commit: names.name(git.map_or("", |git| &git.commit)),
            branch: names.name(git.map_or("", |git| &git.branch)),
            provider: names.name(ci.map_or("", |ci| &ci.provider)),
            run_url: names.name(ci.map_or("", |ci| &ci.run_url)),
            late: more.late,
            dirty: git.map(|git| git.dirty),
        }
    }
}

/// The user as the report shows it.
#[must_use]
pub fn shown_user(arn: &str, by: By) -> &str {
    match by {
        By::Name => user_name(arn),
        By::Arn => arn,
    }
}

/// What follows the last `/` of an ARN, or its last `:` where there is no `/`
/// (`arn:aws:iam::123456789012:root` gives `root`).
#[must_use]
pub fn user_name(arn: &str) -> &str {
    arn.rsplit_once('/').or_else(|| arn.rsplit_once(':')).map_or(arn, |(_, tail)| tail)
}

/// Which of two deployments was the later one: by time, then by when it was written, then by key.
fn order(names: &Names, a: &Row, b: &Row) -> Ordering {
    let frame = |row: &Row| names.text(row.key_frame).split_once('/').unwrap_or_default();
    let key = |row| {
        let (segment, rest) = frame(row);
        (segment, row.key_head, rest)
    };
    (a.at, a.modified).cmp(&(b.at, b.modified)).then_with(|| key(a).cmp(&key(b)))
}

/// `usage-logs/<segment>/<name>` as the name's first 16 bytes and `<segment>/<rest of the name>`.
fn split_key(key: &str) -> ([u8; 16], String) {
    let (segment, name) = key.strip_prefix(LOGS).and_then(|tail| tail.split_once('/')).unwrap_or(("", key));
    // Not within a character; what is shorter is filled up with zeros, which sort before everything.
    let cut = (0..=16.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
    let mut head = [0; 16];
    head[..cut].copy_from_slice(&name.as_bytes()[..cut]);
    (head, format!("{segment}/{}", &name[cut..]))
}

fn nanoseconds(at: DateTime<Utc>) -> i64 {
    // A leap second is a second of more than 10⁹ nanoseconds: it stays in its day.
    let leap = i64::from(at.timestamp_subsec_nanos()) - 999_999_999;
    at.timestamp_nanos_opt().map_or(0, |nanoseconds| nanoseconds - leap.max(0))
}

/// Days since 1970, UTC.
fn day(row: &Row) -> i64 {
    row.at.div_euclid(86_400_000_000_000)
}
