# OpenTofu reads requirements.tofu instead.
terraform {
  required_version = ">= 1.10"

  required_providers {
    external = {
      source  = "hashicorp/external"
      version = ">= 1.2"
    }
  }
}
