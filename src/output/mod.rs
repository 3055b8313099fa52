//! Tables, text made safe to show, and progress.

pub mod progress;
pub mod sanitize;
pub mod table_formats;
