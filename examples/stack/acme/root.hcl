# What all units of this customer share. The folder's name is the customer's.

locals {
  # By the folder and not by config.yaml: an edit there, or a typo, must never point a unit at another state.
  customer = basename(get_parent_terragrunt_dir("root"))

  # An error while this file is parsed would stop the whole `--all` run, hence try().
  config  = try(yamldecode(file("${get_parent_terragrunt_dir("root")}/config.yaml")), {})
  profile = try(tostring(local.config.aws.profile), "default")

  # As the helper has it: the profile where this machine has one of that name, otherwise the environment's credentials. One of
  # a region alone, as CI often has it, is none.
  aws_files   = [get_env("AWS_CONFIG_FILE", "~/.aws/config"), get_env("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")]
  has_profile = anytrue([for path in local.aws_files : can(regex("(?m)^\\[(profile +)?${local.profile}\\][^\\[]*^(aws_access_key_id|credential_|login_session|role_arn|sso_|source_profile)", file(pathexpand(path))))])
}

remote_state {
  backend = "s3"

  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }

  # No lock file: it needs s3:DeleteObject to be taken away again, which the profile does not have.
  config = merge(
    {
      bucket  = get_env("CONFIG_BACKUP_BUCKET", "mongodb-arena")
      region  = get_env("CONFIG_BACKUP_BUCKET_REGION", "us-east-1")
      key     = "terragrunt/${local.customer}/${path_relative_to_include()}/terraform.tfstate"
      encrypt = true
    },
    local.has_profile ? { profile = local.profile } : {},
    # S3-compatible servers are seldom reachable as bucket.host.
    get_env("AWS_ENDPOINT_URL_S3", "") == "" ? {} : { use_path_style = true },
  )
}
