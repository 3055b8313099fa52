# What all units of this customer share. The folder's name is the customer's.

locals {
  # By the folder and not by config.yaml: an edit there, or a typo, must never point a unit at another state.
  customer = basename(get_parent_terragrunt_dir("root"))

  # An error while this file is parsed would stop the whole `--all` run, hence try().
  config  = try(yamldecode(file("${get_parent_terragrunt_dir("root")}/config.yaml")), {})
  profile = try(tostring(local.config.aws.profile), "default")

  # CI brings its credentials in the environment, and a machine without AWS files has those of its role. Everywhere else the
  # profile counts; the S3 backend itself looks it up, as the AWS CLI does.
  credential_variables = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
  aws_files            = [coalesce(get_env("AWS_CONFIG_FILE", ""), "~/.aws/config"), coalesce(get_env("AWS_SHARED_CREDENTIALS_FILE", ""), "~/.aws/credentials")]
  has_credentials      = anytrue([for name in local.credential_variables : get_env(name, "") != ""])
  has_profile          = !local.has_credentials && anytrue([for path in local.aws_files : try(fileexists(pathexpand(path)), false)])
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
      bucket  = coalesce(get_env("CONFIG_BACKUP_BUCKET", ""), "mongodb-arena") # a variable that is set but empty counts as not set
      region  = coalesce(get_env("CONFIG_BACKUP_BUCKET_REGION", ""), "us-east-1")
      key     = "terragrunt/${local.customer}/${path_relative_to_include()}/terraform.tfstate"
      encrypt = true
    },
    local.has_profile ? { profile = local.profile } : {},
    # S3-compatible servers are seldom reachable as bucket.host.
    get_env("AWS_ENDPOINT_URL_S3", "") == "" ? {} : { use_path_style = true },
  )
}
