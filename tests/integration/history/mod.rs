//! `history`, `diff` and `restore`: the versions of a config.

mod diff;
mod list;
mod noncurrent;
mod properties;
mod restore;
mod secret_corpus;
mod secret_shapes;
mod story;
