# Stands in for the unit that makes the customer's EKS cluster.

terraform {
  required_version = ">= 1.10"
}

variable "name" {
  description = "Name of the cluster."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region that it is in."
  type        = string
  nullable    = false
}

resource "terraform_data" "cluster" {
  input = {
    name   = var.name
    region = var.region
  }
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = terraform_data.cluster.output.name
}
