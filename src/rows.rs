//! From deployments to the rows of the report: one per day, customer and user, the last deployment winning.
//!
//! Pure. Must not fetch, and must not depend on the order in which deployments come.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

/// One deployment, as a usage record and its object tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The report being made: takes deployments one at a time and keeps the last of each day, customer and user.
#[derive(Debug, Default)]
pub struct Rows {
    by: By,
    last: BTreeMap<(String, String, String), Deployment>,
    /// For each name, the ARNs that it stands for.
    arns: BTreeMap<String, BTreeSet<String>>,
}

/// The header of the CSV, a contract.
pub const HEADER: [&str; 6] = ["timestamp", "customer", "user", "additional_users_count", "project_name", "cluster_name"];

impl Rows {
    /// An empty report.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Takes one deployment in.
    pub fn add(&mut self, deployment: Deployment) {
        let user = match self.by {
            By::Name => user_name(&deployment.user).to_owned(),
            By::Arn => deployment.user.clone(),
        };
        if self.by == By::Name {
            self.arns.entry(user.clone()).or_default().insert(deployment.user.clone());
        }
        let date = deployment.at.format("%Y-%m-%d").to_string();
        let row = (date, deployment.customer.clone(), user);
        match self.last.get(&row) {
            Some(known) if order(known) >= order(&deployment) => {}
            _ => {
                self.last.insert(row, deployment);
            }
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// The names that stand for more than one ARN, with these.
    pub fn folded(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.arns.iter().filter(|(_, arns)| arns.len() > 1).map(|(name, arns)| (name.as_str(), arns))
    }

    /// The cells of all rows, sorted by date, customer and user.
    pub fn cells(&self) -> impl Iterator<Item = [String; 6]> {
        self.last.iter().map(|((date, customer, user), last)| {
            [
                date.clone(),
                cell(customer),
                cell(user),
                last.additional_users_count.to_string(),
                cell(&last.project_name),
                cell(&last.cluster_name),
            ]
        })
    }
}

/// What follows the last `/` of an ARN, or its last `:` where there is no `/`
/// (`arn:aws:iam::123456789012:root` gives `root`).
#[must_use]
pub fn user_name(arn: &str) -> &str {
    let tail = arn.rsplit_once('/').map_or(arn, |(_, tail)| tail);
    if tail.len() == arn.len() { arn.rsplit_once(':').map_or(arn, |(_, tail)| tail) } else { tail }
}

fn order(deployment: &Deployment) -> (DateTime<Utc>, DateTime<Utc>, &str) {
    (deployment.at, deployment.modified, &deployment.key)
}

/// A cell that is text to whoever opens it: control characters and marks that turn the writing direction become
/// U+FFFD, and what a spreadsheet would run as a formula gets a leading `'` (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { c })
        .collect();
    if clean.starts_with(['=', '+', '-', '@']) { format!("'{clean}") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn deployment(when: &str, user: &str, cluster: &str) -> Deployment {
        Deployment {
            at: at(when),
            modified: at("2026-01-01T00:00:00Z"),
            key: "k".into(),
            customer: "airbnb".into(),
            user: user.into(),
            additional_users_count: 5,
            project_name: "p".into(),
            cluster_name: cluster.into(),
        }
    }

    fn lines(rows: &Rows) -> Vec<String> {
        rows.cells().map(|cells| cells.join(",")).collect()
    }

    #[test]
    fn the_last_deployment_of_a_day_wins_in_whatever_order_they_come() {
        let mut all = [
            deployment("2026-11-23T08:00:00Z", "arn:aws:iam::1:user/jane", "first"),
            deployment("2026-11-23T23:59:59Z", "arn:aws:iam::1:user/jane", "last"),
            deployment("2026-11-24T00:00:00Z", "arn:aws:iam::1:user/jane", "next-day"),
            deployment("2026-11-23T09:00:00Z", "arn:aws:iam::1:user/adam", "adam"),
        ];
        for turn in 0..all.len() {
            all.rotate_left(turn);
            let mut rows = Rows::new(By::Name);
            all.iter().cloned().for_each(|one| rows.add(one));
            assert_eq!(
                lines(&rows),
                ["2026-11-23,airbnb,adam,5,p,adam", "2026-11-23,airbnb,jane,5,p,last", "2026-11-24,airbnb,jane,5,p,next-day"]
            );
        }
    }

    #[test]
    fn ties_are_broken_by_last_modified_and_then_by_key() {
        let tie = deployment("2026-11-23T08:00:00Z", "a/b", "one");
        let later = Deployment { modified: at("2026-01-02T00:00:00Z"), cluster_name: "later".into(), ..tie.clone() };
        let key = Deployment { key: "l".into(), cluster_name: "key".into(), ..later.clone() };
        let mut rows = Rows::new(By::Name);
        for one in [&later, &key, &tie] {
            rows.add(one.clone());
        }
        assert_eq!(lines(&rows), ["2026-11-23,airbnb,b,5,p,key"]);
    }

    #[test]
    fn users_are_named_by_the_tail_of_their_arn() {
        for (arn, name) in [
            ("arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/john.doe", "john.doe"),
            ("arn:aws:iam::123456789012:root", "root"),
            ("arn:aws:iam::1:user/a/b/jane", "jane"),
            ("", ""),
            ("someone", "someone"),
        ] {
            assert_eq!(user_name(arn), name);
        }
    }

    #[test]
    fn folded_arns_are_told_and_kept_apart_on_request() {
        let (one, two) = ("arn:aws:iam::1:user/jane", "arn:aws:iam::2:user/jane");
        let mut by_name = Rows::new(By::Name);
        let mut by_arn = Rows::new(By::Arn);
        for arn in [one, two] {
            by_name.add(deployment("2026-11-23T08:00:00Z", arn, "c"));
            by_arn.add(deployment("2026-11-23T08:00:00Z", arn, "c"));
        }
        assert_eq!((by_name.len(), by_arn.len()), (1, 2));
        assert_eq!(by_name.folded().map(|(name, arns)| (name, arns.len())).collect::<Vec<_>>(), [("jane", 2)]);
        assert_eq!(by_arn.folded().count(), 0);
    }

    #[test]
    fn cells_run_nothing_and_hide_nothing() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(cell("a\u{1b}[2J\r\n\u{202e}b"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(cell("plain, \"quoted\""), "plain, \"quoted\"");
    }
}
