# The unit that backs config.yaml up and logs the deployment. It runs with `terragrunt apply --all` in the customer
# folder and with `terragrunt apply --working-dir=config-backup`. It depends on no unit, and no unit depends on it.
# There is no `source`: the module is this folder.

# The root file is read and not merged: only the place of the state comes from it (and what is needed to reach that place),
# so hooks, sources, generated files, arguments and inputs that are meant for other units do not reach this one.
include "root" {
  path           = find_in_parent_folders("root.hcl", "${get_terragrunt_dir()}/no_root.hcl")
  expose         = true
  merge_strategy = "no_merge"
}

locals {
  # A variable that is set but empty counts as not set.
  variables = { for name, default in {
    BUCKET        = "mongodb-arena"
    BUCKET_REGION = "us-east-1"
    BUCKET_OWNER  = ""
    HELPER        = "config-backup"
    HELPER_URL    = ""
    HELPER_SHA256 = ""
  } : name => get_env("CONFIG_BACKUP_${name}", "") != "" ? get_env("CONFIG_BACKUP_${name}", "") : default }

  # All settings of this unit; README.md describes them. Empty and null stand for "as config.yaml says" or the default.
  # The helper reads config.yaml itself, because terragrunt stops the whole run at a file that it cannot parse.
  settings = {
    config_file_path       = abspath("${get_terragrunt_dir()}/../config.yaml")
    customer_name          = ""
    aws_profile            = ""
    project_name           = ""
    cluster_name           = ""
    additional_users_count = null
    bucket                 = local.variables.BUCKET
    bucket_region          = local.variables.BUCKET_REGION
    expected_bucket_owner  = local.variables.BUCKET_OWNER
    timeout                = 10
    helper                 = local.variables.HELPER
    helper_url             = local.variables.HELPER_URL
    helper_sha256          = local.variables.HELPER_SHA256
  }
}

# The settings reach the module in a file, which beats TF_VAR_* of the shell.
generate "config_backup_settings" {
  path              = "config_backup.auto.tfvars.json"
  if_exists         = "overwrite"
  disable_signature = true
  contents = jsonencode(merge(
    { for name, value in local.settings : name => null },
    { config_file_path = local.settings.config_file_path, unit_settings = local.settings },
  ))
}
