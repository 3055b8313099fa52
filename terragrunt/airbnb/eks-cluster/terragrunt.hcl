include "root" {
  path   = find_in_parent_folders("root.hcl")
  expose = true
}

inputs = {
  name   = try("${include.root.locals.config.customer.name}-eks", "unknown")
  region = try(tostring(include.root.locals.config.aws.region), "us-east-2")
}
