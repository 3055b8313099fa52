//! Where people's verbs look: the bucket, and with whose credentials. The doc comments are the help.

use std::path::PathBuf;

use clap::Args;

use crate::config::fields;
use crate::config::file;
use crate::defaults::{DEFAULT_BUCKET, DEFAULT_BUCKET_REGION};
use crate::error::Error;
use crate::s3::store::BucketTarget;

/// The arguments that say where to look.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct BucketArgs {
    /// The AWS profile; without it the one of --config-file, or the environment's credentials
    #[arg(long)]
    pub profile: Option<String>,
    /// A customer's config.yaml, whose aws.profile is used
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// The bucket
    #[arg(long, env = "CONFIG_BACKUP_BUCKET", default_value = DEFAULT_BUCKET)]
    pub bucket: String,
    /// The bucket's region; a wrong one is corrected by S3
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_REGION", default_value = DEFAULT_BUCKET_REGION)]
    pub bucket_region: String,
    /// The account that the bucket must belong to; without it any will do
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_OWNER", value_name = "ACCOUNT")]
    pub expected_bucket_owner: Option<String>,
}

impl BucketArgs {
    /// The bucket, and who asks.
    ///
    /// # Errors
    /// A `--config-file` that cannot be read.
    pub fn resolve_target(&self) -> Result<BucketTarget, Error> {
        let profile = match (&self.profile, &self.config_file) {
            (Some(profile), _) => profile.clone(),
            (None, Some(path)) => {
                let config = file::read_config_file(path)?;
                let fields = fields::parse_config_fields(&config.bytes);
                fields.profile.unwrap_or_default()
            }
            (None, None) => String::new(),
        };
        let owner = self.expected_bucket_owner.clone().unwrap_or_default();
        Ok(BucketTarget {
            bucket: self.bucket.clone(),
            region: self.bucket_region.clone(),
            profile,
            owner,
        })
    }
}
