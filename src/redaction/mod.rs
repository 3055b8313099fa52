//! What looks like a secret, and what may be shown of a config.
//!
//! It may take something harmless for a secret: that costs a reader a value. The opposite shows a
//! customer's secret.
//!
//! - `detect`: names and texts that look like secrets
//! - `random_text`: texts that look random, as keys and tokens do
//! - `policy`: which nodes of a document must be redacted
//! - `secret_words`: the words of a document's secrets, recognised wherever they are copied to
//! - `render`: the changes between two documents, with fingerprints in place of secrets

pub mod detect;
pub mod policy;
pub mod random_text;
pub mod render;
pub mod secret_words;
