//! The config versions that a trial deploys, each with an MD5 that does not come from the product.

use std::sync::OnceLock;

use test_support::CONFIG;
use test_support::oracle::python_digest;

/// A config with its MD5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigVersion {
    pub(crate) bytes: Vec<u8>,
    /// By hashlib of python3, in hex.
    pub(crate) md5: String,
}

/// A different config for each deployment of a trial, so that a lost one cannot come from another.
#[derive(Debug)]
pub(crate) struct TrialVersions {
    /// Of the spooled deployment before the fault.
    pub(crate) early: ConfigVersion,
    /// Of the deployment with the fault.
    pub(crate) hard: ConfigVersion,
    /// Of the healthy deployment at the end.
    pub(crate) healed: ConfigVersion,
}

impl TrialVersions {
    pub(crate) fn get() -> &'static Self {
        static VERSIONS: OnceLock<TrialVersions> = OnceLock::new();
        VERSIONS.get_or_init(|| Self {
            early: make_version("early"),
            hard: make_version("hard"),
            healed: make_version("healed"),
        })
    }

    pub(crate) fn with_md5(&self, md5: &str) -> Option<&ConfigVersion> {
        [&self.early, &self.hard, &self.healed]
            .into_iter()
            .find(|version| version.md5 == md5)
    }
}

/// The sample with a distinguishing comment, large enough to be cut in many places.
fn make_version(name: &str) -> ConfigVersion {
    let bytes = format!(
        "{CONFIG}{}",
        format!("# the {name} version of this config\n").repeat(60)
    )
    .into_bytes();
    let md5 = python_digest("md5", &bytes);
    ConfigVersion { bytes, md5 }
}
