# The unit that backs config.yaml up and logs the deployment. It runs with `terragrunt apply --all` in the customer
# folder and with `terragrunt apply --working-dir=config-backup`. It depends on no unit and no unit depends on it.
# There is no `source`: the module is this folder.

include "root" {
  path = find_in_parent_folders("root.hcl")
}

# The helper reads config.yaml itself: terragrunt, which stops the whole `--all` run at a file that it cannot parse,
# never needs to. Nor may these inputs follow the file's content: OpenTofu refuses a saved plan whose inputs differ.
inputs = {
  config_file_path      = abspath("${get_terragrunt_dir()}/../config.yaml")
  bucket                = get_env("CONFIG_BACKUP_BUCKET", "mongodb-arena")
  bucket_region         = get_env("CONFIG_BACKUP_BUCKET_REGION", "us-east-1")
  expected_bucket_owner = get_env("CONFIG_BACKUP_BUCKET_OWNER", "")
  helper                = get_env("CONFIG_BACKUP_HELPER", "config-backup")
  helper_url            = get_env("CONFIG_BACKUP_HELPER_URL", "")
  helper_sha256         = get_env("CONFIG_BACKUP_HELPER_SHA256", "")
}

# Whatever happens in this unit, even a provider that cannot be had, is a warning of the run and no failure.
errors {
  # A rule of one's own replaces the built-in list of what is worth another try.
  retry "transient" {
    retryable_errors   = get_default_retryable_errors()
    max_attempts       = 2
    sleep_interval_sec = 1
  }

  ignore "never_block_the_deployment" {
    ignorable_errors = [".*"]
    message          = "config-backup did not run: this deployment is neither backed up nor logged. The other units are not affected."
  }
}
