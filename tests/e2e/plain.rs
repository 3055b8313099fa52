//! The module without Terragrunt: called by a plain root module.

use std::fs;

use crate::stack::{Stack, with_both_tools};
use crate::support::{BUCKET, CONFIG_MD5, JOHN, project};

with_both_tools!(a_plain_root_module_can_call_it);

fn a_plain_root_module_can_call_it(stack: Stack) {
    let root = stack.world.path().join("plain root");
    fs::create_dir(&root).unwrap();
    let module = project().join("terraform");
    let outputs = ["config_hash", "caller_arn", "backup_uri", "log_uri", "status", "message"];
    let outputs: String = outputs.iter().map(|name| format!("output \"{name}\" {{ value = module.config_backup.{name} }}\n")).collect();
    let main = format!(
        "module \"config_backup\" {{\n  source           = \"{}\"\n  config_file_path = \"${{path.root}}/../airbnb/config.yaml\"\n  \
         project_name     = \"overridden\"\n}}\n{outputs}",
        module.display()
    );
    fs::write(root.join("main.tf"), main).unwrap();
    stack.tool(&root, &["init"]).ok();
    let applied = stack.tool(&root, &["apply", "-auto-approve"]).ok();
    assert!(!applied.has_failed_check(), "{}", applied.output);
    let records = stack.world.records();
    assert_eq!(records.len(), 1);
    let (key, record) = &records[0];
    assert_eq!((record["project_name"].as_str(), record["cluster_name"].as_str()), (Some("overridden"), Some("arena-cluster")));
    let history = stack.world.server.keys(BUCKET, "terragrunt/airbnb/config-history/").remove(0);
    for line in [
        format!("config_hash = \"{CONFIG_MD5}\""),
        format!("caller_arn = \"{JOHN}\""),
        format!("backup_uri = \"s3://{BUCKET}/{history}\""),
        format!("log_uri = \"s3://{BUCKET}/{key}\""),
        "status = \"ok\"".to_owned(),
    ] {
        assert!(applied.output.contains(&line), "{line} is not in\n{}", applied.output);
    }
}
