# Stands in for the unit that makes the customer's MongoDB Atlas cluster.

terraform {
  required_version = ">= 1.10"
}

variable "name" {
  description = "Name of the cluster."
  type        = string
  nullable    = false
}

variable "instance_size" {
  description = "Size of its instances."
  type        = string
  nullable    = false
}

resource "terraform_data" "cluster" {
  input = {
    name          = var.name
    instance_size = var.instance_size
  }
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = terraform_data.cluster.output.name
}
