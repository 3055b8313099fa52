//! Moving from the legacy module, which managed backup and record as objects of the AWS provider. The unit has a state of its
//! own, so no provider of AWS is needed, and what the legacy module left is not touched.

use std::fs;

use crate::stack::{Stack, with_both_tools};
use crate::support::{BUCKET, CONFIG, project};

with_both_tools!(the_legacy_modules_objects_and_state_stay_in_the_bucket);

fn the_legacy_modules_objects_and_state_stay_in_the_bucket(stack: Stack) {
    let fixtures = project().join("tests/fixtures");
    let unit = stack.folder.join("config-backup");
    fs::remove_dir_all(&unit).unwrap();
    fs::create_dir(&unit).unwrap();
    for name in ["main.tf", "terragrunt.hcl"] {
        fs::copy(fixtures.join("earlier-module").join(name), unit.join(name)).unwrap();
    }
    let legacy_state = "terragrunt/airbnb/config-backup/terraform.tfstate";
    let left = [
        ("usage-logs/airbnb/d188280766a258ccc135ef480b49230c.json", fs::read(fixtures.join("legacy-log.json")).unwrap()),
        ("terragrunt/airbnb/config.yaml", CONFIG.as_bytes().to_vec()),
        (legacy_state, fs::read(fixtures.join("earlier-module/state.json")).unwrap()),
    ];
    for (key, body) in &left {
        stack.world.server.put(BUCKET, key, body, &[]).unwrap();
    }

    let refused = stack.world.helper(&["init"]).arg(&stack.folder).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let moved = stack.world.helper(&["init", "--force"]).arg(&stack.folder).output().unwrap();
    assert!(moved.status.success(), "{moved:?}");
    let applied = stack.apply_all().ok();
    applied.assert_clusters_applied();
    applied.assert_healthy();
    stack.terragrunt(&["destroy", "--all", "--non-interactive"]).ok().assert_healthy();

    for (key, body) in left {
        assert_eq!(stack.world.server.object(BUCKET, key).unwrap().body, body, "{key}");
    }
    assert_eq!(stack.world.records().len(), 2);
    let requests = stack.world.server.requests();
    assert!(requests.iter().all(|it| !it.operation.starts_with("Delete")), "{requests:?}");
    assert!(requests.iter().all(|it| it.key != legacy_state || it.operation == "PutObject"), "{requests:?}");
}
