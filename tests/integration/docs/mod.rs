//! What the documentation says, compared with what is there.

mod documented_json;
mod lifecycle;
mod links;
mod sessions;
