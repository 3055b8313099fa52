# Each output costs a line in every plan and two in every apply. `message` has the URI of the usage record.

output "status" {
  description = "`ok`, `warning` (all is in the bucket, and there is something to know) or `error` (something is not)."
  value       = try(data.external.deploy.result.status, "error")
}

output "message" {
  description = "One line: what happened, for whom and where the usage record is; or what is wrong, what happens now and the way out."
  value       = try(data.external.deploy.result.message, "")
}
