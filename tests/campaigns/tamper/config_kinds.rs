//! Edits of `config.yaml`, of its copies, and of their metadata.

use test_support::oracle::format_rfc3339;

use super::EditKind;
use super::history::{COLLISION, Deployment, config_object, deployment_id, sha256_hex};
use super::sandbox::SINGLE;
use crate::md5_digest::md5_hex;

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
        let object = config_object(&forged, it.now);
        it.objects.insert(it.history.copy_key(&forged), object);
    }),
    ("copy_metadata_without_md5", |it| {
        it.set_metadata(&it.copies()[1], "md5", None);
    }),
    ("copy_metadata_without_sha256", |it| {
        it.set_metadata(&it.copies()[1], "sha256", None);
    }),
    ("copy_metadata_without_time", |it| {
        it.set_metadata(&it.copies()[1], "captured-at", None);
    }),
    ("copy_metadata_without_deployment", |it| {
        it.set_metadata(&it.copies()[1], "deployment-id", None);
    }),
    ("copy_metadata_of_another_time", |it| {
        it.set_metadata(&it.copies()[1], "captured-at", Some("2026-10-01T00:00:00Z"));
    }),
    ("copy_metadata_of_another_deployment", |it| {
        let other = deployment_id(&it.deployment(12));
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
        let object = config_object(&forged, it.now);
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
        let other = deployment_id(&it.deployment(SINGLE));
        it.set_metadata(&it.history.config_key(), "deployment-id", Some(&other));
    }),
];
