//! The report as one HTML page without external resources.
//!
//! Must not fetch anything and must not depend on the order in which records arrived.
//!
//! - `page`: fills `template.html` with `style.css`, `table.js` and the parts below
//! - `rows_table`: the rows of the report, at most ten thousand
//! - `bar_chart`: deployments over time, by customer and by user
//! - `calendar`: deployments of each day of the last 53 weeks
//! - `chart_data`: bars, scales and ranges that the charts draw
//! - `number_format`: numbers and lengths as the page writes them

pub mod bar_chart;
pub mod calendar;
pub mod chart_data;
pub mod number_format;
pub mod page;
mod rows_table;
