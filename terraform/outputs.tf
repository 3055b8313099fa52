output "config_hash" {
  description = "MD5 of the config that was backed up, hex; empty where it could not be read."
  value       = try(data.external.deploy.result.config_hash, "")
}

output "caller_arn" {
  description = "ARN of the caller of the apply, as in the usage record; empty where STS did not answer."
  value       = try(data.external.deploy.result.caller_arn, "")
}

output "backup_uri" {
  description = "`s3://` URI of this version of the config; empty where it is not in the bucket."
  value       = try(data.external.deploy.result.backup_uri, "")
}

output "log_uri" {
  description = "`s3://` URI of the deployment's usage record; empty where it is not in the bucket."
  value       = try(data.external.deploy.result.log_uri, "")
}

output "status" {
  description = "`ok`, `warning` (all is in the bucket, and there is something to know) or `error` (something is not)."
  value       = try(data.external.deploy.result.status, "error")
}

output "message" {
  description = "One line: what happened, what happens now, the way out."
  value       = try(data.external.deploy.result.message, "")
}
