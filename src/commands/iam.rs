//! `iam`: prints the policies that this tool needs, and no wider ones, for the given bucket and customers.
//!
//! Asks nobody: no network, no credentials. What a policy says, `policies.rs` knows.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::defaults::DEFAULT_BUCKET;
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::iam::document::PolicyNode;
use crate::iam::policies::{self, AwsPartition, ConfigAccess, PolicyScope};
use crate::iam::validation;
use crate::output::sanitize::sanitize;
use crate::output::table_formats::ignore_broken_pipe;

/// What IAM takes as one managed policy, and S3 as a bucket's policy, in characters other than white space.
const MAX_MANAGED_POLICY_CHARS: usize = 6144;
const MAX_BUCKET_POLICY_CHARS: usize = 20 << 10;
/// The longest part of a policy's name that a customer gives.
const LONGEST_NAME: usize = 63;

/// What `iam --help` ends with.
pub const IAM_EXAMPLES: &str = "\
Examples:
  config-backup iam writer                           who deploys any customer
  config-backup iam writer --customer airbnb         who deploys this one alone
  config-backup iam reader --records-only            who may see who deployed what, but no config
  config-backup iam bucket -f terraform >bucket.tf   nothing deleted or overwritten, TLS only";

/// The arguments of `iam`.
#[derive(Debug, Args)]
pub struct IamArgs {
    #[command(subcommand)]
    policy: IamPolicyCommand,
}

#[derive(Debug, Subcommand)]
enum IamPolicyCommand {
    /// For who deploys: configs, records and the units' states, read and written, never deleted
    Writer {
        #[command(flatten)]
        identity: IdentityArgs,
        /// Also take away the states' lock files, for a root.hcl with `use_lockfile = true`
        #[arg(long)]
        lock_files: bool,
    },
    /// For who looks back: records and configs, without the units' states
    Reader {
        #[command(flatten)]
        identity: IdentityArgs,
        /// The usage records alone: no configs, which hold secrets
        #[arg(long)]
        records_only: bool,
        /// Also what was overwritten, of a bucket that keeps versions
        #[arg(long, conflicts_with = "records_only")]
        versions: bool,
    },
    /// For who runs `compact`: records read, the archive of them added to, no configs
    Compactor {
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// For the bucket: TLS only, no record or version of a config is overwritten, none of ours is deleted
    Bucket {
        #[command(flatten)]
        common: PolicyArgs,
        /// A user, role or account (`…:root`) of another account, who may deploy into this bucket as far as it is concerned
        #[arg(long, value_name = "ARN")]
        principal: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct IdentityArgs {
    #[command(flatten)]
    common: PolicyArgs,
    /// The account that the bucket must belong to: none of the same name elsewhere gets or gives anything
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
    /// The realm of AWS
    #[arg(long, value_enum, default_value_t = AwsPartition::Aws, hide_possible_values = true, value_name = "aws|aws-cn|aws-us-gov")]
    partition: AwsPartition,
    /// The policy itself, or a resource of Terraform with it
    #[arg(long, short, value_enum, default_value_t = PolicyFormat::Json, hide_possible_values = true, value_name = "json|terraform")]
    format: PolicyFormat,
}

/// How a policy is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyFormat {
    Json,
    Terraform,
}

/// Prints the policy. Exit: see README.md, "Exit codes".
pub fn run_iam(
    arguments: &IamArgs,
    mut output: impl Write,
    mut messages: impl Write,
) -> Result<ExitCode> {
    let (name, common, policy) = match &arguments.policy {
        IamPolicyCommand::Writer {
            identity,
            lock_files,
        } => (
            "writer",
            &identity.common,
            policies::writer_policy(&identity.scope()?, *lock_files),
        ),
        IamPolicyCommand::Reader {
            identity,
            records_only,
            versions,
        } => {
            let (name, configs) = match (records_only, versions) {
                (true, _) => ("records-reader", ConfigAccess::Denied),
                (_, true) => ("reader", ConfigAccess::WithVersions),
                _ => ("reader", ConfigAccess::Allowed),
            };
            (
                name,
                &identity.common,
                policies::reader_policy(&identity.scope()?, configs),
            )
        }
        IamPolicyCommand::Compactor { identity } => (
            "compactor",
            &identity.common,
            policies::compactor_policy(&identity.scope()?),
        ),
        IamPolicyCommand::Bucket { common, principal } => {
            let scope = common.scope()?;
            for arn in principal {
                common.check_principal(arn)?;
            }
            ("bucket", common, policies::bucket_policy(&scope, principal))
        }
    };
    let json = policy.json();
    let text = match common.format {
        PolicyFormat::Json => format!("{json}\n"),
        PolicyFormat::Terraform => resource(name, common, &policy),
    };
    let (largest, kind) = if name == "bucket" {
        (MAX_BUCKET_POLICY_CHARS, "policy of a bucket")
    } else {
        (MAX_MANAGED_POLICY_CHARS, "managed policy")
    };
    let size = json.chars().filter(|c| !c.is_whitespace()).count();
    if size > largest {
        writeln!(
            messages,
            "config-backup: this has {size} characters, and AWS takes {largest} as a {kind}; make several, of fewer customers"
        )?;
    }
    ignore_broken_pipe(
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush()),
    )
    .context("write the policy to stdout")?;
    Ok(ExitCode(0))
}

impl IdentityArgs {
    fn scope(&self) -> Result<PolicyScope<'_>, Error> {
        let mut scope = self.common.scope()?;
        // A variable that is set to nothing says nothing.
        if let Some(account) = self
            .account
            .as_deref()
            .filter(|account| !account.is_empty())
        {
            if !validation::is_account_id(account) {
                return Err(invalid_option(
                    "account",
                    account,
                    "it is no account",
                    "give its 12 digits",
                ));
            }
            scope.account = Some(account);
        }
        if let Some(arn) = self.kms_key.as_deref() {
            let partition = self.common.partition;
            let way_out = format!("give `arn:{partition}:kms:<region>:<account>:key/<id>`");
            let region = validation::kms_key_region(arn, &partition.to_string());
            let region = region.ok_or_else(|| {
                invalid_option(
                    "kms-key",
                    arn,
                    "it is no key's ARN in this partition",
                    &way_out,
                )
            })?;
            scope.kms_key = Some((arn, region));
        }
        Ok(scope)
    }
}

impl PolicyArgs {
    fn scope(&self) -> Result<PolicyScope<'_>, Error> {
        if let Some(why) = validation::bucket_name_error(&self.bucket) {
            return Err(invalid_option(
                "bucket",
                &self.bucket,
                &format!("no bucket can be called so: {why}"),
                "check the name",
            ));
        }
        let Self {
            partition,
            bucket,
            customer,
            ..
        } = self;
        Ok(PolicyScope {
            partition: *partition,
            bucket,
            customers: customer,
            account: None,
            kms_key: None,
        })
    }

    fn check_principal(&self, arn: &str) -> Result<(), Error> {
        let partition = self.partition;
        if validation::is_principal_arn(arn, &partition.to_string()) {
            return Ok(());
        }
        let way_out = format!(
            "give `arn:{partition}:iam::<account>:role/<name>`, or `user/<name>` or `root` behind the account"
        );
        Err(invalid_option(
            "principal",
            arn,
            "it is no user's, role's or account's ARN in this partition",
            &way_out,
        ))
    }
}

fn invalid_option(option: &str, value: &str, why: &str, way_out: &str) -> Error {
    Error::new(
        ErrorKind::Input,
        format!("read `--{option} {}`: {why}", sanitize(value)),
        way_out,
    )
}

/// A resource of Terraform that can be pasted as it is.
fn resource(name: &str, common: &PolicyArgs, policy: &PolicyNode) -> String {
    let mut text = String::new();
    let (kind, first) = if name == "bucket" {
        (
            "aws_s3_bucket_policy",
            format!("bucket = \"{}\"", common.bucket),
        )
    } else {
        (
            "aws_iam_policy",
            format!("name = \"config-backup-{name}{}\"", of_customer(common)),
        )
    };
    let label = format!("config-backup-{name}{}", of_customer(common)).replace(['-', '.'], "_");
    let _ = writeln!(
        text,
        "resource \"{kind}\" \"{label}\" {{\n  {first}\n\n  policy = jsonencode({})\n}}",
        policy.hcl(2)
    );
    text
}

/// What tells the policy of one customer from that of another, in characters that a name may have.
fn of_customer(common: &PolicyArgs) -> String {
    let [customer] = &common.customer[..] else {
        return String::new();
    };
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = customer
        .chars()
        .map(|c| if is_harmless(c) { c } else { '-' })
        .take(LONGEST_NAME)
        .collect();
    format!("-{name}")
}
