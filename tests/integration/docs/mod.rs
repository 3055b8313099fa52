//! The documentation, compared with the program.

mod documented_json;
mod lifecycle;
pub(crate) mod links;
mod sessions;
