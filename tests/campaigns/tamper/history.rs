//! What helpers write over two months, as objects of a bucket, with all that an attacker who knows it
//! can compute again.
//!
//! One customer with two laptops, CI runners that begin without a state each, a late record, and
//! records of the legacy module before.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use test_support::oracle::{format_rfc3339, key_timestamp};

use crate::md5_digest::md5_hex;

/// 2026-09-20T08:00:00Z.
const BEGIN: u64 = 1_789_891_200;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Two different texts with the same MD5, by X. Wang and H. Yu, 2004.
pub(super) const COLLISION: [&str; 2] = [
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a\
     085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0\
     e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70",
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a\
     085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0\
     e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) body: Vec<u8>,
    pub(super) metadata: Vec<(String, String)>,
    /// Unix time, as S3 knows it.
    pub(super) modified: u64,
}

pub(super) type Objects = BTreeMap<String, Object>;

/// One deployment.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) at: u64,
    pub(super) sent_at: u64,
    /// The chain; `None` for the legacy module.
    pub(super) writer: Option<String>,
    pub(super) user: String,
    pub(super) config: Vec<u8>,
    /// Whether it uploaded a copy of its config.
    pub(super) uploads: bool,
}

/// The deployments of a customer, in the order of their times.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) customer: String,
    pub(super) deployments: Vec<Deployment>,
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn writer_id(customer: &str, name: &str) -> String {
    sha256_hex(format!("{customer} {name}").as_bytes())[..16].to_owned()
}

pub(super) fn config_content(customer: &str, number: u64) -> Vec<u8> {
    if number == 1 {
        return hex::decode(COLLISION[0].replace([' ', '\n'], "")).expect("hex");
    }
    format!("customer: {{ name: {customer} }}\nsize: {number}\n").into_bytes()
}

impl History {
    /// Who deployed when. The last deployment is one of a runner.
    pub(super) fn new(customer: &str) -> Self {
        let mut deployments = Vec::new();
        let mut last_config = None;
        for number in 0..27_u64 {
            let at = BEGIN + number * 53 * HOUR;
            let (writer, user) = match number {
                0..3 => (None, "legacy"),
                // It changes no config, and laptop A always follows it.
                7 | 11 | 19 => (Some("laptop b".to_owned()), "jane.roe"),
                _ if number % 4 == 0 => (Some("laptop a".to_owned()), "john.doe"),
                _ => (Some(format!("runner {number}")), "ci"),
            };
            let size = if number < 3 {
                100 + number
            } else {
                number / 5 % 4
            };
            let uploads = writer.is_some() && last_config != Some(size);
            if writer.is_some() {
                last_config = Some(size);
            }
            let late = if number == 13 { 5 * DAY } else { 0 };
            deployments.push(Deployment {
                at,
                sent_at: at + 2 + late,
                writer: writer.map(|name| writer_id(customer, &name)),
                user: user.to_owned(),
                config: config_content(customer, size),
                uploads,
            });
        }
        Self {
            customer: customer.to_owned(),
            deployments,
        }
    }

    /// The objects that these deployments leave, each chain with its seal.
    pub(super) fn render(&self) -> Objects {
        let mut objects = Objects::new();
        let mut heads: BTreeMap<&str, (u64, String)> = BTreeMap::new();
        let mut sent: Vec<&Deployment> = self.deployments.iter().collect();
        sent.sort_by_key(|it| it.sent_at);
        for deployment in sent {
            let Some(writer) = &deployment.writer else {
                self.render_legacy(deployment, &mut objects);
                continue;
            };
            if deployment.uploads {
                self.render_config(deployment, &mut objects);
            }
            let (number, previous) = heads.get(writer.as_str()).cloned().unwrap_or_default();
            let mut chain = json!({"writer": writer, "number": number + 1, "previous": previous});
            if number == 0
                && let Some(newest) = self.newest_before(deployment, &objects)
            {
                chain["newest"] = json!(newest);
            }
            let record = self.record(deployment, &chain);
            let key = self.record_key(deployment);
            let body = format!("{record}\n").into_bytes();
            let head = (number + 1, sha256_hex(&body));
            self.put_seal(&mut objects, deployment, &head, &key);
            heads.insert(writer, head);
            put_record(&mut objects, &key, body, deployment.sent_at);
        }
        objects
    }

    pub(super) fn record_key(&self, deployment: &Deployment) -> String {
        let stamp = key_timestamp(&format_rfc3339(deployment.at));
        format!("usage-logs/{}/{stamp}.json", self.customer)
    }

    pub(super) fn seal_key(&self, writer: &str) -> String {
        format!("terragrunt/{}/usage-chain/{writer}.json", self.customer)
    }

    pub(super) fn config_key(&self) -> String {
        format!("terragrunt/{}/config.yaml", self.customer)
    }

    pub(super) fn copy_key(&self, deployment: &Deployment) -> String {
        let stamp = key_timestamp(&format_rfc3339(deployment.at));
        let md5 = md5_hex(&deployment.config);
        let customer = &self.customer;
        format!("terragrunt/{customer}/config-history/{stamp}_{md5}.yaml")
    }

    pub(super) fn put_seal(
        &self,
        objects: &mut Objects,
        deployment: &Deployment,
        (number, sha256): &(u64, String),
        key: &str,
    ) {
        let writer = deployment.writer.as_deref().expect("a chain");
        let id = deployment_id(deployment);
        let body = format!(
            "{{\"writer\":\"{writer}\",\"number\":{number},\"key\":\"{key}\",\
             \"sha256\":\"{sha256}\",\"deployment_id\":\"{id}\"}}\n"
        );
        let seal = Object {
            body: body.into_bytes(),
            metadata: vec![("deployment-id".to_owned(), id)],
            modified: deployment.sent_at,
        };
        objects.insert(self.seal_key(writer), seal);
    }

    fn newest_before(&self, deployment: &Deployment, objects: &Objects) -> Option<String> {
        let since = key_timestamp(&format_rfc3339(deployment.at - 14 * DAY));
        let prefix = format!("usage-logs/{}/", self.customer);
        let mut listed = objects.range(format!("{prefix}{since}.json")..);
        let mut newest = None;
        for (key, _) in listed.by_ref() {
            if key.starts_with(&format!("{prefix}2026-")) {
                newest = Some(key.clone());
            }
        }
        newest
    }

    /// The copy of the config that was there at the time of a deployment.
    fn current_copy_key(&self, deployment: &Deployment) -> String {
        let uploads = self.deployments.iter();
        let uploads = uploads.filter(|it| it.uploads && it.at <= deployment.at);
        let newest = uploads.max_by_key(|it| it.at);
        newest.map(|it| self.copy_key(it)).unwrap_or_default()
    }

    pub(super) fn record(&self, deployment: &Deployment, chain: &Value) -> Value {
        let mut record = json!({
            "timestamp": format_rfc3339(deployment.at),
            "customer": self.customer,
            "user": format!("arn:aws:iam::123456789012:user/{}", deployment.user),
            "user_id": "AIDADEMO",
            "account": "123456789012",
            "config_hash": md5_hex(&deployment.config),
            "additional_users_count": 5,
            "project_name": "p",
            "cluster_name": "c",
            "schema": 1,
            "deployment_id": deployment_id(deployment),
            "backup": if deployment.uploads { "uploaded" } else { "unchanged" },
            "backup_key": self.current_copy_key(deployment),
            "chain": chain,
            "config_sha256": sha256_hex(&deployment.config),
        });
        if deployment.sent_at > deployment.at + HOUR {
            record["late"] = json!(true);
        }
        record
    }

    fn render_config(&self, deployment: &Deployment, objects: &mut Objects) {
        let copy = config_object(deployment, deployment.sent_at);
        let key = self.copy_key(deployment);
        objects.insert(self.config_key(), copy.clone());
        objects.insert(key, copy);
    }

    fn render_legacy(&self, deployment: &Deployment, objects: &mut Objects) {
        let md5 = md5_hex(&deployment.config);
        let record = json!({
            "timestamp": format_rfc3339(deployment.at),
            "customer": self.customer,
            "user": "arn:aws:iam::123456789012:user/legacy",
            "config_hash": md5,
        });
        let object = Object {
            body: record.to_string().into_bytes(),
            metadata: Vec::new(),
            modified: deployment.sent_at,
        };
        objects.insert(format!("usage-logs/{}/{md5}.json", self.customer), object);
    }
}

pub(super) fn deployment_id(deployment: &Deployment) -> String {
    let digest = sha256_hex(format!("{deployment:?}").as_bytes());
    let stamp = format_rfc3339(deployment.at).replace(['-', ':'], "");
    format!("{stamp}-{}", &digest[..16])
}

/// The config of a deployment as an object that S3 got at `modified`.
pub(super) fn config_object(deployment: &Deployment, modified: u64) -> Object {
    Object {
        body: deployment.config.clone(),
        metadata: config_metadata(deployment),
        modified,
    }
}

fn config_metadata(deployment: &Deployment) -> Vec<(String, String)> {
    let id = deployment_id(deployment);
    [
        ("md5", md5_hex(&deployment.config)),
        ("sha256", sha256_hex(&deployment.config)),
        ("backup-id", id.clone()),
        ("deployment-id", id),
        ("captured-at", format_rfc3339(deployment.at)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

pub(super) fn put_record(objects: &mut Objects, key: &str, body: Vec<u8>, modified: u64) {
    let id = match serde_json::from_slice::<Value>(&body) {
        Ok(record) => record["deployment_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        Err(_) => String::new(),
    };
    let metadata = vec![
        ("deployment-id".to_owned(), id),
        ("sha256".to_owned(), sha256_hex(&body)),
    ];
    let object = Object {
        body,
        metadata,
        modified,
    };
    objects.insert(key.to_owned(), object);
}
