//! The versions of a customer's config and the deployments that used them: which belong together, and which one is meant.
//!
//! Pure: whoever calls has listed and read them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::keys;
use crate::record::format_rfc3339;
use crate::s3::listing::versioned_key;
use crate::time_spec::{DayBoundary, parse_time_spec};

/// The fewest characters that name a version or a deployment.
const MIN_NAME_CHARS: usize = 4;
/// How many candidates an ambiguous name lists.
const MAX_SHOWN_CANDIDATES: usize = 6;

/// One version: an object that holds the config as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigVersion {
    /// The object's key.
    pub key: String,
    /// When its bytes were read to be deployed; of a config of the earlier module, when it was uploaded.
    pub at: DateTime<Utc>,
    /// The MD5 of its bytes.
    pub md5: String,
    /// Its size in bytes.
    pub size: u64,
    /// Names it among the versions that a versioned bucket has of this key; empty for the object that is there now.
    pub version_id: String,
}

impl ConfigVersion {
    /// The key, with the version id where it takes one.
    #[must_use]
    pub fn versioned_key(&self) -> String {
        versioned_key(&self.key, self.id())
    }

    /// The version id, where it takes one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        Some(self.version_id.as_str()).filter(|id| !id.is_empty())
    }
}

/// A deployment, as its usage record tells it; what that does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionUse {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The full ARN of who deployed.
    pub user: String,
    /// The deployment's id.
    pub deployment_id: String,
    /// The MD5 of the config.
    pub config_hash: String,
    /// The key of the version that was deployed.
    pub backup_key: String,
}

/// All versions of one customer, and all deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigHistory {
    versions: Vec<ConfigVersion>,
    deployments: Vec<VersionUse>,
    /// For each deployment the place of its version.
    deployed_versions: Vec<Option<usize>>,
}

/// Which version is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSelector {
    /// The newest.
    Latest,
    /// By its MD5, or the beginning of it, or by the time in its name.
    Version(String),
    /// The one that was the newest then.
    At(DateTime<Utc>),
    /// The one of a deployment, by its id or the beginning of it.
    Deployment(String),
}

impl ConfigHistory {
    /// Of deployments in any order, and of versions, too, but that of those which the same key had in the same second the newer
    /// one comes first.
    #[must_use]
    pub fn new(mut versions: Vec<ConfigVersion>, mut uses: Vec<VersionUse>) -> Self {
        versions.sort_by(|a, b| Reverse((a.at, &a.key)).cmp(&Reverse((b.at, &b.key))));
        uses.sort_by(|a, b| (a.at, &a.deployment_id).cmp(&(b.at, &b.deployment_id)));
        let mut by_md5: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, version) in versions.iter().enumerate() {
            by_md5.entry(&version.md5).or_default().push(place);
        }
        let there = versions
            .iter()
            .enumerate()
            .filter(|(_, version)| version.version_id.is_empty());
        let by_key: HashMap<&str, usize> = there
            .map(|(place, version)| (version.key.as_str(), place))
            .collect();
        // Records of the earlier module name no key, and neither does one whose deployment could not tell: then it is the
        // newest version with its MD5 that there was, or else the oldest.
        let alike = |it: &VersionUse| {
            let places = by_md5.get(it.config_hash.as_str())?;
            places
                .iter()
                .find(|place| versions[**place].at <= it.at)
                .or(places.last())
                .copied()
        };
        let versions_of_uses = uses
            .iter()
            .map(|it| {
                by_key
                    .get(it.backup_key.as_str())
                    .copied()
                    .or_else(|| alike(it))
            })
            .collect();
        Self {
            versions,
            deployments: uses,
            deployed_versions: versions_of_uses,
        }
    }

    /// The versions, newest first.
    #[must_use]
    pub fn versions(&self) -> &[ConfigVersion] {
        &self.versions
    }

    /// The deployments that used the version at a place, oldest first: the first of them brought it.
    pub fn deployments_of(&self, place: usize) -> impl Iterator<Item = &VersionUse> {
        let used = self
            .deployed_versions
            .iter()
            .map(move |it| *it == Some(place));
        self.deployments
            .iter()
            .zip(used)
            .filter(|(_, used)| *used)
            .map(|(it, _)| it)
    }

    /// The deployment with this id, or else the first one whose id begins so.
    #[must_use]
    pub fn find_deployment(&self, id: &str) -> Option<&VersionUse> {
        let exact = self.deployments.iter().find(|it| it.deployment_id == id);
        exact
            .or_else(|| {
                self.deployments
                    .iter()
                    .find(|it| it.deployment_id.starts_with(id))
            })
            .filter(|_| !id.is_empty())
    }

    /// The place of the version that is meant.
    ///
    /// # Errors
    /// Why there is none, or not one alone, and what can be done about it.
    pub fn find_version(&self, wanted: &VersionSelector) -> Result<usize, String> {
        match wanted {
            VersionSelector::Latest => {
                if self.versions.is_empty() {
                    Err("there is no version".to_owned())
                } else {
                    Ok(0)
                }
            }
            VersionSelector::Version(name) => self.find_by_name(name),
            VersionSelector::At(at) => self
                .versions
                .iter()
                .position(|version| version.at <= *at)
                .ok_or_else(|| {
                    let oldest = self
                        .versions
                        .last()
                        .map(|it| format!("; the oldest is of {}", format_rfc3339(it.at)))
                        .unwrap_or_default();
                    format!("there was none yet at {}{oldest}", format_rfc3339(*at))
                }),
            VersionSelector::Deployment(id) => self.find_by_deployment(id),
        }
    }

    /// What a word stands for that may be `latest`, a version, a deployment or a time, as [`moment`] reads it.
    ///
    /// # Errors
    /// That it stands for nothing, or for more than one of these.
    pub fn parse_selector(
        &self,
        word: &str,
        now: DateTime<Utc>,
    ) -> Result<VersionSelector, String> {
        if word == "latest" {
            return Ok(VersionSelector::Latest);
        }
        let is_long = word.len() >= MIN_NAME_CHARS;
        let version = is_long
            && self
                .versions
                .iter()
                .any(|version| is_version_named(version, word));
        let deployment = is_long
            && self
                .deployments
                .iter()
                .any(|it| it.deployment_id.starts_with(word));
        let at = parse_time_spec(word, DayBoundary::End, now).ok();
        match (at, version, deployment) {
            (Some(at), false, false) => Ok(VersionSelector::At(at)),
            (None, true, false) => Ok(VersionSelector::Version(word.to_owned())),
            (None, false, true) => Ok(VersionSelector::Deployment(word.to_owned())),
            (None, false, false) => Err(format!(
                "`{word}` is no version, no deployment and no time; `config-backup history` lists the versions, `report --all` the deployments"
            )),
            _ => Err(format!(
                "`{word}` may be more than one of a version, a deployment and a time; give more of its name"
            )),
        }
    }

    fn find_by_name(&self, name: &str) -> Result<usize, String> {
        if name.len() < MIN_NAME_CHARS {
            return Err(format!(
                "`{name}` is too short; give at least {MIN_NAME_CHARS} digits"
            ));
        }
        let found: Vec<usize> = (0..self.versions.len())
            .filter(|place| is_version_named(&self.versions[*place], name))
            .collect();
        let contents: BTreeSet<&str> = found
            .iter()
            .map(|place| self.versions[*place].md5.as_str())
            .collect();
        match found.first() {
            // The same bytes may have been deployed more than once.
            Some(newest) if contents.len() == 1 => Ok(*newest),
            Some(_) => {
                let shown = |place: &usize| {
                    format!(
                        "{} of {}",
                        self.versions[*place].md5,
                        format_rfc3339(self.versions[*place].at)
                    )
                };
                Err(describe_ambiguous_name(
                    name,
                    "versions",
                    found.iter().map(shown),
                ))
            }
            None => Err(format!(
                "there is no version `{name}`; `config-backup history` lists them"
            )),
        }
    }

    fn find_by_deployment(&self, id: &str) -> Result<usize, String> {
        if id.len() < MIN_NAME_CHARS {
            return Err(format!(
                "`{id}` is too short; give at least {MIN_NAME_CHARS} characters"
            ));
        }
        let is_exact = self
            .find_deployment(id)
            .is_some_and(|it| it.deployment_id == id);
        let is_meant = |it: &VersionUse| {
            if is_exact {
                it.deployment_id == id
            } else {
                it.deployment_id.starts_with(id)
            }
        };
        let found: Vec<usize> = (0..self.deployments.len())
            .filter(|place| is_meant(&self.deployments[*place]))
            .collect();
        let ids: BTreeSet<&str> = found
            .iter()
            .map(|place| self.deployments[*place].deployment_id.as_str())
            .collect();
        match found.first() {
            Some(place) if ids.len() == 1 => self.deployed_versions[*place].ok_or_else(|| {
                let id = &self.deployments[*place].deployment_id;
                format!("the config of the deployment {id} is not in the bucket; `config-backup status` where it was deployed says if it is kept there")
            }),
            Some(_) => Err(describe_ambiguous_name(id, "deployments", ids.iter().map(|id| (*id).to_owned()))),
            None => Err(format!("there is no deployment `{id}`; `config-backup report --all` lists them")),
        }
    }
}

fn is_version_named(version: &ConfigVersion, name: &str) -> bool {
    version.md5.starts_with(&name.to_ascii_lowercase())
        || keys::format_timestamp(version.at) == name
        || version.id() == Some(name)
}

fn describe_ambiguous_name(
    name: &str,
    what: &str,
    names: impl ExactSizeIterator<Item = String>,
) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(MAX_SHOWN_CANDIDATES).collect();
    let more = if count > MAX_SHOWN_CANDIDATES {
        ", …"
    } else {
        ""
    };
    format!(
        "`{name}` stands for {count} {what}: {}{more}; give more of its name",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests;
