include "root" {
  path   = find_in_parent_folders("root.hcl")
  expose = true
}

inputs = {
  name          = try(tostring(include.root.locals.config.mongodb.cluster_name), "unknown")
  instance_size = try(tostring(include.root.locals.config.mongodb.instance_size), "M10")
}
