//! What is really there: the objects of a customer and what two machines keep, read and checked by themselves, as a [`State`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::driver::Stage;
use super::reference::{Record, Spool, State, Version, When};
use test_support::terraform_steps::string_field;
use test_support::{BUCKET, JOHN_ARN, assert_no_secret, to_text};

/// The content that an object holds, and its metadata.
type Object = (usize, BTreeMap<String, String>);

/// A look at a stage.
pub(crate) struct Look<'a, 'b>(pub(crate) &'a Stage<'b>);

impl Look<'_, '_> {
    /// Where the helper keeps things at a machine.
    pub(crate) fn spool(home: &Path) -> PathBuf {
        home.join(".local/state/config-backup/spool")
    }

    /// All there is, or what is wrong with an object or a file by itself.
    pub(crate) fn state(&self) -> Result<State, String> {
        Ok(State {
            config: self.config()?,
            history: self.history()?,
            records: self
                .records()?
                .into_iter()
                .map(|(id, (record, _))| (id, record))
                .collect(),
            spools: [self.kept(0)?, self.kept(1)?],
        })
    }

    /// That the copies which records name are there.
    pub(crate) fn check_copies(&self) -> Result<(), String> {
        for (id, (record, key)) in self.records()? {
            if self
                .object(&key)?
                .is_none_or(|(content, _)| content != record.content)
            {
                return Err(format!(
                    "the record of {id} names `{key}`, which is not there"
                ));
            }
        }
        Ok(())
    }

    /// When the deployments happened whose records are in the bucket, by their ids.
    pub(crate) fn logged(&self) -> Result<BTreeMap<String, i64>, String> {
        let mut logged = BTreeMap::new();
        for key in self
            .0
            .world
            .server
            .keys(BUCKET, &format!("usage-logs/{}/", self.0.customer))
        {
            let body = self
                .0
                .world
                .server
                .object(BUCKET, &key)
                .ok_or("an object went away")?
                .body;
            let (_, id, value) = self.record(&body)?;
            logged.insert(id, seconds(string_field(&value, "timestamp")));
        }
        Ok(logged)
    }

    fn config(&self) -> Result<Option<Version>, String> {
        let object = self.object(&format!("terragrunt/{}/config.yaml", self.0.customer))?;
        Ok(object.map(|(content, metadata)| {
            let said = |name: &str| metadata.get(name).cloned().unwrap_or_default();
            Version {
                content,
                at: seconds(&said("captured-at")),
                deployment: said("deployment-id"),
                backup_id: said("backup-id"),
            }
        }))
    }

    fn history(&self) -> Result<BTreeSet<usize>, String> {
        let prefix = format!("terragrunt/{}/config-history/", self.0.customer);
        let mut history = BTreeSet::new();
        for key in self.0.world.server.keys(BUCKET, &prefix) {
            let (content, _) = self.object(&key)?.ok_or("an object went away")?;
            if !key.ends_with(&format!("_{}.yaml", self.0.contents[content].1)) {
                return Err(format!("{key} holds content {content}"));
            }
            history.insert(content);
        }
        Ok(history)
    }

    /// The content that an object holds, and its metadata, whose digest must be of it.
    fn object(&self, key: &str) -> Result<Option<Object>, String> {
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

    /// The records in the bucket and the copies that they name.
    fn records(&self) -> Result<BTreeMap<String, (Record, String)>, String> {
        let mut records = BTreeMap::new();
        for key in self
            .0
            .world
            .server
            .keys(BUCKET, &format!("usage-logs/{}/", self.0.customer))
        {
            let body = self
                .0
                .world
                .server
                .object(BUCKET, &key)
                .ok_or("an object went away")?
                .body;
            let (record, id, value) = self
                .record(&body)
                .map_err(|what| format!("{key}: {what}"))?;
            if value["user"] != JOHN_ARN || value["customer"] != *self.0.customer {
                return Err(format!("{key} is of somebody else: {value}"));
            }
            let copy = string_field(&value, "backup_key").to_owned();
            if records.insert(id, (record, copy)).is_some() {
                return Err(format!("a second record of one deployment: {key}"));
            }
        }
        Ok(records)
    }

    fn record(&self, body: &[u8]) -> Result<(Record, String, Value), String> {
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
            Record {
                content,
                backup,
                late,
            },
            string_field(&value, "deployment_id").to_owned(),
            value,
        ))
    }

    /// What a machine keeps.
    fn kept(&self, machine: usize) -> Result<Spool, String> {
        let spool = Self::spool(&self.0.home(machine));
        let mut kept = Spool::default();
        for (name, body) in files(&spool)
            .into_iter()
            .filter(|(name, _)| Path::new(name).extension().is_some_and(|it| it == "item"))
        {
            assert_no_secret("the name of a file", &name);
            if let Some(garbage) = garbage(&body) {
                kept.garbage.insert(garbage);
                kept.in_the_way += 1;
                continue;
            }
            self.item(&mut kept, &name, &body)
                .map_err(|what| format!("{name}: {what}"))?;
        }
        let aside = files(&spool.with_file_name("quarantine"));
        kept.garbage
            .extend(aside.iter().filter_map(|(_, body)| garbage(body)));
        Ok(kept)
    }

    fn item(&self, kept: &mut Spool, name: &str, file: &[u8]) -> Result<(), String> {
        let at = file
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("no header")?;
        let header: Value =
            serde_json::from_slice(&file[..at]).map_err(|error| format!("its header: {error}"))?;
        let body = &file[at + 1..];
        let when: When = (
            seconds(string_field(&header, "at")),
            string_field(&header, "deployment_id").to_owned(),
        );
        if name.contains("-config-") {
            let content = self.content_of(body).ok_or("it is torn")?;
            kept.configs.insert(
                when,
                (content, string_field(&header, "backup_id").to_owned()),
            );
        } else {
            let (record, id, _) = self.record(body)?;
            if id != when.1 {
                return Err("it is of another deployment".to_owned());
            }
            kept.records.insert(when, record);
        }
        Ok(())
    }
}

/// The files of a folder, which need not be there.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
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

/// Which of the files that are not ours it is, if it is one.
fn garbage(body: &[u8]) -> Option<String> {
    let body = to_text(body);
    let (_, tail) = body.split_once("garbage-")?;
    Some(tail.chars().take_while(char::is_ascii_digit).collect())
}

/// A time of RFC 3339 in seconds; 0 for what is none.
pub(crate) fn seconds(time: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time).map_or(0, |time| time.timestamp())
}
