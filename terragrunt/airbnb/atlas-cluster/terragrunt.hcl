include "root" {
  path   = find_in_parent_folders("root.hcl")
  expose = true
}

inputs = {
  config_file_path = abspath("${get_terragrunt_dir()}/../config.yaml")
}
