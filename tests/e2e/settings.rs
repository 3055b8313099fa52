//! The settings of the unit: settings of other tools do not reach it, and invalid ones do not stop
//! a deployment.

use crate::customer_stack::{CustomerStack, with_both_tools};
use test_support::BUCKET;

with_both_tools!(
    variables_of_the_shell_that_are_meant_for_other_modules_have_no_effect,
    wrong_settings_are_warnings_and_the_deployment_is_logged,
    empty_variables_count_as_not_set,
    the_encryption_of_the_environment_reaches_every_upload,
);

fn variables_of_the_shell_that_are_meant_for_other_modules_have_no_effect(
    mut stack: CustomerStack,
) {
    for (name, value) in [
        ("TF_VAR_bucket", "another-bucket"),
        ("TF_VAR_bucket_region", "nowhere"),
        ("TF_VAR_customer_name", "another-customer"),
        ("TF_VAR_aws_profile", "no-such-profile"),
        ("TF_VAR_config_file_path", "/no/such/file"),
        ("TF_VAR_additional_users_count", "many"),
        ("TF_VAR_timeout", "soon"),
        ("TF_VAR_helper", "no-such-helper"),
        (
            "TF_VAR_unit_settings",
            "{ customer_name = \"another-customer\" }",
        ),
    ] {
        stack.set_variable(name, value);
    }
    // A removed setting has its default.
    stack.change_unit("    customer_name          = \"\"\n", "");
    let applied = stack.apply_unit().expect_success();
    applied.assert_healthy();
    let records = stack.world.usage_records();
    assert!(
        records.len() == 1 && records[0].0.starts_with("usage-logs/airbnb/"),
        "{records:?}"
    );
    assert_eq!(records[0].1["additional_users_count"], 5);
}

fn wrong_settings_are_warnings_and_the_deployment_is_logged(stack: CustomerStack) {
    let settings = [
        (
            "timeout                = 10",
            "timeout                = 3600",
            "`timeout`",
        ),
        (
            "timeout                = 3600",
            "timeout                = \"soon\"",
            "`timeout`",
        ),
        (
            "timeout                = \"soon\"",
            "timeout                = 10",
            "",
        ),
        (
            "bucket_region          = local.variables.BUCKET_REGION",
            "bucket_region          = \"nowhere\"",
            "`bucket_region`",
        ),
        (
            "bucket_region          = \"nowhere\"",
            "bucket_region          = local.variables.BUCKET_REGION",
            "",
        ),
        (
            "additional_users_count = null",
            "additional_users_count = [1]",
            "`additional_users_count`",
        ),
        (
            "additional_users_count = [1]",
            "additional_users_count = null",
            "",
        ),
        (
            "helper                 = local.variables.HELPER",
            "helper                 = null",
            "",
        ),
        (
            "config_file_path       = abspath",
            "# Relative paths would be those of terragrunt's copy.\n    config_file_path       = abspath",
            "",
        ),
    ];
    for (count, (from, to, named)) in settings.into_iter().enumerate() {
        stack.change_unit(from, to);
        let applied = stack.apply_unit().expect_success();
        assert_eq!(applied.ignored_errors(), [""; 0], "{}", applied.output);
        let warnings = applied.warnings();
        assert_eq!(
            warnings.len(),
            usize::from(!named.is_empty()),
            "{}",
            applied.output
        );
        assert!(
            warnings
                .iter()
                .all(|warning| warning.contains(&format!("the setting {named} must be "))),
            "{warnings:?}"
        );
        assert_eq!(
            stack.world.usage_records().len(),
            count + 1,
            "{}",
            applied.output
        );
    }
    assert_eq!(
        stack
            .world
            .count_requests("PutObject", "terragrunt/airbnb/config.yaml"),
        1
    );
}

fn empty_variables_count_as_not_set(mut stack: CustomerStack) {
    for name in [
        "CONFIG_BACKUP_BUCKET",
        "CONFIG_BACKUP_BUCKET_REGION",
        "CONFIG_BACKUP_BUCKET_OWNER",
        "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        "CONFIG_BACKUP_HELPER",
        "CONFIG_BACKUP_HELPER_URL",
        "CONFIG_BACKUP_HELPER_SHA256",
    ] {
        stack.set_variable(name, "");
    }
    let stack = stack.with_local_state();
    stack.apply_unit().expect_success().assert_healthy();
    assert_eq!(stack.world.usage_records().len(), 1);
    assert!(
        stack
            .world
            .server
            .object(BUCKET, "terragrunt/airbnb/config.yaml")
            .is_some()
    );
}

fn the_encryption_of_the_environment_reaches_every_upload(mut stack: CustomerStack) {
    stack.set_variable(
        "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        "aws:kms:alias/config-backup",
    );
    let stack = stack.with_local_state();
    stack.apply_unit().expect_success().assert_healthy();
    let keys = stack.world.server.keys(BUCKET, "");
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        let object = stack.world.server.object(BUCKET, &key).expect("an object");
        assert_eq!(object.encryption.as_deref(), Some("aws:kms"), "{key}");
        let kms_key = object.kms_key.as_deref();
        assert_eq!(kms_key, Some("alias/config-backup"), "{key}");
    }
}
