//! The kinds of edits, each of one customer.

use serde_json::{Value, json};

use test_support::oracle::{format_rfc3339, key_timestamp};

use super::history::{
    COLLISION, Deployment, History, Object, Objects, config_metadata, put_record, sha256_hex,
};
use crate::md5_digest::md5_hex;

/// A customer's bucket in the hands of an attacker.
pub(super) struct Sandbox {
    pub(super) history: History,
    pub(super) objects: Objects,
    pub(super) now: u64,
}

pub(super) type EditKind = (&'static str, fn(&mut Sandbox));

/// A runner that another one follows; see [`History::new`].
const SINGLE: usize = 17;
/// A runner that laptop A follows.
const SINGLE_BEFORE_LAPTOP: usize = 23;

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

    fn deployment(&self, index: usize) -> Deployment {
        self.history.deployments[index].clone()
    }

    fn record_of(&self, index: usize) -> String {
        self.history.record_key(&self.deployment(index))
    }

    fn seal_of(&self, index: usize) -> String {
        let writer = self.deployment(index).writer.expect("a chain");
        self.history.seal_key(&writer)
    }

    /// The records of laptop A, the first one first.
    fn laptop(&self) -> Vec<usize> {
        let writer = self.deployment(4).writer;
        self.indices(|it| it.writer == writer)
    }

    fn laptop_b(&self) -> Vec<usize> {
        let writer = self.deployment(7).writer;
        self.indices(|it| it.writer == writer)
    }

    fn indices(&self, is_wanted: impl Fn(&Deployment) -> bool) -> Vec<usize> {
        let deployments = self.history.deployments.iter().enumerate();
        let wanted = deployments.filter(|(_, it)| is_wanted(it));
        wanted.map(|(index, _)| index).collect()
    }

    fn last(&self) -> usize {
        self.history.deployments.len() - 1
    }

    fn late(&self) -> usize {
        self.indices(|it| it.sent_at > it.at + 3600)[0]
    }

    fn delete(&mut self, key: &str) {
        self.objects.remove(key).expect("an object");
    }

    fn body(&mut self, key: &str) -> &mut Vec<u8> {
        &mut self.objects.get_mut(key).expect("an object").body
    }

    fn edit_record(&mut self, index: usize, edit: impl FnOnce(&mut Value)) {
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

    fn set(&mut self, index: usize, pointer: &str, value: &Value) {
        self.edit_record(index, |record| {
            *record.pointer_mut(pointer).expect("the field") = value.clone();
        });
    }

    fn edit_seal(&mut self, index: usize, name: &str, value: &Value) {
        let key = self.seal_of(index);
        let text = String::from_utf8(self.body(&key).clone()).expect("text");
        let seal: Value = serde_json::from_str(&text).expect("JSON");
        // The order of the fields stays.
        let edited = text.replace(&seal[name].to_string(), &value.to_string());
        assert_ne!(edited, text, "{name}");
        *self.body(&key) = edited.into_bytes();
    }

    /// Puts the seal of a chain on this record.
    fn reseal(&mut self, index: usize) {
        let (deployment, key) = (self.deployment(index), self.record_of(index));
        let body = self.body(&key).clone();
        let record: Value = serde_json::from_slice(&body).expect("JSON");
        let number = record["chain"]["number"].as_u64().expect("a number");
        let head = (number, sha256_hex(&body));
        let history = self.history.clone();
        history.put_seal(&mut self.objects, &deployment, &head, &key);
    }

    /// Everything as if the history had been another one.
    fn recompute(&mut self, change: impl FnOnce(&mut Vec<Deployment>)) {
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

    fn delete_with_seal(&mut self, index: usize) {
        let (record, seal) = (self.record_of(index), self.seal_of(index));
        self.delete(&record);
        self.delete(&seal);
    }

    /// Adds a record of another person at this time.
    fn forge(&mut self, at: u64, edit: impl FnOnce(&mut Value)) -> (Deployment, String) {
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
        let mut record = self.history.record(&deployment, chain);
        edit(&mut record);
        let key = self.history.record_key(&deployment);
        let body = format!("{record}\n").into_bytes();
        put_record(&mut self.objects, &key, body, self.now);
        (deployment, key)
    }

    fn forge_sealed(&mut self, at: u64, edit: impl FnOnce(&mut Value)) {
        let (deployment, key) = self.forge(at, edit);
        let head = (1, sha256_hex(self.body(&key)));
        let history = self.history.clone();
        history.put_seal(&mut self.objects, &deployment, &head, &key);
    }

    fn past(&self) -> u64 {
        self.deployment(SINGLE).at + 1234
    }

    /// Before the first record of a chain.
    fn before_chains(&self) -> u64 {
        self.deployment(3).at - 1234
    }

    fn legacy(&self) -> Vec<String> {
        let keys = self.objects.keys();
        let legacy = keys.filter(|key| key.starts_with("usage-logs/") && !key.contains("/2026-"));
        legacy.cloned().collect()
    }

    fn copies(&self) -> Vec<String> {
        let keys = self.objects.keys();
        keys.filter(|key| key.contains("/config-history/"))
            .cloned()
            .collect()
    }

    fn set_metadata(&mut self, key: &str, name: &str, value: Option<&str>) {
        let metadata = &mut self.objects.get_mut(key).expect("an object").metadata;
        metadata.retain(|(it, _)| it != name);
        metadata.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    fn swap(&mut self, a: &str, b: &str) {
        let (left, right) = (self.objects[a].clone(), self.objects[b].clone());
        assert_ne!(left.body, right.body);
        self.objects.insert(a.to_owned(), right);
        self.objects.insert(b.to_owned(), left);
    }

    fn older_config(&self) -> Object {
        self.objects[&self.copies()[2]].clone()
    }
}

/// One record or more, without a change to anything else.
pub(super) const RECORD_KINDS: &[EditKind] = &[
    ("record_user_edited_first_of_chain", |it| {
        it.set(it.laptop()[0], "/user", &json!("x"))
    }),
    ("record_user_edited_in_chain", |it| {
        it.set(it.laptop()[3], "/user", &json!("x"))
    }),
    ("record_user_edited_last_of_chain", |it| {
        it.set(*it.laptop().last().expect("it"), "/user", &json!("x"));
    }),
    ("record_user_edited_single", |it| {
        it.set(SINGLE, "/user", &json!("x"))
    }),
    ("record_user_edited_late", |it| {
        it.set(it.late(), "/user", &json!("x"))
    }),
    ("record_time_edited", |it| {
        it.set(SINGLE, "/timestamp", &json!("2026-10-01T00:00:00Z"))
    }),
    ("record_time_removed", |it| {
        it.set(SINGLE, "/timestamp", &json!(""))
    }),
    ("record_customer_edited", |it| {
        it.set(SINGLE, "/customer", &json!("other"))
    }),
    ("record_config_hash_edited", |it| {
        it.set(SINGLE, "/config_hash", &json!("0".repeat(32)))
    }),
    ("record_config_sha256_edited", |it| {
        it.set(SINGLE, "/config_sha256", &json!("0".repeat(64)));
    }),
    ("record_backup_key_points_to_older", |it| {
        let older = json!(it.copies()[0]);
        it.set(SINGLE, "/backup_key", &older);
    }),
    ("record_backup_failed", |it| {
        it.set(SINGLE, "/backup", &json!("failed"))
    }),
    ("record_late_added", |it| {
        it.edit_record(SINGLE, |record| record["late"] = json!(true))
    }),
    ("record_chain_removed", |it| {
        it.edit_record(SINGLE, |record| {
            drop(record.as_object_mut().expect("it").remove("chain"))
        });
    }),
    ("record_number_raised", |it| {
        it.set(it.laptop()[3], "/chain/number", &json!(9))
    }),
    ("record_writer_edited", |it| {
        it.set(it.laptop()[3], "/chain/writer", &json!("00"))
    }),
    ("record_newest_removed", |it| {
        it.edit_record(SINGLE, |record| {
            drop(
                record["chain"]
                    .as_object_mut()
                    .expect("it")
                    .remove("newest"),
            );
        });
    }),
    ("record_reformatted", |it| {
        let key = it.record_of(SINGLE);
        it.body(&key).push(b'\n');
    }),
    ("record_truncated", |it| {
        let key = it.record_of(SINGLE);
        it.body(&key).truncate(100);
    }),
    ("record_emptied", |it| {
        let key = it.record_of(SINGLE);
        it.body(&key).clear();
    }),
    ("record_not_json", |it| {
        let key = it.record_of(SINGLE);
        *it.body(&key) = b"[1]\n".to_vec();
    }),
    ("records_swapped", |it| {
        it.swap(&it.record_of(SINGLE), &it.record_of(8))
    }),
    ("record_copied", |it| {
        let copied = it.objects[&it.record_of(SINGLE)].clone();
        let stamp = key_timestamp(&format_rfc3339(it.past()));
        let key = format!("usage-logs/{}/{stamp}.json", it.history.customer);
        it.objects.insert(key, copied);
    }),
    ("record_moved", |it| {
        let key = it.record_of(SINGLE);
        let moved = it.objects.remove(&key).expect("it");
        it.objects
            .insert(key.replace(".json", "-00000000.json"), moved);
    }),
    ("record_deleted_first_of_chain", |it| {
        it.delete(&it.record_of(it.laptop()[0]))
    }),
    ("record_deleted_in_chain", |it| {
        it.delete(&it.record_of(it.laptop()[3]))
    }),
    ("record_deleted_last_of_chain", |it| {
        it.delete(&it.record_of(*it.laptop().last().expect("it")));
    }),
    ("record_deleted_single", |it| {
        it.delete(&it.record_of(SINGLE))
    }),
    ("record_deleted_newest", |it| {
        it.delete(&it.record_of(it.last()))
    }),
    ("record_deleted_late", |it| {
        it.delete(&it.record_of(it.late()))
    }),
    ("record_metadata_removed", |it| {
        let key = it.record_of(SINGLE);
        it.objects.get_mut(&key).expect("it").metadata.clear();
    }),
];

/// Records that nobody wrote.
pub(super) const FORGED_KINDS: &[EditKind] = &[
    ("forged_without_chain_now", |it| {
        it.forge(it.now - 60, |record| record["chain"] = Value::Null);
    }),
    ("forged_without_chain_earlier", |it| {
        it.forge(it.before_chains(), |record| record["chain"] = Value::Null);
    }),
    ("forged_without_time", |it| {
        it.forge(it.past(), |record| {
            record["chain"] = Value::Null;
            record["timestamp"] = json!("");
            record["deployment_id"] = json!("");
        });
    }),
    ("forged_with_chain_without_seal", |it| {
        drop(it.forge(it.past(), |_| ()))
    }),
    ("forged_behind_a_chain", |it| {
        let last = *it.laptop().last().expect("it");
        let (writer, key) = (it.deployment(last).writer, it.record_of(last));
        let previous = sha256_hex(it.body(&key));
        it.forge(it.now - 60, |record| {
            record["chain"] = json!({"writer": writer, "number": 7, "previous": previous});
        });
    }),
    ("forged_in_place_of_a_record", |it| {
        let at = it.deployment(SINGLE).at;
        it.forge(at, |_| ());
    }),
    ("forged_with_seal_now", |it| {
        it.forge_sealed(it.now - 60, |_| ())
    }),
    ("forged_with_seal_earlier", |it| {
        it.forge_sealed(it.past(), |_| ())
    }),
    ("forged_with_seal_late", |it| {
        it.forge_sealed(it.past(), |record| record["late"] = json!(true));
    }),
    ("legacy_forged_now", |it| {
        forge_legacy(it, &format_rfc3339(it.now - 60))
    }),
    ("legacy_forged_earlier", |it| {
        forge_legacy(it, &format_rfc3339(it.before_chains()))
    }),
    ("legacy_forged_without_time", |it| forge_legacy(it, "")),
    ("legacy_edited", |it| {
        let key = &it.legacy()[0];
        let text = String::from_utf8(it.body(key).clone()).expect("text");
        *it.body(key) = text.replace("legacy", "someone").into_bytes();
    }),
    ("legacy_deleted", |it| it.delete(&it.legacy()[0])),
    ("legacies_swapped", |it| {
        let keys = it.legacy();
        it.swap(&keys[0], &keys[1]);
    }),
];

fn forge_legacy(it: &mut Sandbox, timestamp: &str) {
    let md5 = md5_hex(b"forged");
    let customer = &it.history.customer;
    let record =
        json!({"timestamp": timestamp, "customer": customer, "user": "x", "config_hash": md5});
    let key = format!("usage-logs/{customer}/{md5}.json");
    put_record(
        &mut it.objects,
        &key,
        record.to_string().into_bytes(),
        it.now,
    );
}

pub(super) const SEAL_KINDS: &[EditKind] = &[
    ("seal_deleted", |it| it.delete(&it.seal_of(4))),
    ("seal_deleted_single", |it| it.delete(&it.seal_of(SINGLE))),
    ("seal_emptied", |it| {
        let key = it.seal_of(4);
        it.body(&key).clear();
    }),
    ("seal_of_before", |it| {
        let laptop = it.laptop();
        it.reseal(laptop[laptop.len() - 2]);
    }),
    ("seal_number_edited", |it| {
        it.edit_seal(SINGLE, "number", &json!(7))
    }),
    ("seal_key_edited", |it| {
        it.edit_seal(SINGLE, "key", &json!("usage-logs/x/y.json"))
    }),
    ("seal_deployment_edited", |it| {
        it.edit_seal(SINGLE, "deployment_id", &json!("x"))
    }),
    ("seal_digest_edited", |it| {
        it.edit_seal(SINGLE, "sha256", &json!("0".repeat(64)))
    }),
    ("seal_writer_edited", |it| {
        it.edit_seal(SINGLE, "writer", &json!("00"))
    }),
    ("seals_swapped", |it| {
        it.swap(&it.seal_of(4), &it.seal_of(SINGLE))
    }),
    ("seal_copied", |it| {
        let copied = it.objects[&it.seal_of(SINGLE)].clone();
        let key = it.history.seal_key("0123456789abcdef");
        it.objects.insert(key, copied);
    }),
    ("seal_metadata_removed", |it| {
        let key = it.seal_of(SINGLE);
        it.objects.get_mut(&key).expect("it").metadata.clear();
    }),
    ("deleted_single_with_seal", |it| it.delete_with_seal(14)),
    ("deleted_single_with_seal_before_a_laptop", |it| {
        it.delete_with_seal(SINGLE_BEFORE_LAPTOP)
    }),
    ("deleted_newest_with_seal", |it| {
        it.delete_with_seal(it.last())
    }),
    ("deleted_late_with_seal", |it| {
        it.delete_with_seal(it.late())
    }),
    ("deleted_most_singles_with_seals", |it| {
        let laptops = [it.deployment(4).writer, it.deployment(7).writer, None];
        let singles = it.indices(|it| !laptops.contains(&it.writer));
        for index in &singles[4..singles.len() - 2] {
            it.delete_with_seal(*index);
        }
    }),
    ("deleted_chain_with_seal", |it| {
        it.delete(&it.seal_of(7));
        for index in it.laptop_b() {
            it.delete(&it.record_of(index));
        }
    }),
    ("deleted_last_and_resealed", |it| {
        let chain = it.laptop_b();
        it.delete(&it.record_of(chain[2]));
        it.reseal(chain[1]);
    }),
    ("edited_last_and_resealed", |it| {
        let last = *it.laptop().last().expect("it");
        it.set(last, "/user", &json!("x"));
        it.reseal(last);
    }),
    ("edited_single_and_resealed", |it| {
        it.set(SINGLE, "/user", &json!("x"));
        it.reseal(SINGLE);
    }),
    ("backup_key_edited_and_resealed", |it| {
        let older = json!(it.copies()[0]);
        it.set(SINGLE, "/backup_key", &older);
        it.reseal(SINGLE);
    }),
    ("config_hash_edited_and_resealed", |it| {
        let older = it.objects[&it.copies()[0]].body.clone();
        it.set(SINGLE, "/config_hash", &json!(md5_hex(&older)));
        it.reseal(SINGLE);
    }),
];

/// Everything that follows is computed again.
pub(super) const RECOMPUTED_KINDS: &[EditKind] = &[
    ("recomputed_chain_with_another_user", |it| {
        let chain = it.laptop_b();
        it.recompute(|all| {
            for index in chain {
                "somebody.else".clone_into(&mut all[index].user);
            }
        });
    }),
    ("recomputed_without_the_first_of_a_chain", |it| {
        let first = it.laptop_b()[0];
        it.recompute(|all| drop(all.remove(first)));
    }),
    ("recomputed_without_one_single", |it| {
        it.recompute(|all| drop(all.remove(14)))
    }),
    ("recomputed_with_another_user", |it| {
        it.recompute(|all| {
            for deployment in all {
                deployment.user = deployment.user.replace("john.doe", "somebody.else");
            }
        });
    }),
    ("recomputed_with_two_times_exchanged", |it| {
        it.recompute(|all| {
            let user = all[16].user.clone();
            all[16].user = std::mem::replace(&mut all[17].user, user);
        });
    }),
    ("recomputed_with_one_more", |it| {
        it.recompute(|all| {
            let added = Deployment {
                at: all[20].at + 777,
                sent_at: all[20].at + 779,
                writer: Some("abcdefabcdefabcd".to_owned()),
                uploads: false,
                ..all[20].clone()
            };
            all.insert(21, added);
        });
    }),
    ("rolled_back", |it| it.recompute(|all| all.truncate(16))),
    ("rolled_back_by_one", |it| {
        it.recompute(|all| drop(all.pop()))
    }),
    ("customer_deleted", |it| it.objects.clear()),
    ("records_and_seals_deleted", |it| {
        it.objects
            .retain(|key, _| !key.starts_with("usage-logs/") && !key.contains("/usage-chain/"));
    }),
];

pub(super) const CONFIG_KINDS: &[EditKind] = &[
    ("copy_edited", |it| {
        let key = &it.copies()[1];
        it.body(key).push(b'#');
    }),
    ("copy_edited_with_metadata", |it| {
        let key = it.copies()[0].clone();
        it.body(&key).push(b'#');
        let body = it.body(&key).clone();
        it.set_metadata(&key, "md5", Some(&md5_hex(&body)));
        it.set_metadata(&key, "sha256", Some(&sha256_hex(&body)));
    }),
    ("copy_replaced_by_same_md5", |it| {
        let other = hex::decode(COLLISION[1].replace([' ', '\n'], "")).expect("hex");
        let md5 = md5_hex(&other);
        let copies = it.copies();
        let key = copies.iter().find(|key| key.contains(&md5)).expect("it");
        it.set_metadata(key, "sha256", Some(&sha256_hex(&other)));
        *it.body(key) = other;
    }),
    ("copies_swapped", |it| {
        let copies = it.copies();
        it.swap(&copies[0], &copies[1]);
    }),
    ("copy_deleted", |it| it.delete(&it.copies()[1])),
    ("copy_renamed", |it| {
        let key = it.copies()[1].clone();
        let copy = it.objects.remove(&key).expect("it");
        it.objects.insert(key.replacen("0000_", "0001_", 1), copy);
    }),
    ("copy_made_up", |it| {
        let forged = Deployment {
            config: b"forged".to_vec(),
            ..it.deployment(SINGLE)
        };
        let object = Object {
            body: forged.config.clone(),
            metadata: config_metadata(&forged),
            modified: it.now,
        };
        it.objects.insert(it.history.copy_key(&forged), object);
    }),
    ("copy_metadata_without_md5", |it| {
        it.set_metadata(&it.copies()[1], "md5", None)
    }),
    ("copy_metadata_without_sha256", |it| {
        it.set_metadata(&it.copies()[1], "sha256", None)
    }),
    ("copy_metadata_without_time", |it| {
        it.set_metadata(&it.copies()[1], "captured-at", None)
    }),
    ("copy_metadata_without_deployment", |it| {
        it.set_metadata(&it.copies()[1], "deployment-id", None);
    }),
    ("copy_metadata_of_another_time", |it| {
        it.set_metadata(&it.copies()[1], "captured-at", Some("2026-10-01T00:00:00Z"));
    }),
    ("copy_metadata_of_another_deployment", |it| {
        let other = super::history::deployment_id(&it.deployment(12));
        it.set_metadata(&it.copies()[1], "deployment-id", Some(&other));
    }),
    ("copy_metadata_of_an_unknown_deployment", |it| {
        it.set_metadata(&it.copies()[1], "deployment-id", Some("x"));
    }),
    ("copy_metadata_with_another_backup_id", |it| {
        it.set_metadata(&it.copies()[1], "backup-id", Some("x"));
    }),
    ("config_deleted", |it| it.delete(&it.history.config_key())),
    ("config_edited", |it| {
        let key = it.history.config_key();
        it.body(&key).push(b'#');
    }),
    ("config_replaced", |it| {
        let forged = Deployment {
            at: it.now - 60,
            config: b"forged".to_vec(),
            ..it.deployment(SINGLE)
        };
        let object = Object {
            body: forged.config.clone(),
            metadata: config_metadata(&forged),
            modified: it.now,
        };
        it.objects.insert(it.history.config_key(), object);
    }),
    ("config_rolled_back", |it| {
        it.objects
            .insert(it.history.config_key(), it.older_config());
    }),
    ("config_rolled_back_without_metadata", |it| {
        let mut older = it.older_config();
        older.metadata.clear();
        it.objects.insert(it.history.config_key(), older);
    }),
    ("config_rolled_back_with_time_of_now", |it| {
        let mut older = it.older_config();
        older.metadata.retain(|(name, _)| name != "captured-at");
        let now = format_rfc3339(it.now - 60);
        older.metadata.push(("captured-at".to_owned(), now));
        it.objects.insert(it.history.config_key(), older);
    }),
    ("config_metadata_removed", |it| {
        let key = it.history.config_key();
        it.objects.get_mut(&key).expect("it").metadata.clear();
    }),
    ("config_metadata_of_another_deployment", |it| {
        let other = super::history::deployment_id(&it.deployment(SINGLE));
        it.set_metadata(&it.history.config_key(), "deployment-id", Some(&other));
    }),
];
