//! IAM and bucket policies for the people and programs that use the bucket.
//!
//! A policy grants what the commands do, and no more. Nothing here makes a request or reads a file.
//!
//! - `policies`: the policy of a writer, a reader, a compactor, and of the bucket
//! - `scope`: what a policy is about, and the ARNs and patterns of keys that follow from it
//! - `document`: a policy as IAM takes it, and its JSON
//! - `validation`: the form of names and ARNs that a user gives

pub mod document;
pub mod policies;
pub mod scope;
pub mod validation;
