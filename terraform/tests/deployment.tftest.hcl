# Deployments with a helper that works: who is told what, what runs when, and what comes back.

variables {
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./tests/stub.sh"
  customer_name    = "canary's \"customer\" \\ $(id) `id` ; é %s"
  aws_profile      = "team"
  cluster_name     = "version-1"

  expected_bucket_owner = "123456789012"
}

run "a_plan_prints_no_failed_check" {
  command = plan
}

run "first_deployment" {
  assert {
    condition = {
      config_hash = output.config_hash
      caller_arn  = output.caller_arn
      backup_uri  = output.backup_uri
      status      = output.status
      message     = output.message
      } == {
      config_hash = "md5-of-the-outcome"
      caller_arn  = "arn:aws:iam::123456789012:user/jane.roe"
      backup_uri  = "s3://stub/config.yaml"
      status      = "ok"
      message     = "all is in the bucket"
    }
    error_message = "The outputs are not what the outcome said."
  }

  assert {
    condition     = output.log_uri == "s3://stub/${data.external.context.result.deployment_id}"
    error_message = "The outcome was not asked about this deployment: ${output.log_uri}"
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
      timeout               = "10"
      unit_version          = data.external.context.query.unit_version
    }
    error_message = "context was asked ${file("${var.config_file_path}.context.stdin")}"
  }

  assert {
    condition     = can(regex("^[0-9]+[.][0-9]+[.][0-9]+$", data.external.context.query.unit_version))
    error_message = "The module does not say its version."
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.outcome.stdin")) == merge(data.external.context.query, { deployment_id = data.external.context.result.deployment_id })
    error_message = "outcome was asked ${file("${var.config_file_path}.outcome.stdin")}"
  }

  assert {
    condition = jsondecode(file("${var.config_file_path}.log.stdin")) == {
      config_file_path = ".terraform/stub/config.yaml"
      customer_name    = var.customer_name
      aws_profile      = "team"
      project_name     = ""
      cluster_name     = "version-1"
      bucket           = "mongodb-arena"
      bucket_region    = "us-east-1"

      expected_bucket_owner = "123456789012"
      timeout               = "10"
      unit_version          = data.external.context.query.unit_version
      deployment_id         = data.external.context.result.deployment_id
      backup_id             = "backup-version-1"
      backup_key            = "key-of-the-plan"
      config_hash           = "md5-of-the-plan"
      plan_status           = data.external.context.result.status
      spent_ms              = "7"
    }
    error_message = "log was told ${file("${var.config_file_path}.log.stdin")}"
  }

  assert {
    condition     = length(distinct([for name in ["backup.stdin", "backup.request", "log.stdin", "log.request"] : file("${var.config_file_path}.${name}")])) == 1
    error_message = "backup and log were not told the same, in the environment and on stdin."
  }

  assert {
    condition     = [for verb in ["context", "backup", "log", "outcome"] : file("${var.config_file_path}.${verb}.arguments")] == ["context", "backup", "log", "outcome"]
    error_message = "A step has other arguments than its verb."
  }

  assert {
    condition     = alltrue([for verb in ["context", "backup", "log", "outcome"] : strcontains(file("${var.config_file_path}.${verb}.processes"), "helper.sh ${verb} ./tests/stub.sh")])
    error_message = "The stub did not see the command line that it was started from."
  }

  assert {
    condition     = !anytrue([for verb in ["context", "backup", "log", "outcome"] : strcontains(file("${var.config_file_path}.${verb}.processes"), "canary")])
    error_message = "What the helper is told stands on a command line."
  }
}

# The notes of the first deployment's backup are still there: its request has the id of that deployment.
run "the_same_config_again" {
  assert {
    condition     = jsondecode(file("${var.config_file_path}.log.stdin")).deployment_id == data.external.context.result.deployment_id
    error_message = "The second deployment was not logged."
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.backup.stdin")).deployment_id != data.external.context.result.deployment_id
    error_message = "A config that did not change was backed up again, or the second deployment has no id of its own."
  }
}

run "another_config" {
  variables {
    cluster_name = "version-2"
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.backup.stdin")).deployment_id == data.external.context.result.deployment_id
    error_message = "A config that changed was not backed up."
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.log.stdin")).deployment_id == data.external.context.result.deployment_id
    error_message = "The third deployment was not logged."
  }
}

# A backup that takes its time would be overtaken by whoever does not wait for it.
run "log_waits_for_backup_and_outcome_for_both" {
  variables {
    cluster_name = "version-3"
    project_name = "backup slow"
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.log.earlier")).deployment_id == data.external.context.result.deployment_id
    error_message = "log did not wait for backup."
  }

  assert {
    condition     = jsondecode(file("${var.config_file_path}.outcome.earlier")).deployment_id == data.external.context.result.deployment_id
    error_message = "outcome did not wait for log."
  }
}

run "a_count_is_told_as_a_string" {
  variables {
    additional_users_count = 5
  }

  assert {
    condition     = [for verb in ["context", "backup", "log", "outcome"] : jsondecode(file("${var.config_file_path}.${verb}.stdin")).additional_users_count] == ["5", "5", "5", "5"]
    error_message = "The count did not reach every step as a string."
  }
}

run "a_plan_does_not_know_the_outcome_yet" {
  command = plan

  variables {
    project_name = "outcome warning"
  }
}

run "a_warning_of_the_outcome_is_a_warning_of_the_apply" {
  variables {
    project_name = "outcome warning"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "warning" && output.message == "all is in the bucket, but the unit is out of date"
    error_message = "${output.status}: ${output.message}"
  }
}
