# The unit that backs config.yaml up and logs the deployment. It runs with `terragrunt apply --all` in the customer
# folder and with `terragrunt apply --working-dir=config-backup`. It depends on no unit, and no unit depends on it.
# There is no `source`: the module is this folder.

# The root file is read and not merged. The unit takes from it where the states are and how to reach them, nothing else:
# hooks, sources, generated files, arguments and inputs of the root are meant for other units.
include "root" {
  path           = find_in_parent_folders("root.hcl", "${get_terragrunt_dir()}/no_root.hcl")
  expose         = true
  merge_strategy = "no_merge"
}

locals {
  # A variable that is set but empty counts as not set.
  variables = { for name, default in {
    BUCKET            = "mongodb-arena"
    BUCKET_REGION     = "us-east-1"
    BUCKET_OWNER      = ""
    BUCKET_ENCRYPTION = ""
    HELPER            = "config-backup"
    HELPER_URL        = ""
    HELPER_SHA256     = ""
  } : name => get_env("CONFIG_BACKUP_${name}", "") != "" ? get_env("CONFIG_BACKUP_${name}", "") : default }

  # All settings of this unit; README.md describes them. Empty and null stand for "as config.yaml says" or the default.
  # The helper reads config.yaml itself, because terragrunt stops the whole run at a file that it cannot parse.
  settings = {
    config_file_path       = abspath("${get_terragrunt_dir()}/../config.yaml")
    customer_name          = ""
    aws_profile            = ""
    project_name           = ""
    cluster_name           = ""
    additional_users_count = null
    bucket                 = local.variables.BUCKET
    bucket_region          = local.variables.BUCKET_REGION
    expected_bucket_owner  = local.variables.BUCKET_OWNER
    bucket_encryption      = local.variables.BUCKET_ENCRYPTION
    timeout                = 10
    helper                 = local.variables.HELPER
    helper_url             = local.variables.HELPER_URL
    helper_sha256          = local.variables.HELPER_SHA256
  }

  # The module's variables. A setting that is removed above must not give way to TF_VAR_* of the shell.
  variable_names = [
    "additional_users_count", "aws_profile", "bucket", "bucket_encryption", "bucket_region", "cluster_name", "customer_name",
    "expected_bucket_owner", "helper", "helper_sha256", "helper_url", "project_name", "timeout",
  ]

  # Nothing below needs a change. An expression that fails here would stop the whole run, hence try() and can().

  # The attributes by which backends tell states apart. The unit changes their values: its state must never be that of
  # another unit or of the legacy module, whose objects Terraform would then destroy.
  state_keys = "key|path|prefix|schema_name|secret_suffix"

  # What the unit changes in the root's remote_state.
  own_keys = try({
    for name, value in include.root.remote_state.config : name =>
    endswith(value, "terraform.tfstate") ? "${trimsuffix(value, "terraform.tfstate")}unit.tfstate" : "${value}-config-backup-unit"
    if can(regex("^(?:${local.state_keys})$", name)) && can(regex(".", value))
  }, {})

  # The backends that the root writes by `generate` blocks. The unit takes the backend out of such a block and changes it
  # in the same way. `@` marks what the first pattern changed, so that the second pattern leaves it alone.
  written_backends = try(flatten([
    for block in values(include.root.generate) : [
      for match in regexall("(?m)^[^#/\\n]*\\bbackend\\s+\"(\\w+)\"\\s*\\{((?:[^{}]|\\{(?:[^{}]|\\{[^{}]*\\})*\\})*)\\}", block.contents) : {
        name = match[0]
        file = basename(block.path)
        body = replace(replace(replace(match[1],
          "/(^|[\\s{,])(${local.state_keys})(\\s*=\\s*)\"([^\"]*)terraform\\.tfstate\"/", "$1$2$3@\"$${4}unit.tfstate\""),
          "/(^|[\\s{,])(${local.state_keys})(\\s*=\\s*)\"([^\"]+)\"/", "$1$2$3\"$${4}-config-backup-unit\""),
        "@\"", "\"")
      } if can(regex("(?:^|[\\s{,])(?:${local.state_keys})\\s*=\\s*\"[^\"]", match[1]))
    ] if !block.disable
  ]), [])

  # The state is where the root's remote_state says, or the backend that the root writes, or else in this folder.
  has_remote_state  = length(local.own_keys) > 0
  has_backend_file  = local.has_remote_state && can(regex(".", include.root.remote_state.generate.path))
  written_backend   = local.has_remote_state ? null : try(local.written_backends[0], null)
  backend           = local.has_remote_state ? include.root.remote_state.backend : try(local.written_backend.name, "local")
  root_backend_file = local.has_backend_file ? basename(include.root.remote_state.generate.path) : try(local.written_backend.file, "")

  # The backend's file has the name that it has in the other units, because a file of that name may be in this folder.
  unit_files   = ["main.tf", "outputs.tf", "requirements.tf", "requirements.tofu", "variables.tf"]
  backend_file = can(regex("^\\w[^/]*\\.(?:tf|tofu)$", local.root_backend_file)) && !contains(local.unit_files, local.root_backend_file) ? local.root_backend_file : "config_backup_backend.tf"

  # Files that the root writes into the other units. The legacy module had them, too, and left them in terragrunt's copy
  # of this folder, where two `required_providers` are an error.
  other_files = setsubtract(
    try([for block in values(include.root.generate) : block.path if can(regex("^\\w[^/]*$", block.path))], []),
    concat(local.unit_files, [local.backend_file, "config_backup.auto.tfvars.json", "helper.sh"]),
  )

  # Only an apply is a deployment. terragrunt itself makes `destroy` of `apply -destroy`, but not in each spelling.
  arguments = split(" ", join(" ", concat(
    try(concat(get_terraform_cli_args()), []),
    [for name in ["TF_CLI_ARGS", "TF_CLI_ARGS_apply", "TF_CLI_ARGS_init"] : get_env(name, "")],
  )))
  is_deployment = get_terraform_command() == "apply" && alltrue([
    for argument in local.arguments : !can(regex("^--?(?:destroy|refresh-only)(?:=(?:1|[tT]|true|TRUE|True))?$", argument))
  ])

  # What follows helper.sh and its command, as in main.tf: settings that are not empty, as text.
  words = { for name, default in { helper = "config-backup", helper_url = "none", helper_sha256 = "none", timeout = "10" } :
    name => try(regex("(?s)^.+$", local.settings[name]), default)
  }
  helper_words = [local.words.helper, local.words.helper_url, local.words.helper_sha256, local.words.timeout]

  # What every error has and an apply without approval has not: a message of Terraform, or another exit code than 1.
  failures = [
    "Error: (?:\\x1b\\[[0-9;]*m)*(?:[^e\\x1b]|e[^r]|error [^a])",
    "\\n(?:exec: |fork/exec |signal: |exit status (?:[02-9]|1[0-9]))",
    "^[^F]",
    "^$",
  ]

  # The causes of errors, by the text of the errors in one line.
  not_approved = "^exit status 1$|asking for approval"
  lock_file    = "(?i)dependency lock|lock file is read-only|locked provider|previously-selected"
  provider     = "(?i)hashicorp/external|plugin"
  state        = "(?i)\\b(?:backend|bucket|credentials|state|workspaces)\\b"
  logged       = "The line `config-backup: ...` above says whether a deployment is backed up and logged. The other units are not affected."
}

# An attribute instead of a block, because its parts depend on the root.
remote_state = {
  backend = local.backend
  # Through text, because both sides of a condition must be of one type.
  config = jsondecode(
    local.has_remote_state ? jsonencode(merge(include.root.remote_state.config, local.own_keys)) :
    local.written_backend != null ? jsonencode({}) :
    jsonencode({ path = "${get_terragrunt_dir()}/unit.tfstate" })
  )
  disable_init = local.written_backend != null || try(include.root.remote_state.disable_init, false)
  generate     = local.has_backend_file ? { path = local.backend_file, if_exists = "overwrite" } : null
  encryption   = local.has_backend_file && can(regex(".", include.root.remote_state.encryption.key_provider)) ? include.root.remote_state.encryption : null
}

generate = merge(
  { for file in local.other_files : "remove_${file}" => {
    path        = file
    if_exists   = "overwrite"
    contents    = ""
    disable     = true
    if_disabled = "remove"
  } },
  {
    # Where remote_state does not write the backend: as the root writes it, or empty, as the modules of the other units
    # declare it then.
    config_backup_backend = {
      path      = local.backend_file
      if_exists = "overwrite"
      disable   = local.has_backend_file
      contents  = "terraform {\n  backend \"${local.backend}\" {${try(local.written_backend.body, "")}}\n}\n"
    }

    # The settings reach the module in a file, which beats TF_VAR_* of the shell.
    config_backup_settings = {
      path              = "config_backup.auto.tfvars.json"
      if_exists         = "overwrite"
      disable_signature = true
      contents = jsonencode(merge(
        { for name in local.variable_names : name => null },
        { config_file_path = abspath("${get_terragrunt_dir()}/../config.yaml"), unit_settings = local.settings },
      ))
    }
  },
)

# The state may be readable by the root's role only.
iam_role                     = try(include.root.iam_role, "")
iam_assume_role_duration     = try(include.root.iam_assume_role_duration, null)
iam_assume_role_session_name = try(include.root.iam_assume_role_session_name, "")
iam_web_identity_token       = try(include.root.iam_web_identity_token, "")
terraform_binary             = try(include.root.terraform_binary, "")

terraform {
  # A state in this folder changes with each deployment, which is no reason to copy the folder and to run `init` again.
  exclude_from_copy = ["unit.tfstate*"]

  # The legacy module's state is elsewhere, and the root may move the states: the unit then begins with a new state.
  extra_arguments "reconfigure" {
    commands  = ["init"]
    arguments = contains(local.arguments, "-migrate-state") ? ["-force-copy"] : ["-reconfigure"]
  }

  # Terraform could not start here, or it failed: the helper backs up and logs without it. The folder is terragrunt's copy
  # of this one, with the file of the settings.
  error_hook "fallback" {
    commands  = local.is_deployment ? ["init", "apply"] : []
    execute   = concat(["/bin/sh", "./helper.sh", "fallback"], local.helper_words)
    on_errors = local.failures
  }
}

# No error of this unit fails the run. terragrunt ignores before it retries, so a retry would never happen. It takes these
# blocks in any order, so each error fits only one of them: the first pattern that matches decides, and `!` stands for no.
errors {
  ignore "not_approved" {
    ignorable_errors = [local.not_approved]
    message          = "config-backup: Terraform ended without an error message, as it does where an apply is not approved. Then there is no deployment to log."
  }

  ignore "lock_file" {
    ignorable_errors = ["!${local.not_approved}", local.lock_file]
    message          = "config-backup: .terraform.lock.hcl of this unit does not fit the provider hashicorp/external; delete that file. ${local.logged}"
  }

  ignore "provider" {
    ignorable_errors = ["!${local.not_approved}", "!${local.lock_file}", local.provider]
    message          = "config-backup: the provider hashicorp/external cannot be installed or started; check its registry or mirror. ${local.logged}"
  }

  ignore "state" {
    ignorable_errors = ["!${local.not_approved}", "!${local.lock_file}", "!${local.provider}", local.state]
    message          = "config-backup: the state of this unit cannot be reached or initialised; check the backend and the credentials. ${local.logged}"
  }

  ignore "other" {
    ignorable_errors = ["!${local.not_approved}", "!${local.lock_file}", "!${local.provider}", "!${local.state}", ".*"]
    message          = "config-backup: this unit failed; see the error above. ${local.logged}"
  }
}
