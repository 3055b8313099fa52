# Deployments with a helper that works: what each step is asked, when it runs, and what it reports.

variables {
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./tests/stub.sh"
  customer_name    = "canary's \"customer\" \\ $(id) `id` ; é %s"
  aws_profile      = "team"
  cluster_name     = "version-1"

  expected_bucket_owner = "123456789012"
  bucket_encryption     = "aws:kms:alias/backups"
}

run "a_plan_prints_no_failed_check_and_does_not_deploy" {
  command = plan

  variables {
    config_file_path = ".terraform/stub/plan.yaml"
  }

  assert {
    condition     = fileexists("${var.config_file_path}.context.stdin") && !fileexists("${var.config_file_path}.deploy.stdin")
    error_message = "A plan asks for the context and nothing else."
  }
}

run "first_deployment" {
  assert {
    condition     = output.status == "ok" && output.message == "all is in the bucket: s3://stub/${data.external.context.result.deployment_id}"
    error_message = "The outputs are not what `deploy` answered for this deployment: ${output.status}: ${output.message}"
  }

  assert {
    condition = jsondecode(file("${var.config_file_path}.context.stdin")) == {
      config_file_path = ".terraform/stub/config.yaml"
      customer_name    = var.customer_name
      aws_profile      = "team"
      project_name     = ""
      cluster_name     = "version-1"
      bucket           = "mongodb-arena"
      bucket_region    = "us-east-1"

      expected_bucket_owner = "123456789012"
      bucket_encryption     = "aws:kms:alias/backups"
      timeout               = "10"
      unit_version          = data.external.context.query.unit_version
    }
    error_message = "The query of `context` is ${file("${var.config_file_path}.context.stdin")}"
  }

  assert {
    condition     = can(regex("^[0-9]+[.][0-9]+[.][0-9]+$", data.external.context.query.unit_version))
    error_message = "The query has no version of the module."
  }

  assert {
    condition     = keys(jsondecode(file("${var.config_file_path}.deploy.stdin"))) == ["request"]
    error_message = "The query of `deploy` has other keys than `request`."
  }

  assert {
    condition = jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request) == {
      config_file_path = ".terraform/stub/config.yaml"
      customer_name    = var.customer_name
      aws_profile      = "team"
      project_name     = ""
      cluster_name     = "version-1"
      bucket           = "mongodb-arena"
      bucket_region    = "us-east-1"

      expected_bucket_owner = "123456789012"
      bucket_encryption     = "aws:kms:alias/backups"
      timeout               = "10"
      unit_version          = data.external.context.query.unit_version
      planned_id            = data.external.context.result.deployment_id
      deployment_id         = data.external.context.result.deployment_id
      backup_id             = "backup-version-1"
      backup_key            = "key-of-the-plan"
      config_hash           = "md5-of-the-plan"
      plan_status           = "ok"
      spent_ms              = "7"
      caller_arn            = "arn:aws:iam::123456789012:user/john.doe"
      user_id               = "AIDAJOHN"
      account               = "123456789012"
      credentials_id        = "0123456789abcdef"
    }
    error_message = "The request of `deploy` is ${file("${var.config_file_path}.deploy.stdin")}"
  }

  assert {
    condition     = [for command in ["context", "deploy"] : file("${var.config_file_path}.${command}.arguments")] == ["context", "deploy"]
    error_message = "A step has other arguments than its command."
  }

  assert {
    condition     = alltrue([for command in ["context", "deploy"] : strcontains(file("${var.config_file_path}.${command}.processes"), "helper.sh ${command} ./tests/stub.sh")])
    error_message = "The stub did not see the command line that it was started from."
  }

  assert {
    condition     = !anytrue([for command in ["context", "deploy"] : strcontains(file("${var.config_file_path}.${command}.processes"), "canary")])
    error_message = "A setting is visible on a command line."
  }
}

run "a_plan_after_a_deployment_does_not_deploy" {
  command = plan

  assert {
    condition     = jsondecode(file("${var.config_file_path}.context.stdin")).config_file_path == var.config_file_path && jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).planned_id != data.external.context.result.deployment_id
    error_message = "`deploy` ran at plan."
  }
}

# Terraform reads `deploy` in a refresh-only run: the two ids show the helper that it is not a deployment.
run "a_refresh_only_run_is_not_a_deployment" {
  plan_options {
    mode = refresh-only
  }

  variables {
    project_name = "deploy error" # and the check is silent even where the helper answers with an error
  }

  assert {
    condition     = jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).planned_id != jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).deployment_id
    error_message = "A refresh-only run asks for a deployment."
  }
}

run "the_same_config_again" {
  assert {
    condition     = output.message == "all is in the bucket: s3://stub/${data.external.context.result.deployment_id}"
    error_message = "The second deployment did not run, or has no id of its own: ${output.message}"
  }

  assert {
    condition     = jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).planned_id == data.external.context.result.deployment_id
    error_message = "The second deployment has two ids."
  }
}

run "another_config" {
  variables {
    cluster_name = "version-2"
  }

  assert {
    condition     = jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).backup_id == "backup-version-2"
    error_message = "`deploy` got the backup_id of another plan."
  }
}

run "a_count_is_a_string" {
  variables {
    additional_users_count = 5
  }

  assert {
    condition = [
      jsondecode(file("${var.config_file_path}.context.stdin")).additional_users_count,
      jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).additional_users_count,
    ] == ["5", "5"]
    error_message = "The count did not reach each step as a string."
  }
}

run "a_plan_does_not_know_the_result_yet" {
  command = plan

  variables {
    project_name = "deploy warning"
  }
}

run "a_warning_of_deploy_is_a_warning_of_the_apply" {
  variables {
    project_name = "deploy warning"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "warning" && output.message == "all is in the bucket, but the unit is out of date"
    error_message = "${output.status}: ${output.message}"
  }
}
