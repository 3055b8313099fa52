//! `doctor`: what it finds where something is wrong, and that it finds nothing where all is well.

mod bucket;
mod customer_folder;
mod healthy;
mod machine;
mod network;
