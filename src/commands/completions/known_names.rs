//! The customers, versions and profiles that a command line can name.
//!
//! They come from this machine: the cache of `report`, and the customer folders around the current
//! folder. S3 is asked only if these have nothing that fits. One limit holds for all of it, because
//! a folder can lie on a network mount that does not answer. A TAB key must not do more than that:
//!
//! - It prints no error. The user is in the middle of a line, and the command itself says it better.
//! - It asks S3 only with an access key. A `credential_process` can open a browser, or wait for a
//!   second factor or a touch on a key. A token of `aws sso login` may have to be refreshed, and the
//!   limit could end us while the new one is written, which would log the user out. The metadata
//!   service of a cloud machine is looked for on every machine, where nothing answers.
//! - It writes nothing, not even the cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Command};

use crate::commands::bucket_args::BucketArgs;
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;
use crate::defaults::{DEFAULT_BUCKET, DEFAULT_BUCKET_REGION};
use crate::doctor::folder_checks::CustomerFolder;
use crate::keys::{self, CONFIG_HISTORY_FOLDER, CONFIGS_PREFIX, ConfigVersionKey, RECORDS_PREFIX};
use crate::record::format_rfc3339;
use crate::record::parse::{ParsedRecord, parse_record};
use crate::report::cache::{CacheLocation, RecordCache};
use crate::s3::aws_files::profiles::AwsFiles;
use crate::s3::bulk_get::{list_first_keys, list_folders};
use crate::s3::listing::ListRequest;
use crate::s3::store::{BucketTarget, ObjectStore, RequestTimeouts};
use crate::system::deadline::run_with_timeout;
use crate::system::dirs::cache_dir;
use crate::system::runtime::block_on;

/// As long as a user waits for a TAB key without wondering.
const MAX_TIME: Duration = Duration::from_secs(1);
const TIMEOUTS: RequestTimeouts = RequestTimeouts {
    operation: MAX_TIME,
    attempt: MAX_TIME,
    max_attempts: 1,
};
/// The folders whose content is looked at: the current one can be a customer folder or a unit.
const NEARBY_FOLDERS: [&str; 3] = [".", "..", "../.."];
const MAX_FOLDER_ENTRIES: usize = 500;
/// How many of the newest records are looked through for versions.
const MAX_RECORDS: u32 = 300;
/// A page has a thousand keys, and the newest ones are on the last page.
const MAX_VERSION_PAGES: usize = 5;
const MD5_DIGITS: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Customer,
    Profile,
    Version,
    /// Also the words that stand for a version.
    VersionOrLocal,
    Deployment,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KnownName {
    pub(super) name: String,
    pub(super) help: String,
}

/// A command line that needs a name at its end.
pub(super) struct NameQuery<'a> {
    pub(super) command: &'a Command,
    pub(super) words: &'a [String],
    pub(super) typed: &'a str,
}

impl NameKind {
    /// What an argument with this id takes.
    pub(super) fn of_argument(id: &str) -> Option<Self> {
        Some(match id {
            "customer" => Self::Customer,
            "profile" => Self::Profile,
            "version" => Self::Version,
            "before" | "after" => Self::VersionOrLocal,
            "deployment" => Self::Deployment,
            _ => return None,
        })
    }
}

impl KnownName {
    fn new(name: &str, help: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            help: help.into(),
        }
    }
}

impl NameQuery<'_> {
    /// All names of a kind that are known in time.
    pub(super) fn find_names(&self, kind: NameKind) -> Vec<KnownName> {
        let matches = self.parse_words();
        let typed = self.typed.to_owned();
        let find = move || find_names(kind, &matches, &typed);
        run_with_timeout(MAX_TIME, find).unwrap_or_default()
    }

    /// What the words before the cursor say, as far as clap understands them.
    fn parse_words(&self) -> ArgMatches {
        let command = self.command.clone().ignore_errors(true);
        let before = &self.words[..self.words.len() - 1];
        let parsed = command.try_get_matches_from(before);
        let mut matches = parsed.unwrap_or_default();
        while let Some((_, inner)) = matches.remove_subcommand() {
            matches = inner;
        }
        matches
    }
}

fn find_names(kind: NameKind, matches: &ArgMatches, typed: &str) -> Vec<KnownName> {
    if kind == NameKind::Profile {
        let files = AwsFiles::read();
        let names = files.profile_names();
        return names.iter().map(|it| KnownName::new(it, "")).collect();
    }
    let source = NameSource::open(matches);
    match (kind, text_argument(matches, "customer")) {
        (NameKind::Customer, _) => find_customers(source.as_ref(), typed),
        (NameKind::Version, Some(customer)) => find_versions(source.as_ref(), &customer),
        (NameKind::VersionOrLocal, customer) => {
            let mut names = vec![
                KnownName::new("latest", "the newest version"),
                KnownName::new("local", "the file on this machine"),
            ];
            if let Some(customer) = customer {
                names.extend(find_versions(source.as_ref(), &customer));
            }
            names
        }
        (NameKind::Deployment, Some(customer)) => match source {
            Some(source) => list_deployments(&source.cached_records(&customer)),
            None => Vec::new(),
        },
        (NameKind::Profile | NameKind::Version | NameKind::Deployment, _) => Vec::new(),
    }
}

fn text_argument(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.try_get_one::<String>(id).ok().flatten().cloned()
}

fn bucket_target(matches: &ArgMatches) -> Option<BucketTarget> {
    let text = |id| text_argument(matches, id);
    let config_file = matches.try_get_one::<PathBuf>("config_file");
    let args = BucketArgs {
        profile: text("profile"),
        config_file: config_file.ok().flatten().cloned(),
        bucket: text("bucket").unwrap_or_else(|| DEFAULT_BUCKET.to_owned()),
        bucket_region: text("bucket_region").unwrap_or_else(|| DEFAULT_BUCKET_REGION.to_owned()),
        expected_bucket_owner: text("expected_bucket_owner"),
    };
    args.resolve_target(&mut io::sink()).ok()
}

/// The bucket, and what this machine has of it.
struct NameSource {
    store: Arc<ObjectStore>,
    cache: Option<RecordCache>,
}

impl NameSource {
    /// Sends no request.
    fn open(matches: &ArgMatches) -> Option<Self> {
        let target = bucket_target(matches)?;
        let store = block_on(ObjectStore::open(&target, TIMEOUTS)).ok()?.ok()?;
        let folder = cache_dir();
        let location = folder.map(|it| CacheLocation::new(it, &store.bucket_identity()));
        let cache = location.and_then(|it| RecordCache::open_existing(&it).ok());
        Some(Self {
            store: Arc::new(store),
            cache,
        })
    }

    fn cached_customers(&self) -> Vec<String> {
        let segments = self.cache.as_ref().map(RecordCache::customer_segments);
        let segments = segments.and_then(Result::ok).unwrap_or_default();
        segments.iter().filter_map(|it| customer_of(it)).collect()
    }

    /// Newest first.
    fn cached_records(&self, customer: &str) -> Vec<ParsedRecord> {
        let mut records = Vec::new();
        let visit = |body: &[u8]| records.extend(parse_record(body));
        if let Some(cache) = &self.cache {
            let prefix = keys::record_keys_prefix(Some(customer));
            let _ = cache.for_newest_bodies(&prefix, MAX_RECORDS, visit);
        }
        records
    }

    fn listed_customers(&self) -> Vec<String> {
        if !self.store.needs_only_access_key() {
            return Vec::new();
        }
        let list = |prefix: &'static str| async move {
            let request = ListRequest {
                prefix: prefix.to_owned(),
                delimiter: "/",
                ..ListRequest::default()
            };
            // A reader of records need not be able to list configs.
            let folders = list_folders(&self.store, &request)
                .await
                .unwrap_or_default();
            let segments = folders.iter().filter_map(|it| it.strip_prefix(prefix));
            let names = segments.filter_map(|it| customer_of(it.trim_end_matches('/')));
            names.collect::<Vec<String>>()
        };
        let listed = block_on(async { tokio::join!(list(RECORDS_PREFIX), list(CONFIGS_PREFIX)) });
        match listed {
            Ok((mut names, more)) => {
                names.extend(more);
                names
            }
            Err(_) => Vec::new(),
        }
    }

    /// Newest first.
    fn listed_versions(&self, customer: &str) -> Vec<KnownName> {
        if !self.store.needs_only_access_key() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for folder in keys::customer_config_folders(customer) {
            let request = ListRequest {
                prefix: format!("{folder}{CONFIG_HISTORY_FOLDER}"),
                ..ListRequest::default()
            };
            let keys = block_on(list_first_keys(&self.store, &request, MAX_VERSION_PAGES));
            let keys = keys.and_then(|keys| keys).unwrap_or_default();
            found.extend(keys.iter().filter_map(|key| describe_version(key)));
        }
        found
    }
}

fn customer_of(segment: &str) -> Option<String> {
    keys::parse_customer_segment(&keys::canonical_segment(segment))
}

fn find_customers(source: Option<&NameSource>, typed: &str) -> Vec<KnownName> {
    let mut names = list_nearby_customers();
    if let Some(source) = source {
        names.extend(source.cached_customers());
        if !names.iter().any(|name| name.starts_with(typed)) {
            names.extend(source.listed_customers());
        }
    }
    names.sort();
    names.dedup();
    // It would be taken for an option.
    names.retain(|name| !name.starts_with('-'));
    names.iter().map(|it| KnownName::new(it, "")).collect()
}

fn find_versions(source: Option<&NameSource>, customer: &str) -> Vec<KnownName> {
    let Some(source) = source else {
        return Vec::new();
    };
    let mut versions = Vec::new();
    for record in source.cached_records(customer) {
        versions.extend(match describe_version(&record.backup_key) {
            Some(version) => Some(version),
            None => record
                .config_hash
                .get(..MD5_DIGITS)
                .map(|md5| KnownName::new(md5, "MD5")),
        });
    }
    if versions.is_empty() {
        versions = source.listed_versions(customer);
    }
    // Newest first, and behind them those that are known by their MD5 only.
    versions.sort_by(|a, b| b.cmp(a));
    versions.dedup();
    versions
}

/// A version by the time in its key.
fn describe_version(key: &str) -> Option<KnownName> {
    let version = ConfigVersionKey::parse(key)?;
    let help = format!("MD5 {}", version.md5.get(..MD5_DIGITS)?);
    let name = keys::format_timestamp(version.captured_at);
    Some(KnownName::new(&name, help))
}

fn list_deployments(records: &[ParsedRecord]) -> Vec<KnownName> {
    let mut names = Vec::new();
    for record in records {
        if !record.deployment_id.is_empty() {
            let help = record.deployed_at.map(format_rfc3339).unwrap_or_default();
            names.push(KnownName::new(&record.deployment_id, help));
        }
    }
    names
}

/// The customers of the folders around the current one that have our unit.
fn list_nearby_customers() -> Vec<String> {
    let mut customers = Vec::new();
    for base in NEARBY_FOLDERS.map(Path::new) {
        customers.extend(customer_of_folder(base));
        let entries = fs::read_dir(base).into_iter().flatten();
        for entry in entries.take(MAX_FOLDER_ENTRIES).flatten() {
            customers.extend(customer_of_folder(&entry.path()));
        }
    }
    customers
}

/// The customer of a folder with a `config.yaml` and our unit.
fn customer_of_folder(folder: &Path) -> Option<String> {
    if !folder.join(UNIT_FOLDER_NAME).is_dir() || !folder.join("config.yaml").is_file() {
        return None;
    }
    CustomerFolder::read(Some(folder)).customer_name()
}
