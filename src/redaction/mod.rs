//! What looks like a secret, and what may be shown.

pub mod detect;
pub mod lines;
pub mod policy;
pub mod render;
