# context -> config_backup -> usage_log -> outcome -> check: what a plan must know, what is kept and uploaded at apply,
# and what became of it. Nothing here can fail a deployment: helper.sh answers even where there is no helper.

locals {
  unit_version = "0.1.0"

  # What the helper is told in every step; null values are left out by the provider.
  query = {
    config_file_path       = var.config_file_path
    customer_name          = var.customer_name
    aws_profile            = var.aws_profile
    project_name           = var.project_name
    cluster_name           = var.cluster_name
    additional_users_count = var.additional_users_count == null ? null : tostring(var.additional_users_count)
    bucket                 = var.bucket
    bucket_region          = var.bucket_region
    expected_bucket_owner  = var.expected_bucket_owner
    timeout                = tostring(var.timeout)
    unit_version           = local.unit_version
  }

  context = data.external.context.result

  # What the steps at apply are told in addition; a key that an answer lacks is an empty string.
  request = jsonencode(merge({ for key, value in local.query : key => value if value != null }, {
    deployment_id = try(local.context.deployment_id, "")
    backup_id     = try(local.context.backup_id, "")
    backup_key    = try(local.context.backup_key, "")
    config_hash   = try(local.context.config_hash, "")
    plan_status   = try(local.context.status, "")
    spent_ms      = try(local.context.spent_ms, "0")
  }))

  # Where helper.sh gets a helper that is missing, in which time; nowhere unless told. The provider takes no empty words.
  source = var.helper_url == "" ? [] : [var.helper_url, coalesce(var.helper_sha256, "none"), tostring(var.timeout)]

  # Data travels in the environment: a command line is visible to every user of the machine.
  environment = {
    CONFIG_BACKUP_UNIT          = path.module
    CONFIG_BACKUP_HELPER        = var.helper
    CONFIG_BACKUP_HELPER_URL    = var.helper_url
    CONFIG_BACKUP_HELPER_SHA256 = var.helper_sha256
    CONFIG_BACKUP_TIMEOUT       = tostring(var.timeout)
    CONFIG_BACKUP_REQUEST       = local.request
  }
}

# Read-only, at plan time: the config's hash, who plans, and whether the bucket has this config already.
data "external" "context" {
  program = concat(["/bin/sh", "${path.module}/helper.sh", "context", var.helper], local.source)
  query   = local.query
}

# The id is the bucket's while the bucket is in step with the file, and a new one as long as it is not: an upload
# that failed is tried again by the next apply, and a config that did not change shows no diff.
resource "terraform_data" "config_backup" {
  triggers_replace = [try(local.context.backup_id, "")]

  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-c"]
    command     = "exec /bin/sh \"$CONFIG_BACKUP_UNIT/helper.sh\" backup \"$CONFIG_BACKUP_HELPER\" \"$CONFIG_BACKUP_HELPER_URL\" \"$CONFIG_BACKUP_HELPER_SHA256\" \"$CONFIG_BACKUP_TIMEOUT\""
    environment = local.environment
    on_failure  = continue
    quiet       = true
  }
}

# Every deployment has an id of its own, so this step runs in every apply. A time would not do: two applies can
# share a second.
resource "terraform_data" "usage_log" {
  triggers_replace = [try(local.context.deployment_id, "")]

  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-c"]
    command     = "exec /bin/sh \"$CONFIG_BACKUP_UNIT/helper.sh\" log \"$CONFIG_BACKUP_HELPER\" \"$CONFIG_BACKUP_HELPER_URL\" \"$CONFIG_BACKUP_HELPER_SHA256\" \"$CONFIG_BACKUP_TIMEOUT\""
    environment = local.environment
    on_failure  = continue
    quiet       = true
  }

  depends_on = [terraform_data.config_backup]
}

# Read after both uploads, since it depends on them.
data "external" "outcome" {
  program = concat(["/bin/sh", "${path.module}/helper.sh", "outcome", var.helper], local.source)
  query   = merge(local.query, { deployment_id = try(terraform_data.usage_log.triggers_replace[0], "") })

  depends_on = [terraform_data.config_backup, terraform_data.usage_log]
}

# Silent at plan, where the outcome is not known yet, and exact at apply. Whatever cannot be evaluated here would be
# an error, hence try().
check "config_backup" {
  assert {
    condition     = anytrue([!terraform.applying, try(data.external.outcome.result.status, "unknown") == "ok"])
    error_message = "config-backup: ${try(data.external.outcome.result.message, "what became of this deployment is not known")}"
  }
}
