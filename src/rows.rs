//! From deployments to the rows of the report: one per day, customer and user, the last deployment winning; or all.
//!
//! Pure. Must not fetch, and must not depend on the order in which deployments come. A row takes 64 bytes, for there
//! may be a million of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};

use crate::columns::{COLUMNS, Column, OF_DAYS, Sort};
use crate::formats::Cell;
use crate::logged::{By, Deployment, shown_user};
use crate::names::{Name, Names};
use crate::packed::{Details, Row, order};

/// The report being made: takes deployments one at a time and keeps the last of each day, customer and user, or all.
#[derive(Debug, Default)]
pub struct Rows {
    by: By,
    all: bool,
    names: Names,
    kept: Vec<Row>,
    /// What [`Row`]s point at; empty unless all deployments are kept.
    more: Vec<Details>,
    /// From this many rows on, those that lost are dropped.
    fold_at: usize,
    /// For each name, the ARNs that it stands for.
    arns: BTreeMap<String, BTreeSet<String>>,
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
        let row = Row::new(deployment, user, self.more.len(), &mut self.names);
        if self.all {
            self.more.push(Details::of(deployment, &mut self.names));
        } else if self.kept.len() >= self.fold_at {
            self.fold();
        }
        if self.kept.len() == self.kept.capacity() {
            // Twice as much, as a vector has it by itself, would be twice what is needed.
            self.kept.reserve_exact(self.kept.len() / 8 + FOLD_FROM);
        }
        self.kept.push(row);
    }

    /// Drops the rows that lost against another one of their day, customer and user.
    fn fold(&mut self) {
        let names = &self.names;
        let place = |row: &Row| (row.day(), row.customer, row.user);
        self.kept.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| order(names, b, a)));
        self.kept.dedup_by_key(|row| place(row));
        self.fold_at = (self.kept.len() * 2).max(FOLD_FROM);
    }

    /// Brings the rows into their order: by `sort`, then by date, customer and user, or all of them by time; and keeps the first `limit`.
    pub fn finish(&mut self, sort: &[Sort], limit: Option<usize>) {
        if !self.all {
            self.fold();
        }
        let mut rows = std::mem::take(&mut self.kept);
        rows.sort_unstable_by(|a, b| {
            let asked = sort.iter().map(|sort| {
                let order = self.compare(a, b, sort.column);
                if sort.descending { order.reverse() } else { order }
            });
            let own = std::iter::once_with(|| if self.all { order(&self.names, a, b) } else { Ordering::Equal });
            let usual = || [Column::Timestamp, Column::Customer, Column::User].into_iter().map(|column| self.compare(a, b, column));
            asked.chain(own).chain(usual()).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        self.kept = rows;
    }

    /// How many rows there are; final after [`Rows::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The names that stand for more than one ARN, with these.
    pub fn folded(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.arns.iter().filter(|(_, arns)| arns.len() > 1).map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, in order, with the values as the records have them.
    pub fn cells(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        self.kept.iter().map(|row| self.columns().iter().map(|(column, _)| self.cell(row, *column)).collect())
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
            Column::Timestamp => a.day().cmp(&b.day()),
            Column::AdditionalUsersCount => a.additional_users_count.cmp(&b.additional_users_count),
            Column::Customer if a.customer == b.customer => Ordering::Equal,
            Column::User if a.user == b.user => Ordering::Equal,
            Column::Late => self.details(a).map(|more| more.late).cmp(&self.details(b).map(|more| more.late)),
            Column::GitDirty => self.details(a).map(|more| more.dirty).cmp(&self.details(b).map(|more| more.dirty)),
            _ => self.text(a, column).cmp(self.text(b, column)),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::logged::More;
    use crate::packed::split_key;
    use crate::record::{Ci, Git};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn deployment(when: &str, user: &str, cluster: &str) -> Deployment {
        Deployment {
            at: at(when),
            modified: at("2026-01-01T00:00:00Z"),
            key: "usage-logs/airbnb/k.json".into(),
            customer: "airbnb".into(),
            user: user.into(),
            additional_users_count: 5,
            project_name: "p".into(),
            cluster_name: cluster.into(),
            ..Deployment::default()
        }
    }

    fn lines(mut rows: Rows, sort: &[&str], limit: Option<usize>) -> Vec<String> {
        let sort: Vec<Sort> = sort.iter().map(|name| name.parse().expect("a column")).collect();
        rows.finish(&sort, limit);
        let line = |cells: Vec<Cell<'_>>| cells.iter().map(|cell| cell.words().into_owned()).collect::<Vec<_>>().join(",");
        rows.cells().map(line).collect()
    }

    fn filled(all: bool, deployments: &[Deployment]) -> Rows {
        let mut rows = Rows::new(By::Name, all);
        for one in deployments {
            rows.add(one);
        }
        rows
    }

    #[test]
    fn the_last_deployment_of_a_day_wins_in_whatever_order_they_come() {
        let mut all = [
            deployment("2026-11-23T08:00:00Z", "arn:aws:iam::1:user/jane", "first"),
            deployment("2026-11-23T23:59:59.5Z", "arn:aws:iam::1:user/jane", "last"),
            deployment("2026-11-24T00:00:00Z", "arn:aws:iam::1:user/jane", "next-day"),
            deployment("2026-11-23T09:00:00Z", "arn:aws:iam::1:user/adam", "adam"),
        ];
        for turn in 0..all.len() {
            all.rotate_left(turn);
            assert_eq!(
                lines(filled(false, &all), &[], None),
                ["2026-11-23,airbnb,adam,5,p,adam", "2026-11-23,airbnb,jane,5,p,last", "2026-11-24,airbnb,jane,5,p,next-day"]
            );
        }
    }

    #[test]
    fn ties_are_broken_by_last_modified_and_then_by_key() {
        let tie = deployment("2026-11-23T08:00:00Z", "a/b", "one");
        let later = Deployment { modified: at("2026-01-02T00:00:00Z"), cluster_name: "later".into(), ..tie.clone() };
        let key = Deployment { key: "usage-logs/airbnb/l.json".into(), cluster_name: "key".into(), ..later.clone() };
        assert_eq!(lines(filled(false, &[later, key, tie]), &[], None), ["2026-11-23,airbnb,b,5,p,key"]);
    }

    #[test]
    fn keys_are_compared_as_they_are_wherever_they_are_cut() {
        let keys = [
            "usage-logs/a/0.json",
            "usage-logs/a/2026-03-02_080000-00000000.json",
            "usage-logs/a/2026-03-02_080000-ffffffff.json",
            "usage-logs/a/2026-03-02_080000.json",
            "usage-logs/a/d188280766a258ccc135ef480b49230c.json",
            "usage-logs/a/d188280766a258ccc135ef480b49230d.json",
            "usage-logs/~20a/0.json",
        ];
        for pair in keys.windows(2) {
            let one = |key: &str| Deployment { key: key.into(), cluster_name: key.into(), ..deployment("2026-11-23T08:00:00Z", "u", "") };
            let rows = filled(false, &[one(pair[1]), one(pair[0])]);
            assert!(lines(rows, &[], None)[0].ends_with(pair[1]), "{pair:?}");
        }
        assert_eq!(split_key("usage-logs/a/2026-03-02_08000é.json").1, "a/é.json", "not within a character");
    }

    #[test]
    fn folding_early_changes_nothing() {
        let many: Vec<Deployment> = (0..FOLD_FROM * 3)
            .map(|number| deployment(&format!("2026-11-{:02}T08:00:00.{number:06}Z", number % 7 + 1), "u", &number.to_string()))
            .collect();
        let rows = filled(false, &many);
        assert!(rows.len() < many.len() / 2, "{} rows are kept", rows.len());
        let last: Vec<String> =
            (FOLD_FROM * 3 - 7..FOLD_FROM * 3).map(|number| format!("2026-11-{:02},airbnb,u,5,p,{number}", number % 7 + 1)).collect();
        let mut last = last;
        last.sort();
        assert_eq!(lines(rows, &[], None), last);
    }

    #[test]
    fn rows_are_sorted_and_cut_as_asked() {
        let all = [
            deployment("2026-11-23T08:00:00Z", "x/jane", "b"),
            deployment("2026-11-24T08:00:00Z", "x/adam", "a"),
            deployment("2026-11-25T08:00:00Z", "x/jane", "c"),
        ];
        let days = |sort: &[&str], limit| -> Vec<String> {
            lines(filled(false, &all), sort, limit).iter().map(|line| line[8..10].to_owned()).collect()
        };
        assert_eq!(days(&["-timestamp"], Some(2)), ["25", "24"]);
        assert_eq!(days(&["user", "-timestamp"], None), ["24", "25", "23"]);
        assert_eq!(days(&["cluster_name"], None), ["24", "23", "25"]);
    }

    #[test]
    fn all_deployments_are_listed_in_full_and_in_the_order_of_time() {
        let git = Git { commit: "c0ffee".into(), branch: "main".into(), dirty: true };
        let ci = Ci { provider: "github".into(), run_url: "https://ci/1".into() };
        let more =
            More { account: "1".into(), backup: "uploaded".into(), late: true, deployment_id: "d".into(), git: Some(git), ci: Some(ci) };
        let full = Deployment { config_hash: "h".into(), more, ..deployment("2026-11-23T08:00:00.25Z", "x/jane", "c") };
        let bare = deployment("2026-11-23T07:00:00Z", "x/jane", "c");
        assert_eq!(
            lines(filled(true, &[full, bare]), &[], None),
            [
                "2026-11-23T07:00:00Z,airbnb,jane,5,p,c,x/jane,,,,false,,,,,,",
                "2026-11-23T08:00:00.250Z,airbnb,jane,5,p,c,x/jane,1,h,uploaded,true,d,c0ffee,main,true,github,https://ci/1"
            ]
        );
    }

    #[test]
    fn folded_arns_are_told_and_kept_apart_on_request() {
        let mut by_name = Rows::new(By::Name, false);
        let mut by_arn = Rows::new(By::Arn, false);
        for arn in ["arn:aws:iam::1:user/jane", "arn:aws:iam::2:user/jane"] {
            by_name.add(&deployment("2026-11-23T08:00:00Z", arn, "c"));
            by_arn.add(&deployment("2026-11-23T08:00:00Z", arn, "c"));
        }
        assert_eq!(by_name.folded().map(|(name, arns)| (name, arns.len())).collect::<Vec<_>>(), [("jane", 2)]);
        assert_eq!(by_arn.folded().count(), 0);
        assert_eq!((lines(by_name, &[], None).len(), lines(by_arn, &[], None).len()), (1, 2));
    }
}
