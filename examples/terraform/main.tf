# The module without Terragrunt: one call in a root module. What the deployment is about stands in config.yaml.

terraform {
  required_version = ">= 1.10"
}

module "config_backup" {
  # In a repository of yours: ./config-backup, as `config-backup init` writes it.
  source = "../../terraform"

  config_file_path = abspath("${path.root}/config.yaml")

  # Overrides mongodb.project_name in the usage record.
  project_name = "acme-production"
}

output "config_backup" {
  description = "What became of the backup and the usage record."
  value = {
    status  = module.config_backup.status
    message = module.config_backup.message
  }
}
