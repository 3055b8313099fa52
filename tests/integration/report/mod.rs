//! `report`: its rows, formats and cache, and its messages about damaged records.

mod bad_records;
mod cache;
mod csv;
mod failures;
mod filter;
mod folder_profile;
mod formats;
mod golden;
mod html;
pub(crate) mod terminal;
mod users;
mod view_script;
