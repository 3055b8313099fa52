# The module before this one managed the backup and the usage record as objects of the AWS provider. Without these
# blocks, the first apply with this module would delete both from the bucket. They forget the objects instead.

removed {
  from = aws_s3_object.config_backup

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_object.usage_log

  lifecycle {
    destroy = false
  }
}
