//! The documentation, compared with the program.

mod documented_json;
mod lifecycle;
mod links;
mod sessions;
