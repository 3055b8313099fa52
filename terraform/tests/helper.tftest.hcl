# Whatever the helper does, the apply goes to its end, the check warns, and the message names the helper and the way out.

variables {
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./tests/stub.sh"
}

run "a_plan_says_nothing_of_a_missing_helper" {
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
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
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
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
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
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
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
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' is not executable: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_plan_says_nothing_of_a_failing_helper" {
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
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' failed in 'outcome' with exit code 1: this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_text" {
  variables {
    project_name = "all text"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_nothing" {
  variables {
    project_name = "all empty"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_two_lines" {
  variables {
    project_name = "all two-lines"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_an_array" {
  variables {
    project_name = "all array"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_no_status" {
  variables {
    project_name = "all no-status"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_helper_that_writes_half_an_answer" {
  variables {
    project_name = "all truncated"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "an_outcome_that_is_garbage_after_a_good_context" {
  variables {
    project_name = "outcome text"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "The status is ${output.status}, and what is not known is not empty."
  }

  assert {
    condition     = output.message == "the helper '${var.helper}' gave no answer of config-backup in 'outcome': this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
    error_message = output.message
  }
}

run "a_context_that_is_garbage_costs_neither_backup_nor_log" {
  variables {
    project_name = "context text"
  }

  assert {
    condition     = output.status == "ok" && can(regex("^s3://stub/[0-9]{8}T[0-9]{6}Z-[0-9]+$", output.log_uri))
    error_message = "helper.sh made no deployment id in the helper's place: ${output.log_uri}"
  }

  assert {
    condition     = "s3://stub/${jsondecode(file("${var.config_file_path}.backup.stdin")).deployment_id}" == output.log_uri
    error_message = "The backup did not run in this deployment."
  }

  assert {
    condition     = "s3://stub/${jsondecode(file("${var.config_file_path}.log.stdin")).deployment_id}" == output.log_uri
    error_message = "The log did not run in this deployment."
  }
}

run "uploads_that_fail_stop_nothing" {
  variables {
    project_name = "backup exit-1"
  }

  assert {
    condition     = "s3://stub/${jsondecode(file("${var.config_file_path}.log.stdin")).deployment_id}" == output.log_uri
    error_message = "The log did not run after a backup that failed."
  }
}

run "a_context_of_a_status_and_nothing_else" {
  variables {
    project_name = "context status-only-ok"
  }

  assert {
    condition = { for key in ["deployment_id", "backup_id", "backup_key", "config_hash", "spent_ms"] : key => jsondecode(file("${var.config_file_path}.log.stdin"))[key] } == {
      deployment_id = ""
      backup_id     = ""
      backup_key    = ""
      config_hash   = ""
      spent_ms      = "0"
    }
    error_message = "A key that the context lacks is not empty in the request."
  }
}

run "an_outcome_of_a_status_and_nothing_else" {
  variables {
    project_name = "outcome status-only-error"
  }

  expect_failures = [check.config_backup]

  assert {
    condition     = output.status == "error" && join("", [output.message, output.config_hash, output.caller_arn, output.backup_uri, output.log_uri]) == ""
    error_message = "What the outcome lacks is not empty."
  }
}

run "an_outcome_of_an_unknown_status" {
  variables {
    project_name = "outcome status-only-splendid"
  }

  expect_failures = [check.config_backup]
}
