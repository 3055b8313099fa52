//! The usage report: which records, which rows and totals, and the files written.

pub mod cache;
pub mod collector;
pub mod columns;
pub mod compact_row;
pub mod filter;
pub mod html;
pub mod interner;
pub mod list_plan;
pub mod rows;
pub mod totals;
pub mod writer;
