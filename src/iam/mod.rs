//! IAM and bucket policies for the people and programs that use the bucket.

pub mod document;
pub mod policies;
pub mod validation;
