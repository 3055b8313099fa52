//! What a policy is about, and the ARNs and patterns of keys that follow from it.

use std::fmt;

use clap::ValueEnum;
use indexmap::IndexSet;

use crate::iam::document::PolicyStrings;
use crate::keys::{
    CONFIG_HISTORY_FOLDER, CONFIGS_PREFIX, CURRENT_CONFIG_NAME, RECORDS_PREFIX, SEALS_FOLDER,
    archive_prefix_for, customer_config_folders, customer_record_prefixes, record_keys_prefix,
};

/// Patterns of keys, each once, in the order in which they are printed.
pub(crate) type KeyPatterns = IndexSet<String>;

/// A partition of AWS; ARNs of one mean nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AwsPartition {
    /// Everywhere else
    Aws,
    /// China
    AwsCn,
    /// `GovCloud` (US)
    AwsUsGov,
}

impl fmt::Display for AwsPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        })
    }
}

/// What a policy is about. All of it has been validated.
#[derive(Debug, Clone, Copy)]
pub struct PolicyScope<'a> {
    pub partition: AwsPartition,
    pub bucket: &'a str,
    /// Exact names; none stands for all customers.
    pub customers: &'a [String],
    /// The account that the bucket must belong to, if the policy is to check it.
    pub account: Option<&'a str>,
    pub kms_key: Option<KmsKey<'a>>,
}

/// The bucket's own KMS key.
#[derive(Debug, Clone, Copy)]
pub struct KmsKey<'a> {
    pub arn: &'a str,
    pub region: &'a str,
}

impl PolicyScope<'_> {
    pub(crate) fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition, self.bucket)
    }

    pub(crate) fn object_arns(&self, patterns: &KeyPatterns) -> PolicyStrings {
        let bucket = self.bucket_arn();
        patterns
            .iter()
            .map(|pattern| format!("{bucket}/{pattern}"))
            .collect()
    }

    /// What S3 is called in a region where KMS checks which service uses a key.
    pub(crate) fn s3_service_name(&self, region: &str) -> String {
        match self.partition {
            AwsPartition::AwsCn => format!("s3.{region}.amazonaws.com.cn"),
            AwsPartition::Aws | AwsPartition::AwsUsGov => format!("s3.{region}.amazonaws.com"),
        }
    }

    /// Usage records, also those of the legacy module.
    pub(crate) fn record_patterns(&self) -> KeyPatterns {
        self.patterns_of_customers(RECORDS_PREFIX, "*", customer_record_prefixes)
    }

    pub(crate) fn archive_patterns(&self) -> KeyPatterns {
        let records = self.record_patterns();
        records
            .iter()
            .map(|pattern| archive_prefix_for(pattern))
            .collect()
    }

    /// The folders of configs, each pattern with `/` at its end.
    pub(crate) fn config_folder_patterns(&self) -> KeyPatterns {
        match self.customers {
            [] => KeyPatterns::from([format!("{CONFIGS_PREFIX}*/")]),
            _ => self.patterns_of_customers(CONFIGS_PREFIX, "", customer_config_folders),
        }
    }

    /// All configs with their seals, and no Terraform states.
    pub(crate) fn config_patterns(&self) -> KeyPatterns {
        let mut patterns = KeyPatterns::new();
        for folder in self.config_folder_patterns() {
            patterns.insert(format!("{folder}{CURRENT_CONFIG_NAME}"));
            patterns.insert(format!("{folder}{CONFIG_HISTORY_FOLDER}*.yaml"));
            patterns.insert(format!("{folder}{SEALS_FOLDER}*.json"));
        }
        patterns
    }

    /// What a listing of configs asks for.
    pub(crate) fn config_prefix_patterns(&self) -> KeyPatterns {
        self.patterns_of_customers(CONFIGS_PREFIX, "*", customer_config_folders)
    }

    /// What a deployment writes: configs, seals, records and states.
    pub(crate) fn written_patterns(&self) -> KeyPatterns {
        let mut patterns = KeyPatterns::new();
        for customer in self.customers {
            for folder in written_folders(customer) {
                patterns.insert(format!("{}*", escape_pattern(&folder)));
            }
            let records = record_keys_prefix(Some(customer));
            patterns.insert(format!("{}*", escape_pattern(&records)));
        }
        if self.customers.is_empty() {
            patterns.insert(format!("{CONFIGS_PREFIX}*"));
            patterns.insert(format!("{RECORDS_PREFIX}*"));
        }
        patterns
    }

    pub(crate) fn lock_file_patterns(&self) -> KeyPatterns {
        self.patterns_of_customers(CONFIGS_PREFIX, "*.tflock", written_folders)
    }

    /// What is written once and never replaced.
    pub(crate) fn write_once_patterns(&self) -> KeyPatterns {
        let mut patterns = KeyPatterns::new();
        for pattern in self.record_patterns() {
            patterns.insert(format!("{pattern}.json"));
        }
        for pattern in self.archive_patterns() {
            patterns.insert(format!("{pattern}.parquet"));
        }
        for folder in self.config_folder_patterns() {
            patterns.insert(format!("{folder}{CONFIG_HISTORY_FOLDER}*.yaml"));
        }
        patterns
    }

    /// What is never deleted. Lock files of states (`*.tflock`) are not among it.
    pub(crate) fn undeletable_patterns(&self) -> KeyPatterns {
        let mut patterns = self.write_once_patterns();
        for folder in self.config_folder_patterns() {
            patterns.insert(format!("{folder}{CURRENT_CONFIG_NAME}"));
            patterns.insert(format!("{folder}{SEALS_FOLDER}*.json"));
        }
        patterns
    }

    /// The prefixes of each customer, escaped and with a suffix; one pattern below `root` for all.
    fn patterns_of_customers(
        &self,
        root: &str,
        suffix: &str,
        prefixes_of: impl Fn(&str) -> Vec<String>,
    ) -> KeyPatterns {
        let mut patterns = KeyPatterns::new();
        for customer in self.customers {
            for prefix in prefixes_of(customer) {
                patterns.insert(format!("{}{suffix}", escape_pattern(&prefix)));
            }
        }
        if self.customers.is_empty() {
            patterns.insert(format!("{root}{suffix}"));
        }
        patterns
    }
}

/// The folders of a customer's configs and states. The states lie in one that is called like the
/// customer folder. A folder has no `/` in its name, so such a customer has no states.
fn written_folders(customer: &str) -> Vec<String> {
    let mut folders = customer_config_folders(customer);
    folders.truncate(if customer.contains('/') { 1 } else { 2 });
    folders
}

/// A pattern that matches this text alone.
fn escape_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '$') {
            pattern.push_str("${");
            pattern.push(c);
            pattern.push('}');
        } else {
            pattern.push(c);
        }
    }
    pattern
}
