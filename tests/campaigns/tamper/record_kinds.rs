//! Edits of records, and records that were forged.

use serde_json::{Value, json};
use test_support::oracle::{format_rfc3339, key_timestamp};

use super::EditKind;
use super::history::{put_record, sha256_hex};
use super::sandbox::{SINGLE, Sandbox};
use crate::md5_digest::md5_hex;

/// One record or more, without a change to anything else.
pub(super) const RECORD_KINDS: &[EditKind] = &[
    ("record_user_edited_first_of_chain", |it| {
        it.set(it.laptop()[0], "/user", &json!("x"));
    }),
    ("record_user_edited_in_chain", |it| {
        it.set(it.laptop()[3], "/user", &json!("x"));
    }),
    ("record_user_edited_last_of_chain", |it| {
        it.set(*it.laptop().last().expect("it"), "/user", &json!("x"));
    }),
    ("record_user_edited_single", |it| {
        it.set(SINGLE, "/user", &json!("x"));
    }),
    ("record_user_edited_late", |it| {
        it.set(it.late(), "/user", &json!("x"));
    }),
    ("record_time_edited", |it| {
        it.set(SINGLE, "/timestamp", &json!("2026-10-01T00:00:00Z"));
    }),
    ("record_time_removed", |it| {
        it.set(SINGLE, "/timestamp", &json!(""));
    }),
    ("record_customer_edited", |it| {
        it.set(SINGLE, "/customer", &json!("other"));
    }),
    ("record_config_hash_edited", |it| {
        it.set(SINGLE, "/config_hash", &json!("0".repeat(32)));
    }),
    ("record_config_sha256_edited", |it| {
        it.set(SINGLE, "/config_sha256", &json!("0".repeat(64)));
    }),
    ("record_backup_key_points_to_older", |it| {
        let older = json!(it.copies()[0]);
        it.set(SINGLE, "/backup_key", &older);
    }),
    ("record_backup_failed", |it| {
        it.set(SINGLE, "/backup", &json!("failed"));
    }),
    ("record_late_added", |it| {
        it.edit_record(SINGLE, |record| record["late"] = json!(true));
    }),
    ("record_chain_removed", |it| {
        it.edit_record(SINGLE, |record| {
            drop(record.as_object_mut().expect("it").remove("chain"));
        });
    }),
    ("record_number_raised", |it| {
        it.set(it.laptop()[3], "/chain/number", &json!(9));
    }),
    ("record_writer_edited", |it| {
        it.set(it.laptop()[3], "/chain/writer", &json!("00"));
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
        it.swap(&it.record_of(SINGLE), &it.record_of(8));
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
        it.delete(&it.record_of(it.laptop()[0]));
    }),
    ("record_deleted_in_chain", |it| {
        it.delete(&it.record_of(it.laptop()[3]));
    }),
    ("record_deleted_last_of_chain", |it| {
        it.delete(&it.record_of(*it.laptop().last().expect("it")));
    }),
    ("record_deleted_single", |it| {
        it.delete(&it.record_of(SINGLE));
    }),
    ("record_deleted_newest", |it| {
        it.delete(&it.record_of(it.last()));
    }),
    ("record_deleted_late", |it| {
        it.delete(&it.record_of(it.late()));
    }),
    ("record_metadata_removed", |it| {
        let key = it.record_of(SINGLE);
        it.objects.get_mut(&key).expect("it").metadata.clear();
    }),
];

/// Records that were forged.
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
        drop(it.forge(it.past(), |_| ()));
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
        it.forge_sealed(it.now - 60, |_| ());
    }),
    ("forged_with_seal_earlier", |it| {
        it.forge_sealed(it.past(), |_| ());
    }),
    ("forged_with_seal_late", |it| {
        it.forge_sealed(it.past(), |record| record["late"] = json!(true));
    }),
    ("legacy_forged_now", |it| {
        forge_legacy(it, &format_rfc3339(it.now - 60));
    }),
    ("legacy_forged_earlier", |it| {
        forge_legacy(it, &format_rfc3339(it.before_chains()));
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
