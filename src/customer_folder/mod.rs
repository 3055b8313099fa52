//! The customer folder: its root file, its units, and our unit in it.

pub mod hcl;
pub mod include_path;
pub mod rendered_unit;
pub mod root_file;
pub mod sibling_units;
pub mod terragrunt;
pub mod unit_files;
pub mod unit_folder;
