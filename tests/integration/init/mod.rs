//! `init`: the files that it writes into a customer folder.

mod check;
pub(crate) mod new_folder;
mod root_files;
mod upgrade;
