//! The archive of usage records: Parquet files that replace many small objects.

pub mod parquet;
pub mod reader;
