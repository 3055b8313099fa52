//! The customer folder: its root file, its units, and our unit in it.
//!
//! Reads files and asks Terragrunt. Must not judge what it finds (that is `doctor`), and must not
//! write (that is the command `init`).
//!
//! - `dependents`: the units that depend on ours
//! - `hcl`: reads HCL files, also half-written ones
//! - `hcl_files`: lists and reads the HCL files of the folder
//! - `include_path`: evaluates the path of an `include` block
//! - `leftovers`: files of other modules in our unit's folder
//! - `rendered_unit`: our unit as Terragrunt renders it
//! - `root_file`: the root file that our unit includes
//! - `sibling_units`: the root files that the other units include
//! - `terragrunt`: what Terragrunt says of the folder
//! - `terragrunt_output`: parses what Terragrunt prints
//! - `unit_differences`: what differs between our unit on disk and this version's
//! - `unit_files`: the files of our unit, and what to do with each
//! - `unit_folder`: our unit's folder as it is on disk
//! - `unit_problem`: what can be wrong with our `terragrunt.hcl`

pub(crate) mod dependents;
mod hcl;
pub(crate) mod hcl_files;
mod include_path;
pub(crate) mod leftovers;
pub(crate) mod rendered_unit;
pub(crate) mod root_file;
pub(crate) mod sibling_units;
pub(crate) mod terragrunt;
pub(crate) mod terragrunt_output;
pub(crate) mod unit_differences;
pub(crate) mod unit_files;
pub(crate) mod unit_folder;
pub(crate) mod unit_problem;
