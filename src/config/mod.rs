//! The customer's `config.yaml`: the file, its fields, its tree, and differences between two of them.

pub mod diff;
pub mod document;
pub mod fields;
pub mod file;
pub mod unified_diff;
pub mod yaml_lookup;
