# Whatever the helper does, the apply succeeds, the check warns, and the message names the helper and the way out.

variables {
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./tests/stub.sh"
}

run "a_plan_is_silent_about_a_missing_helper" {
  command = plan

  variables {
    helper = "no-such-helper"
  }
}

run "a_helper_that_is_not_in_path" {
  variables {
    helper = "no-such-helper"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' is not installed: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_is_not_at_its_path" {
  variables {
    helper = "/no/such folder/$(helper)"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' is not installed: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_is_not_executable" {
  variables {
    helper = "./main.tf"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' is not executable: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_is_a_folder" {
  variables {
    helper = "./tests"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' is not executable: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_plan_is_silent_about_a_helper_that_fails" {
  command = plan

  variables {
    project_name = "all exit-1"
  }
}

run "a_helper_that_exits_1" {
  variables {
    project_name = "all exit-1"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' failed in 'deploy' with exit code 1: it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_is_killed" {
  variables {
    project_name = "all killed"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' failed in 'deploy' with exit code 137: it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_text" {
  variables {
    project_name = "all text"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_nothing" {
  variables {
    project_name = "all empty"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_two_lines" {
  variables {
    project_name = "all two-lines"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_an_array" {
  variables {
    project_name = "all array"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_a_number" {
  variables {
    project_name = "all number"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_no_status" {
  variables {
    project_name = "all no-status"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_helper_that_writes_half_an_answer" {
  variables {
    project_name = "all truncated"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_deploy_that_is_garbage_after_a_good_context" {
  variables {
    project_name = "deploy text"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error"
    error_message = "The status is ${output.status}."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'deploy': it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper"
    error_message = output.message
  }
}

run "a_context_that_is_garbage_costs_no_deployment" {
  variables {
    project_name = "context text"
  }

  assert {
    condition     = output.status == "ok" && can(regex("^all is in the bucket: s3://stub/[0-9]{8}T[0-9]{6}Z-[0-9]+$", output.message))
    error_message = "helper.sh made no deployment_id in the helper's place: ${output.message}"
  }

  assert {
    condition = { for key in ["planned_id", "backup_id", "backup_key", "config_hash", "plan_status", "spent_ms", "caller_arn", "credentials_id"] : key => jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request)[key] } == {
      planned_id     = data.external.context.result.deployment_id
      backup_id      = data.external.context.result.deployment_id
      backup_key     = ""
      config_hash    = ""
      plan_status    = "error"
      spent_ms       = "0"
      caller_arn     = ""
      credentials_id = ""
    }
    error_message = "The request of `deploy` is ${file("${var.config_file_path}.deploy.stdin")}"
  }
}

# Without a new deployment_id, Terraform would read `deploy` in the next plan.
run "a_context_without_a_deployment_id_gets_one" {
  variables {
    project_name = "context status-only-ok"
  }

  assert {
    condition     = output.status == "ok" && can(regex("^all is in the bucket: s3://stub/[0-9]{8}T[0-9]{6}Z-[0-9]+$", output.message))
    error_message = "helper.sh made no deployment_id in the helper's place: ${output.message}"
  }
}

run "and_the_next_plan_does_not_deploy" {
  command = plan

  variables {
    project_name = "context status-only-ok"
  }

  assert {
    condition     = jsondecode(jsondecode(file("${var.config_file_path}.deploy.stdin")).request).planned_id != data.external.context.result.deployment_id
    error_message = "`deploy` ran at plan."
  }
}

run "a_deploy_of_a_status_and_nothing_else" {
  variables {
    project_name = "deploy status-only-error"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && output.message == ""
    error_message = "The message that `deploy` did not report is not empty: ${output.message}"
  }
}

run "a_deploy_of_an_unknown_status" {
  variables {
    project_name = "deploy status-only-splendid"
  }

  expect_failures = [check.config_backup]
}
