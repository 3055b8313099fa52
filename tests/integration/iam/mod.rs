//! `iam`: the printed policies, and how servers enforce them.

mod bucket;
pub(crate) mod enforced;
mod moto;
mod printed;
mod reader;
