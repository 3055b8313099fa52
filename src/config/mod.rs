//! The customer's `config.yaml`: its bytes, fields and tree, and differences between two of them.
//!
//! No message may quote the file, because it is full of secrets. What may be shown of it is decided
//! in `redaction/`, which this folder must not import.
//!
//! - `file`: the file as it lies on disk
//! - `fields`: the few values that a usage record needs
//! - `document`: the whole file as a tree
//! - `yaml_limits`: what is refused, and why
//! - `yaml_tree`: builds the tree
//! - `yaml_scalar`: which texts are numbers, booleans, times
//! - `diff`: the structural difference between two trees
//! - `path`: the way to a node, and how it is written
//! - `unified_diff`: the difference line by line

pub mod diff;
pub mod document;
pub mod fields;
pub mod file;
pub mod path;
pub mod unified_diff;
pub mod yaml_limits;
mod yaml_scalar;
mod yaml_tree;
