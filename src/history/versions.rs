//! Which deployment used which version of a customer's config, and which version a user means.
//!
//! Must not list or read: `load.rs` does.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::record::format_rfc3339;
use crate::snapshot::{ConfigVersion, StoredRecord};
use crate::time_spec::{DayBoundary, parse_time_spec};

/// The fewest characters that name a version or a deployment.
const MIN_NAME_CHARS: usize = 4;
/// How many candidates an ambiguous name lists.
const MAX_SHOWN_CANDIDATES: usize = 6;

/// All versions of one customer and all deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigHistory {
    versions: Vec<ConfigVersion>,
    deployments: Vec<StoredRecord>,
    /// For each deployment the index of its version.
    deployed_versions: Vec<Option<usize>>,
}

/// Which version a user means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSelector {
    Latest,
    /// By its MD5 or the beginning of it, by the time in its key, or by its version id.
    Version(String),
    /// The newest version at this time.
    At(DateTime<Utc>),
    /// The version of a deployment, by its id or the beginning of it.
    Deployment(String),
}

impl ConfigHistory {
    /// Sorts versions and deployments, and finds the version of each deployment.
    ///
    /// Within a second, deployments are sorted by their number in the chain and then by S3's time, and
    /// versions by their deployments. Of versions with the same key and second, the newer one must
    /// come first.
    #[must_use]
    pub fn new(mut versions: Vec<ConfigVersion>, mut deployments: Vec<StoredRecord>) -> Self {
        deployments.sort_by(|a, b| a.recency().cmp(&b.recency()));
        let mut ranks: HashMap<&str, usize> = HashMap::new();
        for (rank, deployment) in deployments.iter().enumerate() {
            ranks.entry(&deployment.parsed.backup_key).or_insert(rank);
        }
        versions.sort_by_cached_key(|version| {
            let rank = ranks.get(version.key.as_str()).copied();
            let time = (version.captured_at(), rank, version.last_modified);
            Reverse((time, version.key.clone()))
        });
        let deployed_versions = match_versions(&versions, &deployments);
        Self {
            versions,
            deployments,
            deployed_versions,
        }
    }

    /// The versions, newest first.
    #[must_use]
    pub fn versions(&self) -> &[ConfigVersion] {
        &self.versions
    }

    /// The deployments that used a version, oldest first.
    pub fn deployments_of(&self, version: usize) -> impl Iterator<Item = &StoredRecord> {
        let deployments = self.deployments.iter().zip(&self.deployed_versions);
        deployments.filter_map(move |(deployment, used)| {
            if *used == Some(version) {
                Some(deployment)
            } else {
                None
            }
        })
    }

    /// The deployment with this id, or else the first one whose id begins with it.
    #[must_use]
    pub fn find_deployment(&self, id: &str) -> Option<&StoredRecord> {
        if id.is_empty() {
            return None;
        }
        let mut first_match = None;
        for deployment in &self.deployments {
            if deployment.parsed.deployment_id == id {
                return Some(deployment);
            }
            if first_match.is_none() && deployment.parsed.deployment_id.starts_with(id) {
                first_match = Some(deployment);
            }
        }
        first_match
    }

    /// The index of the version that the user means.
    pub fn find_version(&self, selector: &VersionSelector) -> Result<usize, Error> {
        match selector {
            VersionSelector::Latest if self.versions.is_empty() => {
                Err(selection_error("there is no version", ""))
            }
            VersionSelector::Latest => Ok(self.find_deployed_version(0, DateTime::<Utc>::MAX_UTC)),
            VersionSelector::Version(name) => self.find_by_name(name),
            VersionSelector::At(at) => self.find_by_time(*at),
            VersionSelector::Deployment(id) => self.find_by_deployment(id),
        }
    }

    /// What a word means: `latest`, a version, a deployment, or a time that [`parse_time_spec`]
    /// accepts.
    pub fn parse_selector(&self, word: &str, now: DateTime<Utc>) -> Result<VersionSelector, Error> {
        if word == "latest" {
            return Ok(VersionSelector::Latest);
        }
        let is_long = word.len() >= MIN_NAME_CHARS;
        let is_version = is_long && self.versions.iter().any(|it| is_version_named(it, word));
        let is_deployment = is_long
            && self
                .deployments
                .iter()
                .any(|it| it.parsed.deployment_id.starts_with(word));
        let time = parse_time_spec(word, DayBoundary::End, now).ok();

        match (time, is_version, is_deployment) {
            (Some(time), false, false) => Ok(VersionSelector::At(time)),
            (None, true, false) => Ok(VersionSelector::Version(word.to_owned())),
            (None, false, true) => Ok(VersionSelector::Deployment(word.to_owned())),
            (None, false, false) => Err(selection_error(
                format!("`{word}` is not a version, a deployment or a time"),
                "`config-backup history` lists the versions, `report --all` the deployments",
            )),
            _ => Err(selection_error(
                format!("`{word}` can be more than one of a version, a deployment and a time"),
                "give more of its name",
            )),
        }
    }

    /// The version that the last deployment until `at` used, or `newest`, the newest version until
    /// then. They differ if that deployment went back to an older version, and the one between them
    /// was sent late.
    fn find_deployed_version(&self, newest: usize, at: DateTime<Utc>) -> usize {
        let mut last = None;
        let mut is_newest_deployed = false;
        for (deployment, version) in self.deployments.iter().zip(&self.deployed_versions) {
            if let Some(version) = version
                && deployment.deployed_at <= at
            {
                last = Some((deployment.deployed_at, *version));
                is_newest_deployed |= *version == newest;
            }
        }
        match last {
            Some((deployed_at, version))
                if is_newest_deployed || deployed_at > self.versions[newest].captured_at() =>
            {
                version
            }
            _ => newest,
        }
    }

    fn find_by_time(&self, at: DateTime<Utc>) -> Result<usize, Error> {
        let newest = self
            .versions
            .iter()
            .position(|version| version.captured_at() <= at);
        if let Some(newest) = newest {
            return Ok(self.find_deployed_version(newest, at));
        }
        let cause = format!("there was no version at {}", format_rfc3339(at));
        let hint = match self.versions.last() {
            Some(oldest) => format!("the oldest is of {}", format_rfc3339(oldest.captured_at())),
            None => String::new(),
        };
        Err(selection_error(cause, hint))
    }

    fn find_by_name(&self, name: &str) -> Result<usize, Error> {
        if name.len() < MIN_NAME_CHARS {
            let hint = format!("give at least {MIN_NAME_CHARS} digits");
            return Err(selection_error(format!("`{name}` is too short"), hint));
        }
        let mut found = Vec::new();
        let mut md5s = BTreeSet::new();
        let mut descriptions = Vec::new();
        for (index, version) in self.versions.iter().enumerate() {
            if is_version_named(version, name) {
                let md5 = version_md5(version);
                let time = format_rfc3339(version.captured_at());
                found.push(index);
                md5s.insert(md5);
                descriptions.push(format!("{md5} of {time}"));
            }
        }

        match found.first() {
            // The same bytes may have been deployed more than once.
            Some(newest) if md5s.len() == 1 => Ok(*newest),
            Some(_) => Err(ambiguous_name_error(name, "versions", &descriptions)),
            None => Err(selection_error(
                format!("there is no version `{name}`"),
                "`config-backup history` lists them",
            )),
        }
    }

    fn find_by_deployment(&self, id: &str) -> Result<usize, Error> {
        if id.len() < MIN_NAME_CHARS {
            let hint = format!("give at least {MIN_NAME_CHARS} characters");
            return Err(selection_error(format!("`{id}` is too short"), hint));
        }
        let Some(first) = self.find_deployment(id) else {
            return Err(selection_error(
                format!("there is no deployment `{id}`"),
                "`config-backup report --all` lists them",
            ));
        };
        let is_exact = first.parsed.deployment_id == id;
        let mut ids = BTreeSet::new();
        let mut version = None;
        for (deployment, deployed) in self.deployments.iter().zip(&self.deployed_versions) {
            let deployment_id = &deployment.parsed.deployment_id;
            let is_meant = if is_exact {
                deployment_id == id
            } else {
                deployment_id.starts_with(id)
            };
            if !is_meant {
                continue;
            }
            if ids.is_empty() {
                version = *deployed;
            }
            ids.insert(deployment_id.clone());
        }

        if ids.len() > 1 {
            let ids: Vec<String> = ids.into_iter().collect();
            return Err(ambiguous_name_error(id, "deployments", &ids));
        }
        if let Some(version) = version {
            return Ok(version);
        }
        let id = &first.parsed.deployment_id;
        Err(selection_error(
            format!("the config of the deployment {id} is not in the bucket"),
            "`config-backup status` on the machine that deployed shows if it is queued",
        ))
    }
}

/// For each deployment the index of the version that it used.
///
/// Records of the legacy module have no key, and a deployment that reached its timeout has none
/// either. Then it is the newest version with its MD5 at that time, or else the oldest one.
fn match_versions(versions: &[ConfigVersion], deployments: &[StoredRecord]) -> Vec<Option<usize>> {
    let mut by_md5: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for (index, version) in versions.iter().enumerate() {
        if let Some(md5) = version.md5() {
            by_md5.entry(md5).or_default().push(index);
        }
        if version.version_id.is_none() {
            by_key.insert(&version.key, index);
        }
    }

    let find_by_md5 = |deployment: &StoredRecord| {
        let candidates = by_md5.get(deployment.parsed.config_hash.as_str())?;
        for index in candidates {
            if versions[*index].captured_at() <= deployment.deployed_at {
                return Some(*index);
            }
        }
        candidates.last().copied()
    };
    let mut matches = Vec::with_capacity(deployments.len());
    for deployment in deployments {
        matches.push(match by_key.get(deployment.parsed.backup_key.as_str()) {
            Some(index) => Some(*index),
            None => find_by_md5(deployment),
        });
    }
    matches
}

/// The MD5; empty if the version cannot be read and its metadata does not say it.
#[must_use]
pub fn version_md5(version: &ConfigVersion) -> &str {
    version.md5().unwrap_or_default()
}

fn is_version_named(version: &ConfigVersion, name: &str) -> bool {
    version_md5(version).starts_with(&name.to_ascii_lowercase())
        || keys::format_timestamp(version.captured_at()) == name
        || version.version_id.as_deref() == Some(name)
}

fn selection_error(cause: impl AsRef<str>, hint: impl Into<String>) -> Error {
    let message = format!("cannot choose a version: {}", cause.as_ref());
    Error::new(ErrorKind::Input, message, hint)
}

fn ambiguous_name_error(name: &str, noun: &str, candidates: &[String]) -> Error {
    let count = candidates.len();
    let shown = &candidates[..count.min(MAX_SHOWN_CANDIDATES)];
    let more = if count > shown.len() { ", …" } else { "" };
    let list = shown.join(", ");
    selection_error(
        format!("`{name}` matches {count} {noun}: {list}{more}"),
        "give more of its name",
    )
}

#[cfg(test)]
mod tests;
