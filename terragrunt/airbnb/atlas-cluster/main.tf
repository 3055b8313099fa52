# Stands in for the unit that makes the customer's MongoDB Atlas cluster.

terraform {
  required_version = ">= 1.10"
}

variable "config_file_path" {
  description = "Path of the customer's config.yaml."
  type        = string
  nullable    = false
}

locals {
  config = try(yamldecode(file(var.config_file_path)), {})
}

resource "terraform_data" "cluster" {
  input = {
    name          = try(local.config.mongodb.cluster_name, "unknown")
    instance_size = try(local.config.mongodb.instance_size, "M10")
  }
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = terraform_data.cluster.output.name
}
