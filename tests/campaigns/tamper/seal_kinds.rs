//! Edits of seals, and edits after which digests are computed again.

use serde_json::json;

use super::EditKind;
use super::history::Deployment;
use super::sandbox::{SINGLE, SINGLE_BEFORE_LAPTOP};
use crate::md5_digest::md5_hex;

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
        it.edit_seal(SINGLE, "number", &json!(7));
    }),
    ("seal_key_edited", |it| {
        it.edit_seal(SINGLE, "key", &json!("usage-logs/x/y.json"));
    }),
    ("seal_deployment_edited", |it| {
        it.edit_seal(SINGLE, "deployment_id", &json!("x"));
    }),
    ("seal_digest_edited", |it| {
        it.edit_seal(SINGLE, "sha256", &json!("0".repeat(64)));
    }),
    ("seal_writer_edited", |it| {
        it.edit_seal(SINGLE, "writer", &json!("00"));
    }),
    ("seals_swapped", |it| {
        it.swap(&it.seal_of(4), &it.seal_of(SINGLE));
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
        it.delete_with_seal(SINGLE_BEFORE_LAPTOP);
    }),
    ("deleted_newest_with_seal", |it| {
        it.delete_with_seal(it.last());
    }),
    ("deleted_late_with_seal", |it| {
        it.delete_with_seal(it.late());
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
        it.recompute(|all| drop(all.remove(14)));
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
        it.recompute(|all| drop(all.pop()));
    }),
    ("customer_deleted", |it| it.objects.clear()),
    ("records_and_seals_deleted", |it| {
        it.objects
            .retain(|key, _| !key.starts_with("usage-logs/") && !key.contains("/usage-chain/"));
    }),
];
