//! What looks like a secret, and what may be shown of a config.
//!
//! It may take something harmless for a secret: that costs a reader a value. The opposite shows a
//! customer's secret.
//!
//! - `detect`: names and texts that look like secrets
//! - `languages`: what secrets are called in other languages
//! - `letters`: letters without diacritics
//! - `command_line`: passwords in command lines, as in `-p X` and `-u user:X`
//! - `random_text`: texts that look random, as keys and tokens do
//! - `policy`: which nodes of a document must be redacted
//! - `secret_words`: the words of a document's secrets, recognised wherever they are copied to
//! - `render`: the changes between two documents, with fingerprints in place of secrets

mod command_line;
pub mod detect;
mod languages;
mod letters;
pub mod policy;
pub mod random_text;
pub mod render;
pub mod secret_words;
