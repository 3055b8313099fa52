# The units of a customer as a stack: Terragrunt writes each of them before it runs them.

unit "atlas_cluster" {
  source = "../../../terragrunt/airbnb/atlas-cluster"
  path   = "atlas-cluster"
}

unit "config_backup" {
  # In a repository of yours: the folder that `config-backup init units` wrote, units/config-backup.
  source = "../../../terraform"
  path   = "config-backup"

  # Beside config.yaml, which the unit looks for in the folder above its own.
  no_dot_terragrunt_stack = true
}
