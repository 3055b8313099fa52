//! Moving from the earlier module, which managed backup and record as objects of the AWS provider.
//!
//! The real move needs that provider, some 700 MB that no package registry has: where the variable
//! `CONFIG_BACKUP_TEST_PROVIDER_MIRROR` names a provider mirror with hashicorp/aws, it is done for real. That the
//! blocks of `upgrade.tf` forget and destroy nothing is shown without it, by `tests/module.sh`.

use std::fs;
use std::io::Write as _;

use crate::stack::{Stack, with_both_tools};
use crate::support::{BUCKET, project};

with_both_tools!(the_earlier_modules_objects_stay_in_the_bucket);

const MIRROR: &str = "CONFIG_BACKUP_TEST_PROVIDER_MIRROR";

fn the_earlier_modules_objects_stay_in_the_bucket(mut stack: Stack) {
    let Ok(mirror) = std::env::var(MIRROR) else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: the real move from the earlier module; {MIRROR} names no mirror with hashicorp/aws");
        return;
    };
    let ours = project().join(".tools/mirror");
    let from = |path: &str, name: &str| {
        let names = ["registry.terraform.io", "registry.opentofu.org"].map(|host| format!("\"{host}/hashicorp/{name}\"")).join(", ");
        format!("  filesystem_mirror {{\n    path    = \"{path}\"\n    include = [{names}]\n  }}\n")
    };
    let settings = format!("provider_installation {{\n{}{}}}\n", from(&mirror, "aws"), from(ours.to_str().unwrap(), "external"));
    let file = stack.world.path().join("providers.tfrc");
    fs::write(&file, settings).unwrap();
    stack.set("TF_CLI_CONFIG_FILE", file.to_str().unwrap());
    stack.set("AWS_PROFILE", "default");
    stack.set("AWS_REGION", "us-east-1");

    // The folder as the earlier module has it, deployed once.
    let unit = stack.folder.join("config-backup");
    fs::remove_dir_all(&unit).unwrap();
    fs::create_dir(&unit).unwrap();
    for name in ["main.tf", "terragrunt.hcl"] {
        fs::copy(project().join("tests/fixtures/earlier-module").join(name), unit.join(name)).unwrap();
    }
    stack.apply_all().ok();
    let before = stack.world.server.keys(BUCKET, "");

    let refused = stack.world.helper(&["init"]).arg(&stack.folder).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let moved = stack.world.helper(&["init", "--force"]).arg(&stack.folder).output().unwrap();
    assert!(moved.status.success(), "{moved:?}");
    let applied = stack.apply_all().ok();
    applied.assert_clusters_applied();
    assert!(!applied.has_failed_check(), "{}", applied.output);
    let deleted = stack.world.server.requests().iter().filter(|it| it.operation.starts_with("Delete")).count();
    assert_eq!(deleted, 0);
    for key in before {
        assert!(stack.world.server.object(BUCKET, &key).is_some(), "{key} is gone");
    }
    assert_eq!(stack.world.records().len(), 2);
}
