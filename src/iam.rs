//! `iam`: prints the policies that this tool needs, and no wider ones, for the given bucket and customers.
//!
//! Asks nobody: no network, no credentials. What a policy says, `policies.rs` knows.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::arns;
use crate::cli::Exit;
use crate::fault::{Fault, Kind};
use crate::formats::until_closed;
use crate::policies::{self, Configs, Partition, Scope};
use crate::protocol::BUCKET;
use crate::terms::Term;
use crate::text::plain;

/// What IAM takes as one managed policy, and S3 as a bucket's policy, in characters other than white space.
const LARGEST_MANAGED: usize = 6144;
const LARGEST_OF_BUCKET: usize = 20 << 10;
/// The longest part of a policy's name that a customer gives.
const LONGEST_NAME: usize = 63;

/// What `iam --help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  config-backup iam writer                           who deploys any customer
  config-backup iam writer --customer airbnb         who deploys this one alone
  config-backup iam reader --records-only            who may see who deployed what, but no config
  config-backup iam bucket -f terraform >bucket.tf   nothing deleted or overwritten, TLS only";

/// The arguments of `iam`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    policy: Policy,
}

#[derive(Debug, Subcommand)]
enum Policy {
    /// For who deploys: configs, records and the units' states, read and written, never deleted
    Writer {
        #[command(flatten)]
        identity: Identity,
        /// Also take away the states' lock files, for a root.hcl with `use_lockfile = true`
        #[arg(long)]
        lock_files: bool,
    },
    /// For who looks back: records and configs, without the units' states
    Reader {
        #[command(flatten)]
        identity: Identity,
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
        identity: Identity,
    },
    /// For the bucket: TLS only, no record or version of a config is overwritten, none of ours is deleted
    Bucket {
        #[command(flatten)]
        common: Common,
        /// A user, role or account (`…:root`) of another account, who may deploy into this bucket as far as it is concerned
        #[arg(long, value_name = "ARN")]
        principal: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Identity {
    #[command(flatten)]
    common: Common,
    /// The account that the bucket must belong to: none of the same name elsewhere gets or gives anything
    #[arg(long, env = "CONFIG_BACKUP_BUCKET_OWNER", value_name = "ACCOUNT")]
    account: Option<String>,
    /// The bucket's own KMS key
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

#[derive(Debug, Args)]
struct Common {
    /// Only this customer, by the exact name; may be given several times
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    customer: Vec<String>,
    /// The bucket
    #[arg(long, env = "CONFIG_BACKUP_BUCKET", default_value = BUCKET)]
    bucket: String,
    /// The realm of AWS
    #[arg(long, value_enum, default_value_t = Partition::Aws, hide_possible_values = true, value_name = "aws|aws-cn|aws-us-gov")]
    partition: Partition,
    /// The policy itself, or a resource of Terraform with it
    #[arg(long, short, value_enum, default_value_t = Form::Json, hide_possible_values = true, value_name = "json|terraform")]
    format: Form,
}

/// How a policy is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Terraform,
}

/// Prints the policy. Exit: see README.md, "Exit codes".
pub fn run(arguments: &Arguments, mut output: impl Write, mut messages: impl Write) -> Result<Exit> {
    let (name, common, policy) = match &arguments.policy {
        Policy::Writer { identity, lock_files } => ("writer", &identity.common, policies::writer(&identity.scope()?, *lock_files)),
        Policy::Reader { identity, records_only, versions } => {
            let (name, configs) = match (records_only, versions) {
                (true, _) => ("records-reader", Configs::Hidden),
                (_, true) => ("reader", Configs::WithVersions),
                _ => ("reader", Configs::Shown),
            };
            (name, &identity.common, policies::reader(&identity.scope()?, configs))
        }
        Policy::Compactor { identity } => ("compactor", &identity.common, policies::compactor(&identity.scope()?)),
        Policy::Bucket { common, principal } => {
            let scope = common.scope()?;
            for arn in principal {
                common.check_principal(arn)?;
            }
            ("bucket", common, policies::bucket(&scope, principal))
        }
    };
    let json = policy.json();
    let text = match common.format {
        Form::Json => format!("{json}\n"),
        Form::Terraform => resource(name, common, &policy),
    };
    let (largest, kind) = if name == "bucket" { (LARGEST_OF_BUCKET, "policy of a bucket") } else { (LARGEST_MANAGED, "managed policy") };
    let size = json.chars().filter(|c| !c.is_whitespace()).count();
    if size > largest {
        writeln!(
            messages,
            "config-backup: this has {size} characters, and AWS takes {largest} as a {kind}; make several, of fewer customers"
        )?;
    }
    until_closed(output.write_all(text.as_bytes()).and_then(|()| output.flush())).context("write the policy to stdout")?;
    Ok(Exit(0))
}

impl Identity {
    fn scope(&self) -> Result<Scope<'_>, Fault> {
        let mut scope = self.common.scope()?;
        // A variable that is set to nothing says nothing.
        if let Some(account) = self.account.as_deref().filter(|account| !account.is_empty()) {
            if !arns::is_account(account) {
                return Err(refused("account", account, "it is no account", "give its 12 digits"));
            }
            scope.account = Some(account);
        }
        if let Some(arn) = self.kms_key.as_deref() {
            let partition = self.common.partition;
            let way_out = format!("give `arn:{partition}:kms:<region>:<account>:key/<id>`");
            let region = arns::region_of_key(arn, &partition.to_string());
            let region = region.ok_or_else(|| refused("kms-key", arn, "it is no key's ARN in this partition", &way_out))?;
            scope.key = Some((arn, region));
        }
        Ok(scope)
    }
}

impl Common {
    fn scope(&self) -> Result<Scope<'_>, Fault> {
        if let Some(why) = arns::not_a_bucket(&self.bucket) {
            return Err(refused("bucket", &self.bucket, &format!("no bucket can be called so: {why}"), "check the name"));
        }
        let Self { partition, bucket, customer, .. } = self;
        Ok(Scope { partition: *partition, bucket, customers: customer, account: None, key: None })
    }

    fn check_principal(&self, arn: &str) -> Result<(), Fault> {
        let partition = self.partition;
        if arns::is_principal(arn, &partition.to_string()) {
            return Ok(());
        }
        let way_out = format!("give `arn:{partition}:iam::<account>:role/<name>`, or `user/<name>` or `root` behind the account");
        Err(refused("principal", arn, "it is no user's, role's or account's ARN in this partition", &way_out))
    }
}

fn refused(option: &str, value: &str, why: &str, way_out: &str) -> Fault {
    Fault::new(Kind::Input, format!("read `--{option} {}`: {why}", plain(value)), way_out)
}

/// A resource of Terraform that can be pasted as it is.
fn resource(name: &str, common: &Common, policy: &Term) -> String {
    let mut text = String::new();
    let (kind, first) = if name == "bucket" {
        ("aws_s3_bucket_policy", format!("bucket = \"{}\"", common.bucket))
    } else {
        ("aws_iam_policy", format!("name = \"config-backup-{name}{}\"", of_customer(common)))
    };
    let label = format!("config-backup-{name}{}", of_customer(common)).replace(['-', '.'], "_");
    let _ = writeln!(text, "resource \"{kind}\" \"{label}\" {{\n  {first}\n\n  policy = jsonencode({})\n}}", policy.hcl(2));
    text
}

/// What tells the policy of one customer from that of another, in characters that a name may have.
fn of_customer(common: &Common) -> String {
    let [customer] = &common.customer[..] else { return String::new() };
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = customer.chars().map(|c| if is_harmless(c) { c } else { '-' }).take(LONGEST_NAME).collect();
    format!("-{name}")
}
