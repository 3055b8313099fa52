# The settings of the unit replace the variables, have no types, and reach the helper as strings.

variables {
  config_file_path = ".terraform/stub/variable.yaml"
  bucket           = "the-variable"
  helper           = "no-such-helper"
  timeout          = 20
}

run "the_settings_replace_the_variables" {
  variables {
    unit_settings = {
      config_file_path       = ".terraform/stub/settings.yaml"
      customer_name          = ""
      aws_profile            = ""
      project_name           = ""
      cluster_name           = ""
      additional_users_count = null
      bucket                 = "the-settings"
      bucket_region          = "us-east-1"
      expected_bucket_owner  = ""
      bucket_encryption      = ""
      timeout                = 10
      helper                 = "./tests/stub.sh"
      helper_url             = ""
      helper_sha256          = ""
    }
  }

  assert {
    condition = { for key, value in jsondecode(file("${var.unit_settings.config_file_path}.context.stdin")) : key => value if key != "unit_version" } == {
      config_file_path      = ".terraform/stub/settings.yaml"
      customer_name         = ""
      aws_profile           = ""
      project_name          = ""
      cluster_name          = ""
      bucket                = "the-settings"
      bucket_region         = "us-east-1"
      expected_bucket_owner = ""
      bucket_encryption     = ""
      timeout               = "10"
    }
    error_message = "The query of `context` is ${file("${var.unit_settings.config_file_path}.context.stdin")}"
  }

  assert {
    condition     = output.status == "ok" && jsondecode(jsondecode(file("${var.unit_settings.config_file_path}.deploy.stdin")).request).bucket == "the-settings"
    error_message = "${output.status}: ${output.message}"
  }
}

run "values_of_wrong_types_are_strings" {
  variables {
    unit_settings = {
      config_file_path       = ".terraform/stub/types.yaml"
      customer_name          = ["acme", "corp"]
      aws_profile            = { name = "team", roles = ["a", { b = null }] }
      project_name           = true
      cluster_name           = 1.5
      additional_users_count = [5, 6]
      bucket                 = "NOT A BUCKET"
      bucket_region          = "nowhere"
      expected_bucket_owner  = 123456789012
      bucket_encryption      = ["aws:kms"]
      timeout                = "soon"
      helper                 = "./tests/stub.sh"
      helper_url             = ["https://example.com"]
      helper_sha256          = { a = 1 }
      a_name_of_another_day  = "kept"
    }
  }

  assert {
    condition = { for key, value in jsondecode(jsondecode(file("${var.unit_settings.config_file_path}.deploy.stdin")).request) : key => value if contains(keys(var.unit_settings), key) } == {
      config_file_path       = ".terraform/stub/types.yaml"
      customer_name          = "[\"acme\",\"corp\"]"
      aws_profile            = "{\"name\":\"team\",\"roles\":[\"a\",{\"b\":null}]}"
      project_name           = "true"
      cluster_name           = "1.5"
      additional_users_count = "[5,6]"
      bucket                 = "NOT A BUCKET"
      bucket_region          = "nowhere"
      expected_bucket_owner  = "123456789012"
      bucket_encryption      = "[\"aws:kms\"]"
      timeout                = "soon"
      a_name_of_another_day  = "kept"
    }
    error_message = "The request of `deploy` is ${file("${var.unit_settings.config_file_path}.deploy.stdin")}"
  }
}

run "null_everywhere_is_the_default_helper_and_no_setting" {
  variables {
    unit_settings = {
      config_file_path       = null
      customer_name          = null
      aws_profile            = null
      project_name           = null
      cluster_name           = null
      additional_users_count = null
      bucket                 = null
      bucket_region          = null
      expected_bucket_owner  = null
      bucket_encryption      = null
      timeout                = null
      helper                 = null
      helper_url             = "http://127.0.0.1:9/helper" # with it, the words of the command have defaults of their own
      helper_sha256          = null
    }
  }

  # A machine with a helper in PATH has no warning here, so the check is not part of this run.
  command = plan

  assert {
    condition     = join(" ", keys(data.external.context.query)) == "unit_version"
    error_message = "A setting that is null is in the query."
  }

  assert {
    condition     = join(" ", data.external.context.program) == "/bin/sh ./helper.sh context config-backup http://127.0.0.1:9/helper none 10"
    error_message = "The command is ${join(" ", data.external.context.program)}"
  }
}

run "a_helper_that_is_a_list_is_the_default_helper" {
  command = plan

  variables {
    unit_settings = {
      helper = ["./tests/stub.sh"]
    }
  }

  assert {
    condition     = join(" ", data.external.context.program) == "/bin/sh ./helper.sh context config-backup none none 20"
    error_message = "The command is ${join(" ", data.external.context.program)}"
  }
}
