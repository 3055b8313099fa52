//! The arguments of all commands for people that name the bucket and the credentials.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::fields;
use crate::config::file;
use crate::defaults::{DEFAULT_BUCKET, DEFAULT_BUCKET_REGION};
use crate::error::{Error, write_message};
use crate::s3::store::{BucketTarget, ObjectEncryption};
use crate::system::env::{environment_profiles, has_env_credentials};

/// Where a customer folder has its config, seen from the folder itself and from its units.
const FOLDER_CONFIGS: [&str; 2] = ["config.yaml", "../config.yaml"];

#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct BucketArgs {
    /// AWS profile [default: that of --config-file, of the environment, or of ./config.yaml or
    /// ../config.yaml]
    #[arg(long)]
    pub profile: Option<String>,
    /// A customer's config.yaml, whose aws.profile is used
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// The bucket
    #[arg(long, env = "CONFIG_BACKUP_BUCKET", default_value = DEFAULT_BUCKET)]
    pub bucket: String,
    /// The bucket's region; S3 corrects a wrong one
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_REGION", default_value = DEFAULT_BUCKET_REGION)]
    pub bucket_region: String,
    /// The account that must own the bucket [default: any account]
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_OWNER", value_name = "ACCOUNT")]
    pub expected_bucket_owner: Option<String>,
}

/// Of the commands that write. A command that only reads must not fail because of it.
#[derive(Debug, Args)]
pub struct EncryptionArgs {
    /// The encryption that uploads ask for: AES256, aws:kms or aws:kms:KEY [default: the bucket's]
    #[arg(
        long,
        env = "CONFIG_BACKUP_BUCKET_ENCRYPTION",
        value_name = "ENCRYPTION"
    )]
    pub bucket_encryption: Option<ObjectEncryption>,
}

impl BucketArgs {
    /// The bucket, with the profile of the arguments, or that of the customer folder in or below
    /// which the command runs. `messages` gets a line about the latter, because the user did not name it.
    ///
    /// # Errors
    /// A `--config-file` that cannot be read.
    pub fn resolve_target(&self, messages: &mut impl Write) -> Result<BucketTarget, Error> {
        let mut target = self.resolve_named_target()?;
        let is_profile_named = self.profile.is_some() || self.config_file.is_some();
        if is_profile_named || has_env_credentials() || !environment_profiles().is_empty() {
            return Ok(target);
        }
        if let Some((profile, path)) = find_folder_profile() {
            let line = format!("uses the AWS profile `{profile}` of `{path}`");
            // A closed stderr does not stop the command.
            let _ = write_message(messages, &line);
            target.profile = profile;
        }
        Ok(target)
    }

    /// As [`BucketArgs::resolve_target`], without a look into the current folder.
    ///
    /// # Errors
    /// A `--config-file` that cannot be read.
    pub fn resolve_named_target(&self) -> Result<BucketTarget, Error> {
        let profile = match (&self.profile, &self.config_file) {
            (Some(profile), _) => profile.clone(),
            (None, Some(path)) => read_profile(path)?.unwrap_or_default(),
            (None, None) => String::new(),
        };
        Ok(BucketTarget {
            bucket: self.bucket.clone(),
            region: self.bucket_region.clone(),
            profile,
            owner: self.expected_bucket_owner.clone().unwrap_or_default(),
            encryption: None,
        })
    }
}

fn read_profile(config_path: &Path) -> Result<Option<String>, Error> {
    let config = file::read_config_file(config_path)?;
    Ok(fields::parse_config_fields(&config.bytes).profile)
}

/// The profile of the customer folder that the command runs in, or in whose unit it runs.
fn find_folder_profile() -> Option<(String, &'static str)> {
    let mut paths = FOLDER_CONFIGS.into_iter();
    paths.find_map(|path| {
        let profile = read_profile(Path::new(path)).ok().flatten()?;
        Some((profile, path))
    })
}
