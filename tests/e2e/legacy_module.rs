//! Migration from the legacy module, which managed backup and record as objects of the AWS
//! provider. The unit has its own state, so it needs no AWS provider and does not touch what the
//! legacy module left.
//!
//! The objects of the legacy module are a fixture. The module itself needs the AWS provider, about
//! 700 MB that no package registry has. It is deployed only if `CONFIG_BACKUP_TEST_PROVIDER_MIRROR`
//! names a provider mirror with hashicorp/aws.

use std::fs;
use std::io::Write as _;

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::{BUCKET, CONFIG, project_dir};

with_both_tools!(
    the_legacy_modules_objects_and_state_stay_in_the_bucket,
    the_legacy_module_itself_is_moved
);

const MIRROR: &str = "CONFIG_BACKUP_TEST_PROVIDER_MIRROR";

fn the_legacy_modules_objects_and_state_stay_in_the_bucket(stack: CustomerStack) {
    let fixtures = project_dir().join("tests/fixtures");
    let unit = stack.folder.join("config-backup");
    fs::remove_dir_all(&unit).unwrap();
    fs::create_dir(&unit).unwrap();
    for name in ["main.tf", "terragrunt.hcl"] {
        fs::copy(fixtures.join("earlier-module").join(name), unit.join(name)).unwrap();
    }
    let legacy_state = "terragrunt/airbnb/config-backup/terraform.tfstate";
    let left = [
        (
            "usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json",
            fs::read(fixtures.join("legacy-log.json")).unwrap(),
        ),
        ("terragrunt/airbnb/config.yaml", CONFIG.as_bytes().to_vec()),
        (
            legacy_state,
            fs::read(fixtures.join("earlier-module/state.json")).unwrap(),
        ),
    ];
    for (key, body) in &left {
        stack.world.server.put(BUCKET, key, body, &[]).unwrap();
    }

    stack.force_init();
    let applied = stack.apply_all().expect_success();
    applied.assert_clusters_applied();
    applied.assert_healthy();
    stack
        .run_terragrunt(&["destroy", "--all", "--non-interactive"])
        .expect_success()
        .assert_healthy();

    for (key, body) in left {
        assert_eq!(
            stack.world.server.object(BUCKET, key).unwrap().body,
            body,
            "{key}"
        );
    }
    assert_eq!(stack.world.usage_records().len(), 2);
    let requests = stack.world.server.requests();
    assert!(
        requests
            .iter()
            .all(|it| !it.operation.starts_with("Delete")),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|it| it.key != legacy_state || it.operation == "PutObject"),
        "{requests:?}"
    );
}

/// As above, with the real objects of the legacy module.
fn the_legacy_module_itself_is_moved(mut stack: CustomerStack) {
    let Ok(mirror) = std::env::var(MIRROR) else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: the move from the legacy module itself; {MIRROR} names no mirror with hashicorp/aws"
        );
        return;
    };
    let ours = project_dir().join(".tools/mirror");
    let from = |path: &str, name: &str| {
        let names = ["registry.terraform.io", "registry.opentofu.org"]
            .map(|host| format!("\"{host}/hashicorp/{name}\""))
            .join(", ");
        format!("  filesystem_mirror {{\n    path    = \"{path}\"\n    include = [{names}]\n  }}\n")
    };
    let only_external = format!(
        "provider_installation {{\n{}}}\n",
        from(ours.to_str().unwrap(), "external")
    );
    let both = format!(
        "provider_installation {{\n{}{}}}\n",
        from(&mirror, "aws"),
        from(ours.to_str().unwrap(), "external")
    );
    let file = stack.world.path().join("providers.tfrc");
    fs::write(&file, both).unwrap();
    stack.set_variable("TF_CLI_CONFIG_FILE", file.to_str().unwrap());
    stack.set_variable("AWS_PROFILE", "default");
    stack.set_variable("AWS_REGION", "us-east-1");

    let unit = stack.folder.join("config-backup");
    fs::remove_dir_all(&unit).unwrap();
    fs::create_dir(&unit).unwrap();
    for name in ["main.tf", "terragrunt.hcl"] {
        fs::copy(
            project_dir()
                .join("tests/fixtures/earlier-module")
                .join(name),
            unit.join(name),
        )
        .unwrap();
    }
    stack.apply_all().expect_success();
    let before = stack.world.server.keys(BUCKET, "");

    // The AWS provider is no longer available.
    fs::write(&file, only_external).unwrap();
    stack.force_init();
    let applied = stack.apply_all().expect_success();
    applied.assert_clusters_applied();
    applied.assert_healthy();
    assert_eq!(stack.world.count_deletions(), 0);
    for key in before {
        assert!(
            stack.world.server.object(BUCKET, &key).is_some(),
            "{key} is gone"
        );
    }
    assert_eq!(stack.world.usage_records().len(), 2);
}
