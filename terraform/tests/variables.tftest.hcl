# Every rule of every variable: what it refuses, and the extreme values that it accepts.

variables {
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./tests/stub.sh"
}

run "customer_name_refuses_control_characters" {
  command = plan

  variables {
    customer_name = "acme\u0007"
  }

  expect_failures = [var.customer_name]
}

run "customer_name_refuses_a_line_break" {
  command = plan

  variables {
    customer_name = "acme\ncorp"
  }

  expect_failures = [var.customer_name]
}

run "customer_name_refuses_1025_characters" {
  command = plan

  variables {
    customer_name = format("%01025d", 0)
  }

  expect_failures = [var.customer_name]
}

run "aws_profile_refuses_an_opening_bracket" {
  command = plan

  variables {
    aws_profile = "[team"
  }

  expect_failures = [var.aws_profile]
}

run "aws_profile_refuses_a_closing_bracket" {
  command = plan

  variables {
    aws_profile = "team]"
  }

  expect_failures = [var.aws_profile]
}

run "aws_profile_refuses_control_characters" {
  command = plan

  variables {
    aws_profile = "team\n"
  }

  expect_failures = [var.aws_profile]
}

run "config_file_path_refuses_nothing" {
  command = plan

  variables {
    config_file_path = ""
  }

  expect_failures = [var.config_file_path]
}

run "config_file_path_refuses_blanks" {
  command = plan

  variables {
    config_file_path = " \t"
  }

  expect_failures = [var.config_file_path]
}

run "additional_users_count_refuses_a_negative_number" {
  command = plan

  variables {
    additional_users_count = -1
  }

  expect_failures = [var.additional_users_count]
}

run "additional_users_count_refuses_a_fraction" {
  command = plan

  variables {
    additional_users_count = 1.5
  }

  expect_failures = [var.additional_users_count]
}

run "project_name_refuses_1025_characters" {
  command = plan

  variables {
    project_name = format("%01025d", 0)
  }

  expect_failures = [var.project_name]
}

run "cluster_name_refuses_1025_characters" {
  command = plan

  variables {
    cluster_name = format("%01025d", 0)
  }

  expect_failures = [var.cluster_name]
}

run "bucket_refuses_upper_case" {
  command = plan

  variables {
    bucket = "MongoDB-arena"
  }

  expect_failures = [var.bucket]
}

run "bucket_refuses_two_characters" {
  command = plan

  variables {
    bucket = "ab"
  }

  expect_failures = [var.bucket]
}

run "bucket_refuses_64_characters" {
  command = plan

  variables {
    bucket = format("%064d", 0)
  }

  expect_failures = [var.bucket]
}

run "bucket_refuses_a_path" {
  command = plan

  variables {
    bucket = "arena/usage-logs"
  }

  expect_failures = [var.bucket]
}

run "bucket_refuses_a_hyphen_at_the_end" {
  command = plan

  variables {
    bucket = "arena-"
  }

  expect_failures = [var.bucket]
}

run "bucket_region_refuses_a_description" {
  command = plan

  variables {
    bucket_region = "US East"
  }

  expect_failures = [var.bucket_region]
}

run "bucket_region_refuses_a_word" {
  command = plan

  variables {
    bucket_region = "virginia"
  }

  expect_failures = [var.bucket_region]
}

run "expected_bucket_owner_refuses_a_name" {
  command = plan

  variables {
    expected_bucket_owner = "the demo account"
  }

  expect_failures = [var.expected_bucket_owner]
}

run "expected_bucket_owner_refuses_too_few_digits" {
  command = plan

  variables {
    expected_bucket_owner = "12345678901"
  }

  expect_failures = [var.expected_bucket_owner]
}

run "bucket_encryption_refuses_another_spelling" {
  command = plan

  variables {
    bucket_encryption = "aes256"
  }

  expect_failures = [var.bucket_encryption]
}

run "bucket_encryption_refuses_a_key_that_is_none" {
  command = plan

  variables {
    bucket_encryption = "aws:kms:dsse"
  }

  expect_failures = [var.bucket_encryption]
}

run "helper_refuses_nothing" {
  command = plan

  variables {
    helper = ""
  }

  expect_failures = [var.helper]
}

run "helper_refuses_blanks" {
  command = plan

  variables {
    helper = " "
  }

  expect_failures = [var.helper]
}

run "helper_url_refuses_a_password" {
  command = plan

  variables {
    helper_url = "https://jane:secret@example.com/config-backup"
  }

  expect_failures = [var.helper_url]
}

run "helper_url_refuses_a_query" {
  command = plan

  variables {
    helper_url = "https://example.com/config-backup?token=secret"
  }

  expect_failures = [var.helper_url]
}

run "helper_url_refuses_a_path" {
  command = plan

  variables {
    helper_url = "/srv/config-backup"
  }

  expect_failures = [var.helper_url]
}

run "helper_url_refuses_a_folder" {
  command = plan

  variables {
    helper_url = "https://example.com/"
  }

  expect_failures = [var.helper_url]
}

run "helper_url_refuses_another_scheme" {
  command = plan

  variables {
    helper_url = "file:///srv/config-backup"
  }

  expect_failures = [var.helper_url]
}

run "helper_url_refuses_a_line_break" {
  command = plan

  variables {
    helper_url = "https://example.com/config\nbackup"
  }

  expect_failures = [var.helper_url]
}

run "helper_sha256_refuses_63_digits" {
  command = plan

  variables {
    helper_sha256 = format("%063d", 0)
  }

  expect_failures = [var.helper_sha256]
}

run "helper_sha256_refuses_65_digits" {
  command = plan

  variables {
    helper_sha256 = format("%065d", 0)
  }

  expect_failures = [var.helper_sha256]
}

run "helper_sha256_refuses_upper_case" {
  command = plan

  variables {
    helper_sha256 = upper(sha256("helper"))
  }

  expect_failures = [var.helper_sha256]
}

run "helper_sha256_refuses_a_word" {
  command = plan

  variables {
    helper_sha256 = "latest"
  }

  expect_failures = [var.helper_sha256]
}

run "helper_sha256_refuses_a_list_of_sums_without_names" {
  command = plan

  variables {
    helper_sha256 = "${sha256("one")}\n${sha256("two")}"
  }

  expect_failures = [var.helper_sha256]
}

run "timeout_refuses_0" {
  command = plan

  variables {
    timeout = 0
  }

  expect_failures = [var.timeout]
}

run "timeout_refuses_301" {
  command = plan

  variables {
    timeout = 301
  }

  expect_failures = [var.timeout]
}

run "timeout_refuses_a_fraction" {
  command = plan

  variables {
    timeout = 1.5
  }

  expect_failures = [var.timeout]
}

run "the_smallest_good_values_pass" {
  command = plan

  variables {
    customer_name          = ""
    aws_profile            = ""
    additional_users_count = 0
    project_name           = ""
    cluster_name           = ""
    bucket                 = "a.b"
    bucket_region          = "eu-west-3"
    expected_bucket_owner  = ""
    bucket_encryption      = ""
    helper_url             = ""
    helper_sha256          = ""
    timeout                = 1
  }
}

run "the_largest_good_values_pass" {
  command = plan

  variables {
    customer_name          = format("%01024d", 0)
    aws_profile            = "team/prod admin@acme.example"
    additional_users_count = 1000000
    project_name           = format("%01024d", 0)
    cluster_name           = format("%01024d", 0)
    bucket                 = format("%063d", 0)
    bucket_region          = "us-isob-east-1"
    expected_bucket_owner  = "123456789012"
    bucket_encryption      = "aws:kms:arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef"
    helper_url             = "https://mirror.example.com:8443/releases/v0.1.0/config-backup-0.1.0-{target}.tar.gz"
    helper_sha256          = "${sha256("one")}  one.tar.gz\n${sha256("two")} *two.tar.gz\n"
    timeout                = 300
  }
}

run "null_stands_for_the_default" {
  command = plan

  variables {
    customer_name          = null
    aws_profile            = null
    additional_users_count = null
    project_name           = null
    cluster_name           = null
    bucket                 = null
    bucket_region          = null
    expected_bucket_owner  = null
    bucket_encryption      = null
    helper_url             = null
    helper_sha256          = null
    timeout                = null
  }

  assert {
    condition = { for key, value in jsondecode(file("${var.config_file_path}.context.stdin")) : key => value if key != "unit_version" } == {
      config_file_path = ".terraform/stub/config.yaml"
      customer_name    = ""
      aws_profile      = ""
      project_name     = ""
      cluster_name     = ""
      bucket           = "mongodb-arena"
      bucket_region    = "us-east-1"
      timeout          = "10"

      expected_bucket_owner = ""
      bucket_encryption     = ""
    }
    error_message = "The query of `context` is ${file("${var.config_file_path}.context.stdin")}"
  }
}
