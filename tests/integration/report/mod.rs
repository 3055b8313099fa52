//! `report`: its rows, forms and cache, and what it says of records that are damaged.

mod bad_records;
mod cache;
mod csv;
mod failures;
mod filter;
mod formats;
mod golden;
mod html;
pub(crate) mod terminal;
mod view_script;
