//! The HTML page of the report.

pub mod bar_chart;
pub mod calendar;
pub mod chart_data;
pub mod number_format;
pub mod page;
