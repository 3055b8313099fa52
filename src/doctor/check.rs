//! The checks of `doctor`, and what one of them found.

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::exit_code::ExitCode;

/// All checks, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CheckId {
    Profile,
    Credentials,
    Certificates,
    Proxy,
    Network,
    Clock,
    Bucket,
    Region,
    Owner,
    ListBucket,
    PutObject,
    GetObject,
    Conditions,
    ReadBack,
    Canary,
    Versioning,
    Encryption,
    PublicAccess,
    TlsOnly,
    ObjectLock,
    Helper,
    Terraform,
    Terragrunt,
    StateFolder,
    Spool,
    ConfigYaml,
    Unit,
    RootHcl,
    Dependents,
}

impl CheckId {
    pub(crate) const ALL: [Self; 29] = [
        Self::Profile,
        Self::Credentials,
        Self::Certificates,
        Self::Proxy,
        Self::Network,
        Self::Clock,
        Self::Bucket,
        Self::Region,
        Self::Owner,
        Self::ListBucket,
        Self::PutObject,
        Self::GetObject,
        Self::Conditions,
        Self::ReadBack,
        Self::Canary,
        Self::Versioning,
        Self::Encryption,
        Self::PublicAccess,
        Self::TlsOnly,
        Self::ObjectLock,
        Self::Helper,
        Self::Terraform,
        Self::Terragrunt,
        Self::StateFolder,
        Self::Spool,
        Self::ConfigYaml,
        Self::Unit,
        Self::RootHcl,
        Self::Dependents,
    ];

    /// The name in the report, which is a contract.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Credentials => "credentials",
            Self::Certificates => "certificates",
            Self::Proxy => "proxy",
            Self::Network => "network",
            Self::Clock => "clock",
            Self::Bucket => "bucket",
            Self::Region => "region",
            Self::Owner => "owner",
            Self::ListBucket => "s3:ListBucket",
            Self::PutObject => "s3:PutObject",
            Self::GetObject => "s3:GetObject",
            Self::Conditions => "conditions",
            Self::ReadBack => "read back",
            Self::Canary => "canary",
            Self::Versioning => "versioning",
            Self::Encryption => "encryption",
            Self::PublicAccess => "public access",
            Self::TlsOnly => "TLS only",
            Self::ObjectLock => "object lock",
            Self::Helper => "helper",
            Self::Terraform => "terraform",
            Self::Terragrunt => "terragrunt",
            Self::StateFolder => "state folder",
            Self::Spool => "spool",
            Self::ConfigYaml => "config.yaml",
            Self::Unit => "unit",
            Self::RootHcl => "root.hcl",
            Self::Dependents => "dependents",
        }
    }

    /// Whether the check asks AWS; the others look at this machine alone.
    pub(crate) fn needs_aws(self) -> bool {
        self <= Self::ObjectLock
    }
}

impl Serialize for CheckId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How good or bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckStatus {
    Ok,
    /// A deployment works, but the user should know of it.
    #[serde(rename = "note")]
    Warning,
    /// A deployment does not work, or not in full.
    #[serde(rename = "bad")]
    Failed,
    /// The check was not made, or gave no clear answer.
    Unknown,
}

/// What one check found; the names of the fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CheckResult {
    pub(crate) check: CheckId,
    pub(crate) status: CheckStatus,
    /// What was seen, or why nothing was: one line.
    pub(crate) seen: String,
    /// What to do: one line, or empty.
    pub(crate) fix: String,
    /// 0 unless the check failed.
    pub(crate) exit: ExitCode,
}

impl CheckResult {
    pub(crate) fn ok(check: CheckId, seen: impl Into<String>) -> Self {
        Self {
            check,
            status: CheckStatus::Ok,
            seen: seen.into(),
            fix: String::new(),
            exit: ExitCode::Ok,
        }
    }

    pub(crate) fn warning(check: CheckId, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Warning,
            fix: fix.into(),
            ..Self::ok(check, seen)
        }
    }

    pub(crate) fn unknown(check: CheckId, cause: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Unknown,
            ..Self::ok(check, cause)
        }
    }

    /// A failure with [`ExitCode::Error`]. Every failure names a fix.
    pub(crate) fn failed(check: CheckId, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Failed,
            fix: fix.into(),
            exit: ExitCode::Error,
            ..Self::ok(check, seen)
        }
    }

    pub(crate) fn from_error(check: CheckId, error: &Error) -> Self {
        let fix = if error.hint.is_empty() {
            "remove the cause, and run `config-backup doctor` again"
        } else {
            &error.hint
        };
        Self::failed(check, &error.message, fix).with_exit_code(error.exit_code())
    }

    pub(crate) fn with_exit_code(self, exit: ExitCode) -> Self {
        Self { exit, ..self }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status == CheckStatus::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_error_has_a_fix_and_an_exit_code() {
        let error = |hint: &str| Error::new(ErrorKind::Denied, "denied", hint);
        let result = CheckResult::from_error(CheckId::Helper, &error("ask"));
        assert_eq!(result.exit, ExitCode::Denied);
        assert_eq!(
            (result.seen.as_str(), result.fix.as_str()),
            ("denied", "ask")
        );

        let result = CheckResult::from_error(CheckId::Helper, &error(""));
        assert_eq!(
            result.fix,
            "remove the cause, and run `config-backup doctor` again"
        );
    }

    #[test]
    fn the_checks_that_need_aws_come_first() {
        let first_local = CheckId::ALL.iter().position(|check| !check.needs_aws());
        assert_eq!(first_local, Some(20));
        assert!(CheckId::ALL.is_sorted());
    }
}
