//! The backend that Terragrunt renders for the unit, for root files with different backends.

use std::fs;

use serde_json::Value;

use crate::customer_stack::CustomerStack;
use crate::folders::generate_block;

/// Renders the unit in a folder with this root file.
fn rendered_state(root: &str) -> Value {
    let stack = CustomerStack::new(crate::customer_stack::TerraformTool::Tofu).unwrap();
    fs::write(stack.folder.join("root.hcl"), root).unwrap();
    let rendered = stack
        .run_terragrunt(&["render", "--json", "--working-dir=config-backup"])
        .expect_success()
        .output;
    let json = &rendered[rendered.find('{').unwrap()..=rendered.rfind('}').unwrap()];
    let mut rendered: Value = serde_json::from_str(json).unwrap();
    let state = rendered["remote_state"].take();
    serde_json::json!({
        "backend": state["backend"],
        "config": state["config"],
        "generate": state["generate"],
        "encryption": state["encryption"],
        "written": rendered["generate"]["config_backup_backend"],
    })
}

#[test]
fn each_backend_gets_a_key_of_its_own() {
    let state = |backend: &str, config: &str| {
        rendered_state(&format!(
            "remote_state {{\n  backend = \"{backend}\"\n  config = {{ {config} }}\n}}\n"
        ))
    };
    for (backend, name, value, own) in [
        ("s3", "key", "a/terraform.tfstate", "a/unit.tfstate"),
        (
            "s3",
            "key",
            "a/unit.tfstate",
            "a/unit.tfstate-config-backup-unit",
        ),
        (
            "azurerm",
            "key",
            "a.tfstate",
            "a.tfstate-config-backup-unit",
        ),
        ("gcs", "prefix", "a/b", "a/b-config-backup-unit"),
        ("consul", "path", "a/b/", "a/b/-config-backup-unit"),
        ("local", "path", "/a/terraform.tfstate", "/a/unit.tfstate"),
        ("pg", "schema_name", "a", "a-config-backup-unit"),
        ("kubernetes", "secret_suffix", "a", "a-config-backup-unit"),
    ] {
        let state = state(
            backend,
            &format!(
                "{name} = \"{value}\", other = \"terraform.tfstate\", number = 5, nothing = null"
            ),
        );
        assert_eq!(state["backend"], backend);
        assert_eq!(
            (
                &state["config"][name],
                &state["config"]["other"],
                &state["config"]["number"]
            ),
            (&own.into(), &"terraform.tfstate".into(), &5.into())
        );
        assert_eq!(
            state["written"]["contents"],
            format!("terraform {{\n  backend \"{backend}\" {{}}\n}}\n")
        );
    }
    // These backends have no key to change, and units must not share a state.
    for config in [
        "address = \"https://example.com/state\"",
        "key = \"\"",
        "key = null",
        "",
    ] {
        let state = state("http", config);
        assert_eq!(state["backend"], "local", "{config}");
        assert!(
            state["config"]["path"]
                .as_str()
                .unwrap()
                .ends_with("/airbnb/config-backup/unit.tfstate"),
            "{state}"
        );
    }
}

#[test]
fn encryption_goes_with_the_file_of_the_backend() {
    let root = |generate: &str| {
        rendered_state(&format!(
            "remote_state {{\n  backend = \"s3\"\n  config = {{ key = \"a\" }}\n  encryption = {{ key_provider = \"pbkdf2\", passphrase = \"sixteen or more characters\" }}\n{generate}}}\n"
        ))
    };
    let written = root("  generate = { path = \"/some/where/state.tf\", if_exists = \"error\" }\n");
    assert_eq!(
        written["generate"],
        serde_json::json!({ "path": "state.tf", "if_exists": "overwrite" })
    );
    assert_eq!(
        (
            &written["encryption"]["key_provider"],
            &written["written"]["disable"]
        ),
        (&"pbkdf2".into(), &true.into())
    );
    // Without that file, terragrunt ignores it in all units.
    assert_eq!(root("")["encryption"], Value::Null);
}

#[test]
fn takes_only_the_backend_out_of_a_generate_block() {
    let contents = |contents: &str| {
        let state = rendered_state(&generate_block("of the root.tf", contents));
        let written = state["written"].clone();
        (
            state["backend"].as_str().unwrap().to_owned(),
            written["contents"].as_str().unwrap().to_owned(),
            written["path"].as_str().unwrap().to_owned(),
        )
    };
    let (backend, text, path) = contents(
        "terraform {\n  required_providers {}\n  backend \"s3\" {\n    workspace_key_prefix = \"w\"\n    key=\"a/b.tfstate\"\n    assume_role = { role_arn = \"r\", tags = { key = \"x\" } }\n  }\n}\nlocals {}",
    );
    assert_eq!((backend.as_str(), path.as_str()), ("s3", "of the root.tf"));
    assert!(
        text.contains("key=\"a/b.tfstate-config-backup-unit\"")
            && text.contains("workspace_key_prefix = \"w\""),
        "{text}"
    );
    assert!(
        text.contains("role_arn = \"r\"")
            && !text.contains("required_providers")
            && !text.contains("locals"),
        "{text}"
    );
    let (backend, text, _) =
        contents("terraform { backend \"gcs\" { prefix = \"a/terraform.tfstate\" } }");
    assert_eq!(
        (backend.as_str(), text.as_str()),
        (
            "gcs",
            "terraform {\n  backend \"gcs\" { prefix = \"a/unit.tfstate\" }\n}\n"
        )
    );
    for without_key in [
        "terraform {\n  backend \"s3\" {}\n}",
        "# backend \"s3\" { key = \"a\" }",
        "backend = \"s3\"",
    ] {
        assert_eq!(contents(without_key).0, "local", "{without_key}");
    }
}
