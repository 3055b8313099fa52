//! A deployment by hand: the steps that Terraform takes with the module, in its order and with what it tells each.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::support::{CONFIG, World};

/// A customer folder and what Terraform's state knows of it.
pub(crate) struct Unit {
    /// The customer's `config.yaml`.
    pub(crate) config: PathBuf,
    query: Map<String, Value>,
    /// The backup id of the last apply, kept by `terraform_data.config_backup`.
    applied: Option<String>,
}

/// What the steps of one deployment printed.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) context: Value,
    /// Nothing where Terraform had no reason to run the step.
    pub(crate) backup: Option<String>,
    pub(crate) log: String,
    pub(crate) outcome: Value,
}

impl Unit {
    /// A customer folder with the sample config.
    pub(crate) fn new(world: &World) -> Self {
        Self::in_folder(world, "customers of ours/airbnb")
    }

    /// As [`Unit::new`], in another folder of the world.
    pub(crate) fn in_folder(world: &World, folder: &str) -> Self {
        let config = world.path().join(folder).join("config.yaml");
        fs::create_dir_all(config.parent().expect("a folder")).expect("a customer folder");
        fs::write(&config, CONFIG).expect("a config");
        let query = json!({
            "config_file_path": config.to_str().expect("UTF-8"),
            "bucket": "mongodb-arena",
            "bucket_region": "us-east-1",
            "timeout": "10",
            "unit_version": env!("CARGO_PKG_VERSION"),
        });
        let Value::Object(query) = query else { unreachable!("an object was written") };
        Self { config, query, applied: None }
    }

    /// Changes the config.
    pub(crate) fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.config, content).expect("a config");
    }

    /// Sets a variable of the module.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.query.insert(key.to_owned(), json!(value));
    }

    /// Takes a variable of the module back.
    pub(crate) fn unset(&mut self, key: &str) {
        self.query.remove(key);
    }

    /// What `data.external.context` sends.
    pub(crate) fn query(&self) -> Value {
        Value::Object(self.query.clone())
    }

    /// What the steps at apply are sent: the query and what `context` found.
    pub(crate) fn request(&self, context: &Value) -> Value {
        let mut request = self.query.clone();
        for key in ["deployment_id", "backup_id", "backup_key", "config_hash", "spent_ms"] {
            request.insert(key.to_owned(), context[key].clone());
        }
        request.insert("plan_status".to_owned(), json!(context["status"].as_str().unwrap_or_default()));
        Value::Object(request)
    }

    /// `terraform plan`.
    pub(crate) fn plan(&self, world: &World) -> Value {
        external(&world.machine("context", &self.query()))
    }

    /// `terraform apply` of what was planned.
    pub(crate) fn apply(&mut self, world: &World, context: Value) -> Applied {
        self.apply_by(context, |verb, request| world.machine(verb, request))
    }

    /// As [`Unit::apply`], with each step run by `run`, which gives what it printed.
    pub(crate) fn apply_by(&mut self, context: Value, mut run: impl FnMut(&'static str, &Value) -> String) -> Applied {
        let request = self.request(&context);
        let backup_id = string(&context, "backup_id").to_owned();
        let backup = (self.applied.as_deref() != Some(backup_id.as_str())).then(|| run("backup", &request));
        self.applied = Some(backup_id);
        let log = run("log", &request);
        let outcome = external(&run("outcome", &self.question(string(&context, "deployment_id"))));
        Applied { context, backup, log, outcome }
    }

    /// `terraform destroy`: the state knows of nothing any more.
    pub(crate) fn destroy(&mut self) {
        self.applied = None;
    }

    /// What became of a deployment.
    pub(crate) fn outcome(&self, world: &World, deployment_id: &str) -> Value {
        external(&world.machine("outcome", &self.question(deployment_id)))
    }

    /// What `data.external.outcome` sends.
    fn question(&self, deployment_id: &str) -> Value {
        let mut query = self.query.clone();
        query.insert("deployment_id".to_owned(), json!(deployment_id));
        Value::Object(query)
    }

    /// `terraform apply`.
    pub(crate) fn deploy(&mut self, world: &World) -> Applied {
        let context = self.plan(world);
        self.apply(world, context)
    }
}

impl Applied {
    /// Asserts that everything is in the bucket and that there is nothing else to know.
    pub(crate) fn went_well(self) -> Self {
        let said = self.log.strip_prefix("config-backup: ").and_then(|line| line.strip_suffix('\n'));
        assert_eq!(string(&self.outcome, "status"), "ok", "{self:?}");
        assert_eq!(said, Some(string(&self.outcome, "message")), "{self:?}");
        assert!(!self.log.contains("WARNING"), "{self:?}");
        self.quiet_before()
    }

    /// Asserts that `log` warned in one line, that `outcome` says the same, and gives it.
    pub(crate) fn warning(&self) -> &str {
        let said = self.log.strip_prefix("config-backup: WARNING: ").and_then(|line| line.strip_suffix('\n')).expect(&self.log);
        assert!(!said.contains('\n'), "more than one line: {said}");
        assert_ne!(string(&self.outcome, "status"), "ok", "{self:?}");
        assert_eq!(string(&self.outcome, "message"), said);
        said
    }

    /// Asserts that `backup` printed one line and left it to `log` to warn.
    pub(crate) fn quiet_before(self) -> Self {
        if let Some(line) = &self.backup {
            assert!(line.starts_with("config-backup: ") && !line.contains("WARNING"), "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line}");
        }
        self
    }

    /// Names the deployment.
    pub(crate) fn id(&self) -> &str {
        string(&self.context, "deployment_id")
    }

    /// The record of this deployment among those in the bucket, with its key; there must be one.
    pub(crate) fn record(&self, world: &World) -> (String, Value) {
        let mut records: Vec<_> = world.records().into_iter().filter(|(_, record)| record["deployment_id"] == self.id()).collect();
        assert_eq!(records.len(), 1, "records of {}: {records:?}", self.id());
        records.remove(0)
    }
}

/// A string of an answer.
pub(crate) fn string<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {answer}"))
}

/// An answer of the external protocol: one line with one object, whose values are strings.
pub(crate) fn external(answer: &str) -> Value {
    assert!(answer.ends_with("}\n") && answer.matches('\n').count() == 1, "one line: {answer}");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let fields = answer.as_object().expect("an object");
    assert!(!fields.is_empty() && fields.values().all(Value::is_string), "only strings: {answer}");
    answer
}
