# Two steps: `context` reads at plan what a deployment needs to know, `deploy` uploads at apply and reports the result.
# Nothing here can fail a deployment: helper.sh answers in the place of a helper that is missing or fails.

locals {
  unit_version = "0.1.0"

  # The unit's settings replace the variables as a whole. They have no types, so a wrong value there is a warning of
  # the helper and not an error of Terraform.
  settings = merge({
    config_file_path       = var.config_file_path
    customer_name          = var.customer_name
    aws_profile            = var.aws_profile
    project_name           = var.project_name
    cluster_name           = var.cluster_name
    additional_users_count = var.additional_users_count
    bucket                 = var.bucket
    bucket_region          = var.bucket_region
    expected_bucket_owner  = var.expected_bucket_owner
    bucket_encryption      = var.bucket_encryption
    timeout                = var.timeout
    helper                 = var.helper
    helper_url             = var.helper_url
    helper_sha256          = var.helper_sha256
  }, var.unit_settings)

  # What the helper reads, as strings: the external protocol has no other type. The helper needs nothing about itself.
  query = merge(
    { for name, value in local.settings : name => try(tostring(value), jsonencode(value)) if value != null && !startswith(name, "helper") },
    { unit_version = local.unit_version },
  )

  # The command in front of each query. The provider drops empty words, hence `none`.
  helper     = try(coalesce(tostring(local.settings.helper)), "config-backup")
  helper_url = try(coalesce(tostring(local.settings.helper_url)), "")
  timeout    = try(coalesce(tostring(local.settings.timeout)), "10")
  fetch      = [local.helper_url == "" ? "none" : local.helper_url, try(coalesce(tostring(local.settings.helper_sha256)), "none")]

  # The seconds that `context` has left to `deploy`.
  time_left = try(tostring(max(1, ceil(local.timeout - local.context.spent_ms / 1000))), local.timeout)

  # What `deploy` is asked, as one text: Terraform passes values that are known at apply only in no other form.
  deploy_program = concat(["/bin/sh", "${path.module}/helper.sh", "deploy", local.helper], local.fetch, [local.time_left])
  request = jsonencode(merge(local.query, {
    planned_id    = try(local.context.deployment_id, "")
    deployment_id = terraform_data.environment.output
    backup_id     = try(local.context.backup_id, "")
    backup_key    = try(local.context.backup_key, "")
    config_hash   = try(local.context.config_hash, "")
    plan_status   = try(local.context.status, "")
    spent_ms      = try(local.context.spent_ms, "0")
    # Who planned, for the record of an apply that cannot ask.
    caller_arn     = try(local.context.caller_arn, "")
    user_id        = try(local.context.user_id, "")
    account        = try(local.context.account, "")
    credentials_id = try(local.context.credentials_id, "")
  }))

  context    = data.external.context.result
  is_refresh = try(terraform_data.environment.output != local.context.deployment_id, false)
}

# At plan: the config's hash, who plans, and whether the bucket has this config already. Read-only.
data "external" "context" {
  program = concat(["/bin/sh", "${path.module}/helper.sh", "context", local.helper], local.fetch, [local.timeout])
  query   = local.query
}

# One resource for the life of the environment, updated in place by each apply: `context` answers with a new
# deployment_id in each plan. A time would not do, because two applies can share a second.
resource "terraform_data" "environment" {
  input = try(local.context.deployment_id, "")
}

# At apply, and only there, because it depends on a resource that changes in each apply. A refresh-only run reads it as
# well, but then the resource still has the id of the last apply: where the two ids differ, the helper does nothing.
#
# Every plan shows its arguments, so they are not known before the apply: one line each instead of one for each word.
# No id is `none`, so `deploy` gets all of them at apply.
data "external" "deploy" {
  program = [for word in local.deploy_program : word if terraform_data.environment.output != "none"]
  query   = { for name, value in { request = local.request } : name => value if terraform_data.environment.output != "none" }

  depends_on = [terraform_data.environment]
}

# Silent at plan, where the result is not known yet, and in a refresh-only run; exact at apply. An expression that
# cannot be evaluated here would be an error, hence try().
check "config_backup" {
  assert {
    condition     = anytrue([!terraform.applying, local.is_refresh, try(data.external.deploy.result.status, "unknown") == "ok"])
    error_message = "config-backup: ${try(data.external.deploy.result.message, "the result of this deployment is unknown")}"
  }
}
