//! The usage report: collects records, turns them into rows and totals, and writes them.
//!
//! Must not read command line arguments or print to the terminal: see `commands/report.rs`.
//!
//! - `request`: what a report shall contain, and how it is collected
//! - `filter`: which deployments it is about
//! - `list_plan`: which keys are listed, and which come from the cache
//! - `cache/`: records that were fetched before
//! - `collector/`: receives records and adds them to rows and totals
//! - `rows`, `columns`: one row per day, customer and user, or per deployment
//! - `compact_row`, `interner`: a million rows in little memory
//! - `totals`: sums in all and per customer, user, month and week
//! - `writer`: writes the report to a file or to stdout
//! - `html/`: the page with charts

pub mod cache;
pub mod collector;
pub mod columns;
mod compact_row;
pub mod filter;
pub mod html;
pub mod interner;
pub mod list_plan;
pub mod request;
pub mod rows;
pub mod totals;
pub mod writer;
