//! `iam`: the policies that it prints, and what servers make of them.

mod bucket;
pub(crate) mod enforced;
mod moto;
mod printed;
