//! Reads the objects of a customer and the spools of both machines, checks them, and returns them
//! as a [`ModelState`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::driver::ModelDriver;
use super::reference::{ModelState, RecordState, SpoolState, TimeAndId, UploadedConfig};
use test_support::terraform_steps::string_field;
use test_support::{BUCKET, JOHN_ARN, assert_no_secret, to_text};

/// The content number of an object, and its metadata.
type ObservedObject = (usize, BTreeMap<String, String>);

/// Reads the state of bucket and machines.
pub(crate) struct ModelObserver<'a, 'b>(pub(crate) &'a ModelDriver<'b>);

impl ModelObserver<'_, '_> {
    pub(crate) fn spool_dir(home: &Path) -> PathBuf {
        home.join(".local/state/config-backup/spool")
    }

    /// The complete state, or the problem of an object or file.
    pub(crate) fn read_state(&self) -> Result<ModelState, String> {
        Ok(ModelState {
            config: self.read_config()?,
            history: self.read_history()?,
            records: self
                .read_records()?
                .into_iter()
                .map(|(id, (record, _))| (id, record))
                .collect(),
            spools: [self.read_spool(0)?, self.read_spool(1)?],
        })
    }

    /// Checks that the copies named in records exist.
    pub(crate) fn check_copies(&self) -> Result<(), String> {
        for (id, (record, key)) in self.read_records()? {
            if self
                .read_object(&key)?
                .is_none_or(|(content, _)| content != record.content)
            {
                return Err(format!(
                    "the record of {id} names `{key}`, which is not there"
                ));
            }
        }
        Ok(())
    }

    /// The records of the customer, by key.
    fn record_bodies(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let server = &self.0.world.server;
        let mut bodies = Vec::new();
        for key in server.keys(BUCKET, &format!("usage-logs/{}/", self.0.customer)) {
            let object = server.object(BUCKET, &key).ok_or("an object went away")?;
            bodies.push((key, object.body));
        }
        Ok(bodies)
    }

    /// The times of the recorded deployments, by id.
    pub(crate) fn logged_times(&self) -> Result<BTreeMap<String, i64>, String> {
        let mut logged = BTreeMap::new();
        for (_, body) in self.record_bodies()? {
            let (_, id, value) = self.parse_record(&body)?;
            logged.insert(id, unix_seconds(string_field(&value, "timestamp")));
        }
        Ok(logged)
    }

    fn read_config(&self) -> Result<Option<UploadedConfig>, String> {
        let object = self.read_object(&format!("terragrunt/{}/config.yaml", self.0.customer))?;
        Ok(object.map(|(content, metadata)| {
            let said = |name: &str| metadata.get(name).cloned().unwrap_or_default();
            UploadedConfig {
                content,
                at: unix_seconds(&said("captured-at")),
                deployment: said("deployment-id"),
                backup_id: said("backup-id"),
            }
        }))
    }

    fn read_history(&self) -> Result<BTreeSet<usize>, String> {
        let prefix = format!("terragrunt/{}/config-history/", self.0.customer);
        let mut history = BTreeSet::new();
        for key in self.0.world.server.keys(BUCKET, &prefix) {
            let (content, _) = self.read_object(&key)?.ok_or("an object went away")?;
            if !key.ends_with(&format!("_{}.yaml", self.0.contents[content].1)) {
                return Err(format!("{key} holds content {content}"));
            }
            history.insert(content);
        }
        Ok(history)
    }

    /// The content number of an object and its metadata, whose digest must match.
    fn read_object(&self, key: &str) -> Result<Option<ObservedObject>, String> {
        let Some(object) = self.0.world.server.object(BUCKET, key) else {
            return Ok(None);
        };
        let content = self
            .content_of(&object.body)
            .ok_or_else(|| format!("{key} is torn: {:?}", to_text(&object.body)))?;
        if object.metadata.get("md5") != Some(&self.0.contents[content].1) {
            return Err(format!(
                "{key}: the metadata is not of its body: {:?}",
                object.metadata
            ));
        }
        assert_no_secret("metadata", &format!("{:?}", object.metadata));
        Ok(Some((content, object.metadata)))
    }

    fn content_of(&self, body: &[u8]) -> Option<usize> {
        self.0
            .contents
            .iter()
            .position(|(content, _)| content.as_bytes() == body)
    }

    fn read_records(&self) -> Result<BTreeMap<String, (RecordState, String)>, String> {
        let mut records = BTreeMap::new();
        for (key, body) in self.record_bodies()? {
            let (record, id, value) = self
                .parse_record(&body)
                .map_err(|what| format!("{key}: {what}"))?;
            if value["user"] != JOHN_ARN || value["customer"] != *self.0.customer {
                return Err(format!("{key} is of another user or customer: {value}"));
            }
            let copy = string_field(&value, "backup_key").to_owned();
            if records.insert(id, (record, copy)).is_some() {
                return Err(format!("a second record of one deployment: {key}"));
            }
        }
        Ok(records)
    }

    fn parse_record(&self, body: &[u8]) -> Result<(RecordState, String, Value), String> {
        assert_no_secret("a record", &to_text(body));
        let value: Value =
            serde_json::from_slice(body).map_err(|error| format!("no record: {error}"))?;
        let content = self
            .0
            .contents
            .iter()
            .position(|(_, md5)| value["config_hash"] == **md5)
            .ok_or("a record of no config of ours")?;
        let (backup, late) = (
            string_field(&value, "backup").to_owned(),
            value["late"] == true,
        );
        Ok((
            RecordState {
                content,
                backup,
                late,
            },
            string_field(&value, "deployment_id").to_owned(),
            value,
        ))
    }

    /// The spool of a machine.
    fn read_spool(&self, machine: usize) -> Result<SpoolState, String> {
        let spool = Self::spool_dir(&self.0.home_dir(machine));
        let mut kept = SpoolState::default();
        for (name, body) in read_files(&spool)
            .into_iter()
            .filter(|(name, _)| Path::new(name).extension().is_some_and(|it| it == "item"))
        {
            assert_no_secret("the name of a file", &name);
            if let Some(garbage) = garbage_of(&body) {
                kept.garbage.insert(garbage);
                kept.in_the_way += 1;
                continue;
            }
            self.parse_item(&mut kept, &name, &body)
                .map_err(|what| format!("{name}: {what}"))?;
        }
        let aside = read_files(&spool.with_file_name("quarantine"));
        kept.garbage
            .extend(aside.iter().filter_map(|(_, body)| garbage_of(body)));
        Ok(kept)
    }

    fn parse_item(&self, kept: &mut SpoolState, name: &str, file: &[u8]) -> Result<(), String> {
        let at = file
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("no header")?;
        let header: Value =
            serde_json::from_slice(&file[..at]).map_err(|error| format!("its header: {error}"))?;
        let body = &file[at + 1..];
        let when: TimeAndId = (
            unix_seconds(string_field(&header, "at")),
            string_field(&header, "deployment_id").to_owned(),
        );
        if name.contains("-config-") {
            let content = self.content_of(body).ok_or("it is torn")?;
            kept.configs.insert(
                when,
                (content, string_field(&header, "backup_id").to_owned()),
            );
        } else {
            let (record, id, _) = self.parse_record(body)?;
            if id != when.1 {
                return Err("it is of another deployment".to_owned());
            }
            kept.records.insert(when, record);
        }
        Ok(())
    }
}

/// The files of a folder; none if it is missing.
fn read_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("a file"),
            )
        })
        .collect()
}

/// The kind of a foreign file; `None` for a file of the helper.
fn garbage_of(body: &[u8]) -> Option<String> {
    let body = to_text(body);
    let (_, tail) = body.split_once("garbage-")?;
    Some(tail.chars().take_while(char::is_ascii_digit).collect())
}

/// An RFC 3339 time in seconds; 0 if it is invalid.
pub(crate) fn unix_seconds(time: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time).map_or(0, |time| time.timestamp())
}
