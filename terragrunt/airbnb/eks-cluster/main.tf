# Stands in for the unit that makes the customer's EKS cluster.

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
    name   = "${try(local.config.customer.name, "unknown")}-eks"
    region = try(local.config.aws.region, "us-east-2")
  }
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = terraform_data.cluster.output.name
}
