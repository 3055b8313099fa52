//! The two steps that Terraform runs with the module, with the queries that it sends to each.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::world::{CONFIG, World};

/// A customer folder.
pub struct CustomerUnit {
    /// The customer's `config.yaml`.
    pub config: PathBuf,
    query: Map<String, Value>,
}

/// The answers of the two steps of a deployment.
#[derive(Debug)]
pub struct AppliedDeployment {
    pub context: Value,
    pub answer: Value,
}

impl CustomerUnit {
    /// A customer folder with the sample config.
    pub fn new(world: &World) -> Self {
        Self::in_folder(world, "customers of ours/airbnb")
    }

    /// As [`CustomerUnit::new`], in another folder of the world.
    pub fn in_folder(world: &World, folder: &str) -> Self {
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
        let Value::Object(query) = query else {
            unreachable!("an object was written")
        };
        Self { config, query }
    }

    pub fn write_config(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.config, content).expect("a config");
    }

    /// Sets a variable of the module.
    pub fn set_variable(&mut self, key: &str, value: &str) {
        self.query.insert(key.to_owned(), json!(value));
    }

    pub fn unset_variable(&mut self, key: &str) {
        self.query.remove(key);
    }

    /// The query of `data.external.context`.
    pub fn query(&self) -> Value {
        Value::Object(self.query.clone())
    }

    /// The request of `deploy`: the query with the answer of `context`.
    pub fn deploy_request(&self, context: &Value) -> Value {
        let mut request = self.query.clone();
        for key in [
            "deployment_id",
            "backup_id",
            "backup_key",
            "config_hash",
            "spent_ms",
            "caller_arn",
            "user_id",
            "account",
            "credentials_id",
        ] {
            request.insert(key.to_owned(), context[key].clone());
        }
        request.insert("planned_id".to_owned(), context["deployment_id"].clone());
        request.insert(
            "plan_status".to_owned(),
            json!(context["status"].as_str().unwrap_or_default()),
        );
        Value::Object(request)
    }

    /// `terraform plan`.
    pub fn plan(&self, world: &World) -> Value {
        parse_external_answer(&world.run_protocol_command("context", &self.query()))
    }

    /// `terraform apply` of what was planned.
    pub fn apply(&self, world: &World, context: Value) -> AppliedDeployment {
        self.apply_with(context, |command, request| {
            world.run_protocol_command(command, request)
        })
    }

    /// As [`CustomerUnit::apply`], with `deploy` run by `run`, which returns what it printed.
    pub fn apply_with(
        &self,
        context: Value,
        run: impl FnOnce(&'static str, &Value) -> String,
    ) -> AppliedDeployment {
        let answer = parse_external_answer(&run(
            "deploy",
            &wrap_request(&self.deploy_request(&context)),
        ));
        AppliedDeployment { context, answer }
    }

    /// `terraform apply`.
    pub fn deploy(&self, world: &World) -> AppliedDeployment {
        let context = self.plan(world);
        self.apply(world, context)
    }
}

impl AppliedDeployment {
    /// Asserts the status `ok`: everything is in the bucket, and there is no warning.
    pub fn expect_success(self) -> Self {
        assert_eq!(string_field(&self.answer, "status"), "ok", "{self:?}");
        self
    }

    /// The message, which is always one line.
    pub fn message(&self) -> &str {
        let message = string_field(&self.answer, "message");
        assert!(!message.contains('\n'), "more than one line: {message}");
        message
    }

    /// Asserts a status other than `ok`, and returns the message.
    pub fn expect_warning(&self) -> &str {
        assert_ne!(string_field(&self.answer, "status"), "ok", "{self:?}");
        self.message()
    }

    pub fn deployment_id(&self) -> &str {
        string_field(&self.context, "deployment_id")
    }

    /// The only record of this deployment in the bucket, with its key.
    pub fn record(&self, world: &World) -> (String, Value) {
        let mut records: Vec<_> = world
            .usage_records()
            .into_iter()
            .filter(|(_, record)| record["deployment_id"] == self.deployment_id())
            .collect();
        assert_eq!(
            records.len(),
            1,
            "records of {}: {records:?}",
            self.deployment_id()
        );
        records.remove(0)
    }
}

/// Wraps a request as `data.external.deploy` does: as JSON text, because Terraform passes only
/// strings.
pub fn wrap_request(request: &Value) -> Value {
    json!({ "request": request.to_string() })
}

pub fn run_deploy(world: &World, request: &Value) -> Value {
    parse_external_answer(&world.run_protocol_command("deploy", &wrap_request(request)))
}

pub fn string_field<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key]
        .as_str()
        .unwrap_or_else(|| panic!("no `{key}` in {answer}"))
}

/// Parses an answer of the external protocol: one line with one object of strings.
pub fn parse_external_answer(answer: &str) -> Value {
    assert!(
        answer.ends_with("}\n") && answer.matches('\n').count() == 1,
        "one line: {answer}"
    );
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let fields = answer.as_object().expect("an object");
    assert!(
        !fields.is_empty() && fields.values().all(Value::is_string),
        "only strings: {answer}"
    );
    answer
}
