//! The requests that upload one config or one usage record, and the proof that S3 has it.
//!
//! Each upload can be repeated without harm, because a response can be lost after the object was
//! written. Must not touch the spool: the caller decides when an item is removed.
//!
//! - `config`: the history copy, then `config.yaml`
//! - `record`: the usage record and the seal on its chain

pub(crate) mod config;
pub(crate) mod record;

use crate::error::{Error, ErrorKind};
use crate::s3::store::ObjectStore;

/// S3 accepted an object but does not have it.
fn lost_write_error(store: &ObjectStore, key: &str) -> Error {
    let uri = store.object_uri(key);
    let message = format!("cannot confirm the upload of `{uri}`: the object differs or is missing");
    Error::new(ErrorKind::Service, message, "")
}
