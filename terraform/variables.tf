variable "customer_name" {
  description = "The customer's name, as it stands in the bucket's keys. Empty: `customer.name` of the config file, or the name of its folder."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.customer_name) <= 1024 && !can(regex("[[:cntrl:]]", var.customer_name))
    error_message = "The variable customer_name must have at most 1024 characters and no control characters."
  }
}

variable "aws_profile" {
  description = "The AWS profile to use. Empty: `aws.profile` of the config file; where neither names one, the environment's credentials."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = !can(regex("[[:cntrl:]\\[\\]]", var.aws_profile))
    error_message = "The variable aws_profile must be the name of a profile in the AWS config file, without brackets."
  }
}

variable "config_file_path" {
  description = "Path of the customer's `config.yaml`. It may be missing or broken: then the deployment goes on with a warning."
  type        = string
  nullable    = false

  validation {
    condition     = length(trimspace(var.config_file_path)) > 0
    error_message = "The variable config_file_path must be the path of the customer's config.yaml, such as \"/deployments/acme/config.yaml\"."
  }
}

variable "additional_users_count" {
  description = "Overrides `mongodb.additional_users_count` of the config file in the usage record."
  type        = number
  default     = null # no number stands for "as the file says"

  validation {
    condition     = var.additional_users_count == null ? true : var.additional_users_count >= 0 && floor(var.additional_users_count) == var.additional_users_count
    error_message = "The variable additional_users_count must be a whole number of at least 0, such as 5."
  }
}

variable "project_name" {
  description = "Overrides `mongodb.project_name` of the config file in the usage record."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.project_name) <= 1024
    error_message = "The variable project_name must have at most 1024 characters."
  }
}

variable "cluster_name" {
  description = "Overrides `mongodb.cluster_name` of the config file in the usage record."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.cluster_name) <= 1024
    error_message = "The variable cluster_name must have at most 1024 characters."
  }
}

variable "bucket" {
  description = "The bucket for backups and usage records."
  type        = string
  default     = "mongodb-arena"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "The variable bucket must be the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots and hyphens, such as \"mongodb-arena\"."
  }
}

variable "bucket_region" {
  description = "The region of the bucket, which is not the region of the clusters. A wrong one costs a round trip: S3 says where the bucket is."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z0-9]+)+$", var.bucket_region))
    error_message = "The variable bucket_region must be an AWS region, such as \"us-east-1\"."
  }
}

variable "expected_bucket_owner" {
  description = "The account that the bucket must belong to, 12 digits: a bucket of the same name in another account gets nothing. Empty: any account."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.expected_bucket_owner))
    error_message = "The variable expected_bucket_owner must be an AWS account of 12 digits, such as \"123456789012\", or empty."
  }
}

variable "bucket_encryption" {
  description = "The encryption that uploads ask for: `AES256`, `aws:kms` or `aws:kms:KEY`, where KEY is the id, the alias (`alias/NAME`) or the ARN of a key. For a bucket that refuses uploads without it. Empty: the bucket's default."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(AES256|aws:kms(:([A-Za-z0-9-]{36}|alias/[A-Za-z0-9/_-]+|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]{36}|alias/[A-Za-z0-9/_-]+)))?)?$", var.bucket_encryption))
    error_message = "The variable bucket_encryption must be AES256, aws:kms, aws:kms:KEY with the id, alias or ARN of a key, such as \"aws:kms:alias/backups\", or empty."
  }
}

variable "helper" {
  description = "The config-backup executable: a name that is looked up in PATH, or a path."
  type        = string
  default     = "config-backup"
  nullable    = false

  validation {
    condition     = length(trimspace(var.helper)) > 0
    error_message = "The variable helper must be a name or a path, such as \"config-backup\" or \"/usr/local/bin/config-backup\"."
  }
}

variable "helper_url" {
  description = "Where a helper that is missing is fetched from with curl, as a program or as a release's archive; `{target}` stands for the machine, as in the archives' names. It is kept in the user's cache. Empty: nothing is ever fetched."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(https?://[^[:space:][:cntrl:]@?#\"'\\\\]+[^/[:space:][:cntrl:]@?#\"'\\\\])?$", var.helper_url))
    error_message = "The variable helper_url must be an http or https URL of a file, without user, password and query, such as \"https://example.com/config-backup-0.1.0-{target}.tar.gz\", or empty."
  }
}

variable "helper_sha256" {
  description = "The SHA-256 of what `helper_url` gives, hex, or the lines of a SHA256SUMS; anything else is not used."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([0-9a-f]{64}|([0-9a-f]{64} [ *][^[:space:]]+(\n|$))+)?$", var.helper_sha256))
    error_message = "The variable helper_sha256 must be a SHA-256 of 64 hex digits, or the lines of a file SHA256SUMS, or empty."
  }
}

variable "timeout" {
  description = "The most that a deployment is held up, in seconds, all steps together."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 300 && floor(var.timeout) == var.timeout
    error_message = "The variable timeout must be a whole number of seconds from 1 to 300, such as 10."
  }
}

variable "unit_settings" {
  description = "Only for `terragrunt.hcl` of the unit: the values of all other variables, of any type. The helper checks them, and a wrong value is a warning of the deployment instead of an error of Terraform."
  type        = any
  default     = null
}
