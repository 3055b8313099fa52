//! A complete bucket, drawn from a seed: customers with common and unusual names, some of the
//! legacy module, with states, configs and the record of every deployment.

use std::collections::HashSet;

use test_support::BUCKET;
use test_support::oracle::{format_rfc3339, key_timestamp, python_md5s, unix_now};
use test_support::s3_backend::{S3Backend, S3ServerKind};

/// Unusual folder names; most of them are encoded in keys.
const ODD_NAMES: [&str; 10] = [
    "Foo Bar", "~", "~20", "-dash", "Zürich", "日本", "a+b", "%41", "x~y", "it's (1)",
];
const DAY_SECONDS: u64 = 86400;
const HOUR_SECONDS: u64 = 3600;

/// An object to put.
#[derive(Debug, Clone)]
pub(crate) struct BucketObject {
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) metadata: Vec<(&'static str, String)>,
    pub(crate) customer: String,
}

/// The objects of one customer, while they are drawn.
struct CustomerDraft<'a> {
    name: String,
    segment: String,
    /// The remaining configs with their MD5s.
    configs: &'a mut dyn Iterator<Item = (String, String)>,
    objects: Vec<BucketObject>,
}

impl CustomerDraft<'_> {
    fn add_object(&mut self, key: String, body: String, metadata: Vec<(&'static str, String)>) {
        self.objects.push(BucketObject {
            key,
            body,
            metadata,
            customer: self.name.clone(),
        });
    }

    /// Adds the state of each unit, in the folder with the name of the customer.
    fn add_states(&mut self, units: &[&str]) {
        for unit in units {
            let key = format!("terragrunt/{}/{unit}/terraform.tfstate", self.name);
            self.add_object(
                key,
                format!("{{\"serial\":1,\"lineage\":\"{unit}\"}}"),
                Vec::new(),
            );
        }
    }

    /// Adds what the legacy module left: a config without metadata, and a record named by its MD5.
    fn add_legacy_deployment(&mut self, at: u64) {
        let (body, md5) = self.configs.next().expect("a config");
        self.add_object(
            format!("terragrunt/{}/config.yaml", self.name),
            body,
            Vec::new(),
        );
        let record = serde_json::json!({ "timestamp": format_rfc3339(at), "customer": self.name, "user": "arn:aws:iam::1:user/john",
            "config_hash": md5, "additional_users_count": 1, "project_name": "p", "cluster_name": "c" });
        self.add_object(
            format!("usage-logs/{}/{md5}.json", self.name),
            record.to_string(),
            Vec::new(),
        );
    }

    /// Adds deployments at these times, each with a new config; the last may repeat the config
    /// before.
    fn add_deployments(&mut self, times: &[u64], is_last_unchanged: bool) {
        let mut version = (String::new(), String::new(), Vec::new());
        for (number, &at) in times.iter().enumerate() {
            let id = format!("{}-{number:02}", format_rfc3339(at).replace(['-', ':'], ""));
            let is_new = number == 0 || number + 1 < times.len() || !is_last_unchanged;
            if is_new {
                let (body, md5) = self.configs.next().expect("a config");
                // The config is read some seconds before its record is written.
                let captured_at = format_rfc3339(at - 4);
                let key = format!(
                    "terragrunt/{}/config-history/{}_{md5}.yaml",
                    self.segment,
                    key_timestamp(&captured_at)
                );
                version = (
                    key,
                    body,
                    vec![
                        ("md5", md5),
                        ("deployment-id", id.clone()),
                        ("captured-at", captured_at),
                    ],
                );
                self.add_object(version.0.clone(), version.1.clone(), version.2.clone());
            }
            let record = serde_json::json!({ "timestamp": format_rfc3339(at), "customer": self.name, "user": "arn:aws:iam::1:user/john",
                "config_hash": version.2[0].1, "schema": 1, "deployment_id": id, "backup_key": version.0,
                "backup": if is_new { "uploaded" } else { "unchanged" } });
            self.add_object(
                format!(
                    "usage-logs/{}/{}.json",
                    self.segment,
                    key_timestamp(&format_rfc3339(at))
                ),
                record.to_string(),
                Vec::new(),
            );
        }
        self.add_object(
            format!("terragrunt/{}/config.yaml", self.segment),
            version.1,
            version.2,
        );
    }
}

/// The objects of `count` customers.
pub(crate) fn draw_objects(chance: &mut fastrand::Rng, count: usize) -> Vec<BucketObject> {
    // States get the current time when they are written, so the last deployments must be recent.
    let now = unix_now();
    let bodies: Vec<String> = (0..count * 5)
        .map(|number| format!("mongodb: {{number: {number}}}\n"))
        .collect();
    let md5s = python_md5s(&bodies);
    let mut configs = bodies.into_iter().zip(md5s);
    let mut objects = Vec::new();
    let mut names = HashSet::new();
    for number in 0..count {
        let name = match number {
            number if number < ODD_NAMES.len() => ODD_NAMES[number].to_owned(),
            // Longer than a key: its segment is a digest.
            10 => "é".repeat(120),
            number => format!("customer-{number}"),
        };
        assert!(names.insert(name.clone()));
        let segment = config_backup::keys::customer_segment(&name);
        let mut draft = CustomerDraft {
            name,
            segment,
            configs: &mut configs,
            objects: Vec::new(),
        };
        let last = now - chance.u64(..2 * HOUR_SECONDS);
        // The legacy module did not encode names such as `%41`.
        if number % 4 == 3 {
            draft.add_legacy_deployment(last);
        } else {
            let before = chance.u64(0..4);
            let times: Vec<u64> = (0..=before)
                .rev()
                .map(|days| last - days * DAY_SECONDS)
                .collect();
            draft.add_deployments(&times, chance.bool());
        }
        draft.add_states(if chance.bool() {
            &["atlas-cluster", "eks-cluster", "config-backup"]
        } else {
            &["eu/eks"]
        });
        objects.append(&mut draft.objects);
    }
    objects
}

/// Writes objects.
pub(crate) fn put_objects(backend: &S3Backend, objects: &[BucketObject]) {
    if backend.kind == S3ServerKind::Embedded {
        for it in objects {
            let metadata: Vec<(&str, &str)> = it
                .metadata
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            backend
                .world
                .server
                .put(BUCKET, &it.key, it.body.as_bytes(), &metadata)
                .expect("an object");
        }
    } else {
        backend.client.put_all_with(
            objects
                .iter()
                .map(|it| (it.key.as_str(), it.body.as_str(), it.metadata.as_slice())),
        );
    }
}
