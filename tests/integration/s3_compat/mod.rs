//! The same tests on each S3 server: the embedded one, versitygw and moto.

mod keys;
mod listing;
mod names;
mod races;
mod throttling;
mod versitygw;
