//! A customer's bucket in the hands of an attacker: what edits are made of.

use serde_json::{Value, json};

use super::history::{Deployment, History, Object, Objects, put_record, sha256_hex};

/// A customer's bucket in the hands of an attacker.
pub(super) struct Sandbox {
    pub(super) history: History,
    pub(super) objects: Objects,
    pub(super) now: u64,
}

/// A runner that another one follows; see [`History::new`].
pub(super) const SINGLE: usize = 17;
/// A runner that laptop A follows.
pub(super) const SINGLE_BEFORE_LAPTOP: usize = 23;

impl Sandbox {
    pub(super) fn new(customer: &str, now: u64) -> Self {
        let history = History::new(customer);
        let objects = history.render();
        Self {
            history,
            objects,
            now,
        }
    }

    pub(super) fn deployment(&self, index: usize) -> Deployment {
        self.history.deployments[index].clone()
    }

    pub(super) fn record_of(&self, index: usize) -> String {
        self.history.record_key(&self.deployment(index))
    }

    pub(super) fn seal_of(&self, index: usize) -> String {
        let writer = self.deployment(index).writer.expect("a chain");
        self.history.seal_key(&writer)
    }

    /// The records of laptop A, the first one first.
    pub(super) fn laptop(&self) -> Vec<usize> {
        let writer = self.deployment(4).writer;
        self.indices(|it| it.writer == writer)
    }

    pub(super) fn laptop_b(&self) -> Vec<usize> {
        let writer = self.deployment(7).writer;
        self.indices(|it| it.writer == writer)
    }

    pub(super) fn indices(&self, is_wanted: impl Fn(&Deployment) -> bool) -> Vec<usize> {
        let deployments = self.history.deployments.iter().enumerate();
        let wanted = deployments.filter(|(_, it)| is_wanted(it));
        wanted.map(|(index, _)| index).collect()
    }

    pub(super) fn last(&self) -> usize {
        self.history.deployments.len() - 1
    }

    pub(super) fn late(&self) -> usize {
        self.indices(|it| it.sent_at > it.at + 3600)[0]
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.objects.remove(key).expect("an object");
    }

    pub(super) fn body(&mut self, key: &str) -> &mut Vec<u8> {
        &mut self.objects.get_mut(key).expect("an object").body
    }

    pub(super) fn edit_record(&mut self, index: usize, edit: impl FnOnce(&mut Value)) {
        let key = self.record_of(index);
        let mut record: Value = serde_json::from_slice(self.body(&key)).expect("JSON");
        edit(&mut record);
        let now = self.now;
        put_record(
            &mut self.objects,
            &key,
            format!("{record}\n").into_bytes(),
            now,
        );
    }

    pub(super) fn set(&mut self, index: usize, pointer: &str, value: &Value) {
        self.edit_record(index, |record| {
            *record.pointer_mut(pointer).expect("the field") = value.clone();
        });
    }

    pub(super) fn edit_seal(&mut self, index: usize, name: &str, value: &Value) {
        let key = self.seal_of(index);
        let text = String::from_utf8(self.body(&key).clone()).expect("text");
        let seal: Value = serde_json::from_str(&text).expect("JSON");
        // The order of the fields stays.
        let edited = text.replace(&seal[name].to_string(), &value.to_string());
        assert_ne!(edited, text, "{name}");
        *self.body(&key) = edited.into_bytes();
    }

    /// Puts the seal of a chain on this record.
    pub(super) fn reseal(&mut self, index: usize) {
        let (deployment, key) = (self.deployment(index), self.record_of(index));
        let body = self.body(&key).clone();
        let record: Value = serde_json::from_slice(&body).expect("JSON");
        let number = record["chain"]["number"].as_u64().expect("a number");
        let head = (number, sha256_hex(&body));
        let history = self.history.clone();
        history.put_seal(&mut self.objects, &deployment, &head, &key);
    }

    /// Everything as if the history had been another one.
    pub(super) fn recompute(&mut self, change: impl FnOnce(&mut Vec<Deployment>)) {
        change(&mut self.history.deployments);
        let rendered = self.history.render();
        let legacy = |(key, _): &(&String, &Object)| !key.contains("/2026-");
        let legacy = self.objects.iter().filter(legacy);
        let mut objects: Objects = legacy
            .filter(|(key, _)| key.starts_with("usage-logs/"))
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        objects.extend(rendered);
        self.objects = objects;
    }

    pub(super) fn delete_with_seal(&mut self, index: usize) {
        let (record, seal) = (self.record_of(index), self.seal_of(index));
        self.delete(&record);
        self.delete(&seal);
    }

    /// Adds a record of another person at this time.
    pub(super) fn forge(&mut self, at: u64, edit: impl FnOnce(&mut Value)) -> (Deployment, String) {
        // With the config of that time.
        let before = self.indices(|it| it.at < at).pop().unwrap_or_default();
        let deployment = Deployment {
            at,
            sent_at: at,
            writer: Some("f0f0f0f0f0f0f0f0".to_owned()),
            user: "somebody.else".to_owned(),
            uploads: false,
            ..self.deployment(before)
        };
        let chain = json!({"writer": deployment.writer, "number": 1, "previous": ""});
        let mut record = self.history.record(&deployment, &chain);
        edit(&mut record);
        let key = self.history.record_key(&deployment);
        let body = format!("{record}\n").into_bytes();
        put_record(&mut self.objects, &key, body, self.now);
        (deployment, key)
    }

    pub(super) fn forge_sealed(&mut self, at: u64, edit: impl FnOnce(&mut Value)) {
        let (deployment, key) = self.forge(at, edit);
        let head = (1, sha256_hex(self.body(&key)));
        let history = self.history.clone();
        history.put_seal(&mut self.objects, &deployment, &head, &key);
    }

    pub(super) fn past(&self) -> u64 {
        self.deployment(SINGLE).at + 1234
    }

    /// Before the first record of a chain.
    pub(super) fn before_chains(&self) -> u64 {
        self.deployment(3).at - 1234
    }

    pub(super) fn legacy(&self) -> Vec<String> {
        let keys = self.objects.keys();
        let legacy = keys.filter(|key| key.starts_with("usage-logs/") && !key.contains("/2026-"));
        legacy.cloned().collect()
    }

    pub(super) fn copies(&self) -> Vec<String> {
        let keys = self.objects.keys();
        keys.filter(|key| key.contains("/config-history/"))
            .cloned()
            .collect()
    }

    pub(super) fn set_metadata(&mut self, key: &str, name: &str, value: Option<&str>) {
        let metadata = &mut self.objects.get_mut(key).expect("an object").metadata;
        metadata.retain(|(it, _)| it != name);
        metadata.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    pub(super) fn swap(&mut self, a: &str, b: &str) {
        let (left, right) = (self.objects[a].clone(), self.objects[b].clone());
        assert_ne!(left.body, right.body);
        self.objects.insert(a.to_owned(), right);
        self.objects.insert(b.to_owned(), left);
    }

    pub(super) fn older_config(&self) -> Object {
        self.objects[&self.copies()[2]].clone()
    }
}
