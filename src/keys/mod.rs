//! S3 keys: every key is made and parsed here.
//!
//! Must not read the clock, the environment or the network. The layout is a contract with all
//! readers of the bucket: see "Keys in the bucket" in docs/reference/formats.md.
//!
//! - `customer`: the path segment that stands for a customer
//! - `timestamp`: times in object names
//! - `record`: usage records
//! - `config`: configs, their versions, and seals
//! - `terraform_state`: Terraform states, and all objects beside them
//! - `archive`: files of archived usage records
//! - `doctor`: the objects that `doctor` writes
//! - `metadata`: the user metadata of our objects

mod archive;
mod config;
mod customer;
mod doctor;
pub mod metadata;
mod record;
mod terraform_state;
mod timestamp;

pub use archive::{ARCHIVE_PREFIX, ArchiveKey, MonthRange, archive_prefix_for};
pub use config::{
    CONFIG_HISTORY_FOLDER, CONFIGS_PREFIX, CURRENT_CONFIG_NAME, ConfigKey, ConfigVersionKey,
    SEALS_FOLDER, config_keys_prefix, config_version_key, current_config_key,
    customer_config_folders, seal_key, seal_keys_prefix, split_customer_folder,
};
pub use customer::{
    CustomerSegment, canonical_segment, customer_segment, effective_customer,
    parse_customer_segment,
};
pub use doctor::doctor_canary_keys;
pub use record::{
    RECORDS_PREFIX, RecordKey, customer_record_prefixes, record_key, record_key_segment,
    record_key_with_suffix, record_keys_prefix,
};
pub use terraform_state::{
    StateKey, TerragruntKey, customer_terragrunt_prefixes, parse_terragrunt_key,
};
pub use timestamp::{PLAUSIBLE_YEARS, format_timestamp, parse_timestamp};

/// Whether `text` is a digest, or the beginning of one, as we spell it.
pub(crate) fn is_lower_hex(text: &str, digits: usize) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_hex)
}
