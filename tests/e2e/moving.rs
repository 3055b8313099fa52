//! Moving from the earlier module, which managed backup and record as objects of the AWS provider.
