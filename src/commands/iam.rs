//! `iam`: prints the policies that this tool needs, and no wider ones.
//!
//! It makes no request and needs no credentials.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::defaults::DEFAULT_BUCKET;
use crate::error::{Error, ErrorKind, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::iam::document::PolicyDocument;
use crate::iam::policies::{
    ConfigAccess, bucket_policy, compactor_policy, reader_policy, writer_policy,
};
use crate::iam::scope::{AwsPartition, KmsKey, PolicyScope};
use crate::iam::validation::{is_account_id, is_bucket_name, is_principal_arn, kms_key_region};
use crate::output::ignore_broken_pipe;
use crate::output::sanitize::{escape_json, sanitize};

/// What `iam --help` ends with.
pub const IAM_EXAMPLES: &str = "\
Examples:
  config-backup iam writer                     who deploys any customer
  config-backup iam writer --customer airbnb   who deploys this customer alone
  config-backup iam reader --records-only      who may see who deployed what, but no config
  config-backup iam bucket >bucket.json        nothing deleted or overwritten, TLS only";

/// The arguments of `iam`.
#[derive(Debug, Args)]
pub struct IamArgs {
    #[command(subcommand)]
    policy: IamPolicyCommand,
}

#[derive(Debug, Subcommand)]
enum IamPolicyCommand {
    /// Policy for who deploys: read and write configs, records and the units' states, delete nothing
    Writer {
        #[command(flatten)]
        identity: IdentityArgs,
        /// Also delete the states' lock files, for a root.hcl with `use_lockfile = true`
        #[arg(long)]
        lock_files: bool,
    },
    /// Read-only policy for auditors: records and configs, no Terraform state
    Reader {
        #[command(flatten)]
        identity: IdentityArgs,
        /// Only the usage records: no configs, which hold secrets
        #[arg(long)]
        records_only: bool,
        /// Also overwritten configs, in a bucket that keeps versions
        #[arg(long, conflicts_with = "records_only")]
        versions: bool,
    },
    /// Policy for who runs `compact`: records read, the archive read and added to, no configs
    Compactor {
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// Policy of the bucket: TLS only, no record or config version overwritten, nothing deleted
    Bucket {
        #[command(flatten)]
        common: PolicyArgs,
        /// A user, role or account (`…:root`) of another account that may deploy into this bucket;
        /// it needs a policy of its own, too
        #[arg(long, value_name = "ARN")]
        principal: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct IdentityArgs {
    #[command(flatten)]
    common: PolicyArgs,
    /// The account that must own the bucket; a bucket of the same name elsewhere is denied
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_OWNER", value_name = "ACCOUNT")]
    account: Option<String>,
    /// The bucket's own KMS key
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// Only this customer, by the exact name; may be given several times
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    customer: Vec<String>,
    /// The bucket
    #[arg(long, env = "CONFIG_BACKUP_BUCKET", default_value = DEFAULT_BUCKET)]
    bucket: String,
    /// The AWS partition
    #[arg(
        long,
        value_enum,
        default_value_t = AwsPartition::Aws,
        hide_possible_values = true,
        value_name = "aws|aws-cn|aws-us-gov"
    )]
    partition: AwsPartition,
}

/// How large a policy AWS takes, in characters other than white space.
struct PolicyLimit {
    max_chars: usize,
    policy_kind: &'static str,
}

const MANAGED_POLICY_LIMIT: PolicyLimit = PolicyLimit {
    max_chars: 6144,
    policy_kind: "managed policy",
};
const BUCKET_POLICY_LIMIT: PolicyLimit = PolicyLimit {
    max_chars: 20 << 10,
    policy_kind: "bucket policy",
};

/// Prints the policy. Exit: see docs/commands.md, "Exit codes".
pub fn run_iam(
    args: &IamArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let json = args.policy.build_policy()?.to_json();

    let limit = args.policy.size_limit();
    let size = json.chars().filter(|c| !c.is_whitespace()).count();
    if size > limit.max_chars {
        let note = format!(
            "this policy has {size} characters, and AWS takes {} as a {}; \
             print several policies, each for fewer customers",
            limit.max_chars, limit.policy_kind
        );
        write_message(&mut messages, &note)?;
    }

    let written = write_policy(&json, &mut output);
    ignore_broken_pipe(written).context("cannot write the policy to stdout")?;
    Ok(ExitCode::Ok)
}

fn write_policy(json: &str, output: &mut impl Write) -> io::Result<()> {
    for line in json.lines() {
        write_line(output, &escape_json(line))?;
    }
    output.flush()
}

impl IamPolicyCommand {
    fn build_policy(&self) -> Result<PolicyDocument, Error> {
        match self {
            Self::Writer {
                identity,
                lock_files,
            } => Ok(writer_policy(&identity.to_scope()?, *lock_files)),
            Self::Reader {
                identity,
                records_only,
                versions,
            } => {
                let config_access = match (records_only, versions) {
                    (true, _) => ConfigAccess::Denied,
                    (false, true) => ConfigAccess::WithVersions,
                    (false, false) => ConfigAccess::Allowed,
                };
                Ok(reader_policy(&identity.to_scope()?, config_access))
            }
            Self::Compactor { identity } => Ok(compactor_policy(&identity.to_scope()?)),
            Self::Bucket { common, principal } => {
                let scope = common.to_scope()?;
                for arn in principal {
                    common.check_principal(arn)?;
                }
                Ok(bucket_policy(&scope, principal))
            }
        }
    }

    fn size_limit(&self) -> PolicyLimit {
        match self {
            Self::Bucket { .. } => BUCKET_POLICY_LIMIT,
            Self::Writer { .. } | Self::Reader { .. } | Self::Compactor { .. } => {
                MANAGED_POLICY_LIMIT
            }
        }
    }
}

impl IdentityArgs {
    fn to_scope(&self) -> Result<PolicyScope<'_>, Error> {
        Ok(PolicyScope {
            account: self.checked_account()?,
            kms_key: self.checked_kms_key()?,
            ..self.common.to_scope()?
        })
    }

    fn checked_account(&self) -> Result<Option<&str>, Error> {
        match self.account.as_deref() {
            // An empty environment variable counts as unset.
            None | Some("") => Ok(None),
            Some(account) if is_account_id(account) => Ok(Some(account)),
            Some(account) => Err(invalid_option(
                "account",
                account,
                "it is not an account id",
                "give its 12 digits",
            )),
        }
    }

    fn checked_kms_key(&self) -> Result<Option<KmsKey<'_>>, Error> {
        let Some(arn) = self.kms_key.as_deref() else {
            return Ok(None);
        };
        let partition = self.common.partition;
        match kms_key_region(arn, partition) {
            Some(region) => Ok(Some(KmsKey { arn, region })),
            None => Err(invalid_option(
                "kms-key",
                arn,
                "it is not the ARN of a key in this partition",
                &format!("give `arn:{partition}:kms:<region>:<account>:key/<id>`"),
            )),
        }
    }
}

impl PolicyArgs {
    fn to_scope(&self) -> Result<PolicyScope<'_>, Error> {
        if !is_bucket_name(&self.bucket) {
            return Err(invalid_option(
                "bucket",
                &self.bucket,
                "a bucket name has only a-z, 0-9, `.` and `-`",
                "check the name",
            ));
        }
        Ok(PolicyScope {
            partition: self.partition,
            bucket: &self.bucket,
            customers: &self.customer,
            account: None,
            kms_key: None,
        })
    }

    fn check_principal(&self, arn: &str) -> Result<(), Error> {
        let partition = self.partition;
        if is_principal_arn(arn, partition) {
            return Ok(());
        }
        Err(invalid_option(
            "principal",
            arn,
            "it is not the ARN of a user, role or account in this partition",
            &format!(
                "give `arn:{partition}:iam::<account>:role/<name>`, or `user/<name>` or `root` \
                 after the account"
            ),
        ))
    }
}

fn invalid_option(option: &str, value: &str, cause: &str, hint: &str) -> Error {
    let message = format!("cannot use `--{option} {}`: {cause}", sanitize(value));
    Error::new(ErrorKind::Input, message, hint)
}
