//! What the policies say: who deploys, who looks back, and the bucket itself. No more than the verbs do.
//!
//! Pure. How a policy is written down, `terms.rs` knows; where things lie, `layout.rs`.

use std::fmt;

use clap::ValueEnum;
use indexmap::IndexSet;

use crate::layout::{CONFIGS, CURRENT, HISTORY, LOGS, SEALS, archive_prefix, folders_to_read, logs_prefix, prefixes_to_read};
use crate::terms::Term;

/// A realm of AWS; ARNs of one mean nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Partition {
    /// Everywhere else
    Aws,
    /// China
    AwsCn,
    /// `GovCloud` (US)
    AwsUsGov,
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        })
    }
}

impl Partition {
    /// What S3 is called in a region where KMS asks through whom a key is used.
    fn s3_in(self, region: &str) -> String {
        let domain = if self == Self::AwsCn { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("s3.{region}.{domain}")
    }
}

/// What a policy is about. All of it has the right form.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Where.
    pub partition: Partition,
    /// The bucket's name.
    pub bucket: &'a str,
    /// By their exact names; none stands for all.
    pub customers: &'a [String],
    /// The account that the bucket must belong to, if that is to be looked at.
    pub account: Option<&'a str>,
    /// The ARN of the bucket's own KMS key, and its region.
    pub key: Option<(&'a str, &'a str)>,
}

/// For who deploys: reads and writes the customers' configs, records and the units' states, and deletes nothing but, with
/// `lock_files`, the states' locks.
#[must_use]
pub fn writer(scope: &Scope<'_>, lock_files: bool) -> Term {
    let mut statements = scope.writing(None);
    if lock_files {
        let locks = match scope.customers {
            [] => IndexSet::from([format!("{CONFIGS}*.tflock")]),
            customers => customers.iter().flat_map(|it| folders_to_write(it)).map(|it| format!("{}*.tflock", literal(&it))).collect(),
        };
        statements.push(scope.statement("Unlock", "Allow", None, &["s3:DeleteObject"], scope.objects(&locks), Vec::new()));
    }
    statements.extend(scope.key(&["kms:GenerateDataKey", "kms:Decrypt"]));
    policy(statements)
}

/// What of the configs somebody may read, who may read the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configs {
    /// None.
    Hidden,
    /// Those that are there.
    Shown,
    /// Those that were overwritten or deleted as well, in a bucket that keeps versions.
    WithVersions,
}

/// For who looks back: reads the records and, where they are shown, the configs, which hold secrets. Of the states, the names.
#[must_use]
pub fn reader(scope: &Scope<'_>, configs: Configs) -> Term {
    let mut objects: IndexSet<String> = IndexSet::new();
    let mut prefixes: IndexSet<String> = IndexSet::new();
    if configs != Configs::Hidden {
        let folders: IndexSet<String> = match scope.customers {
            [] => IndexSet::from([format!("{CONFIGS}*/")]),
            customers => customers.iter().flat_map(|it| folders_to_read(it)).map(|folder| literal(&folder)).collect(),
        };
        let of_folder =
            |folder: &String| [format!("{folder}{CURRENT}"), format!("{folder}{HISTORY}*.yaml"), format!("{folder}{SEALS}*.json")];
        objects.extend(folders.iter().flat_map(of_folder));
        match scope.customers {
            [] => prefixes.extend([format!("{CONFIGS}*")]),
            _ => prefixes.extend(folders.iter().map(|folder| format!("{folder}*"))),
        }
    }
    let mut records = scope.records();
    records.extend(scope.archive());
    let mut statements = Vec::new();
    if configs == Configs::WithVersions {
        statements.push(scope.statement("ReadVersions", "Allow", None, &["s3:GetObjectVersion"], scope.objects(&objects), Vec::new()));
        statements.push(scope.listing("ListVersions", "s3:ListBucketVersions", None, &prefixes));
    }
    objects.extend(records.iter().cloned());
    prefixes.extend(records);
    statements.insert(0, scope.statement("Read", "Allow", None, &["s3:GetObject"], scope.objects(&objects), Vec::new()));
    statements.insert(1, scope.listing("List", "s3:ListBucket", None, &prefixes));
    statements.extend(scope.key(&["kms:Decrypt"]));
    policy(statements)
}

/// For who archives: reads the records and the archive, and adds to the latter. No config, and no state.
#[must_use]
pub fn compactor(scope: &Scope<'_>) -> Term {
    let archive = scope.archive();
    let mut both = scope.records();
    both.extend(archive.iter().cloned());
    let mut statements = vec![
        scope.statement("Read", "Allow", None, &["s3:GetObject"], scope.objects(&both), Vec::new()),
        scope.statement("Archive", "Allow", None, &["s3:PutObject"], scope.objects(&archive), Vec::new()),
        scope.listing("List", "s3:ListBucket", None, &both),
    ];
    statements.extend(scope.key(&["kms:GenerateDataKey", "kms:Decrypt"]));
    policy(statements)
}

/// For the bucket: what nobody may do to it, whatever their own policies say, and what `principals` of other accounts may.
#[must_use]
pub fn bucket(scope: &Scope<'_>, principals: &[String]) -> Term {
    let everybody = || Some(Term::text("*"));
    let no_tls = vec![("Bool", vec![("aws:SecureTransport", Term::text("false"))])];
    // `CreateMultipartUpload` and the parts carry no condition, and make no object: AWS says so of them by the second key.
    let unconditional =
        vec![("Null", vec![("s3:if-none-match", Term::text("true"))]), ("Bool", vec![("s3:ObjectCreationOperation", Term::text("true"))])];
    let (once, kept) = scope.protected();
    let all = Term::one_or_many([scope.arn(""), scope.arn("/*")]);
    let deletions = ["s3:DeleteObject", "s3:DeleteObjectVersion"];
    let plain = Scope { account: None, ..*scope };
    let mut statements = vec![
        plain.statement("OnlyTls", "Deny", everybody(), &["s3:*"], all, no_tls),
        plain.statement("NeverDeleted", "Deny", everybody(), &deletions, scope.objects(&kept), Vec::new()),
        plain.statement("WrittenOnce", "Deny", everybody(), &["s3:PutObject"], scope.objects(&once), unconditional),
    ];
    if !principals.is_empty() {
        let principals = Term::object([("AWS", Term::one_or_many(principals.iter().cloned()))]);
        statements.extend(plain.writing(Some(&principals)));
    }
    policy(statements)
}

impl Scope<'_> {
    fn arn(&self, behind: &str) -> String {
        format!("arn:{}:s3:::{}{behind}", self.partition, self.bucket)
    }

    fn objects(&self, patterns: &IndexSet<String>) -> Term {
        Term::one_or_many(patterns.iter().map(|pattern| self.arn(&format!("/{pattern}"))))
    }

    /// Where the records lie, ours and those of the earlier module.
    fn records(&self) -> IndexSet<String> {
        match self.customers {
            [] => IndexSet::from([format!("{LOGS}*")]),
            customers => customers.iter().flat_map(|it| prefixes_to_read(it)).map(|prefix| format!("{}*", literal(&prefix))).collect(),
        }
    }

    /// Where they lie once they are archived.
    fn archive(&self) -> IndexSet<String> {
        self.records().iter().map(|pattern| archive_prefix(pattern)).collect()
    }

    fn writing(&self, principal: Option<&Term>) -> Vec<Term> {
        let mut patterns: IndexSet<String> = IndexSet::new();
        for customer in self.customers {
            let folders = folders_to_write(customer).into_iter();
            patterns.extend(folders.chain([logs_prefix(Some(customer))]).map(|prefix| format!("{}*", literal(&prefix))));
        }
        if self.customers.is_empty() {
            patterns.extend([CONFIGS, LOGS].map(|prefix| format!("{prefix}*")));
        }
        let allow =
            |sid, actions: &[&str], patterns| self.statement(sid, "Allow", principal.cloned(), actions, self.objects(patterns), Vec::new());
        let mut statements = vec![allow("ReadAndWrite", &["s3:GetObject", "s3:PutObject"], &patterns)];
        // The report looks for records of the earlier module, too, and for those that are archived.
        let others = self.records().into_iter().filter(|pattern| !patterns.contains(pattern)).chain(self.archive());
        let others: IndexSet<String> = others.collect();
        statements.push(allow("ReadOnly", &["s3:GetObject"], &others));
        patterns.extend(others);
        statements.push(self.listing("List", "s3:ListBucket", principal, &patterns));
        statements
    }

    /// S3 compares `s3:prefix` with the prefix of a listing and, where a key is read that is not there, with that key: only
    /// who may list it is told so.
    fn listing(&self, sid: &str, action: &str, principal: Option<&Term>, prefixes: &IndexSet<String>) -> Term {
        let within = vec![("StringLike", vec![("s3:prefix", Term::one_or_many(prefixes.iter().cloned()))])];
        self.statement(sid, "Allow", principal.cloned(), &[action], Term::text(self.arn("")), within)
    }

    /// What is written once, and what is never deleted. Locks of states (`*.tflock`) are neither.
    fn protected(&self) -> (IndexSet<String>, IndexSet<String>) {
        let folders: IndexSet<String> = match self.customers {
            [] => IndexSet::from([format!("{CONFIGS}*/")]),
            customers => customers.iter().flat_map(|it| folders_to_read(it)).map(|folder| literal(&folder)).collect(),
        };
        let mut once: IndexSet<String> = self.records().iter().map(|pattern| format!("{pattern}.json")).collect();
        once.extend(self.archive().iter().map(|pattern| format!("{pattern}.parquet")));
        once.extend(folders.iter().map(|folder| format!("{folder}{HISTORY}*.yaml")));
        let mut kept = once.clone();
        kept.extend(folders.iter().flat_map(|folder| [format!("{folder}{CURRENT}"), format!("{folder}{SEALS}*.json")]));
        (once, kept)
    }

    fn key(&self, actions: &[&str]) -> Option<Term> {
        let (arn, region) = self.key?;
        let through_s3 = vec![("StringEquals", vec![("kms:ViaService", Term::text(self.partition.s3_in(region)))])];
        Some(Scope { account: None, ..*self }.statement("UseTheKey", "Allow", None, actions, Term::text(arn), through_s3))
    }

    fn statement(
        &self,
        sid: &str,
        effect: &str,
        principal: Option<Term>,
        actions: &[&str],
        resource: Term,
        mut conditions: Vec<(&str, Vec<(&str, Term)>)>,
    ) -> Term {
        if let Some(account) = self.account {
            conditions.push(("StringEquals", vec![("aws:ResourceAccount", Term::text(account))]));
        }
        let owned = |(name, term): (&str, Term)| (name.to_owned(), term);
        let condition = (!conditions.is_empty()).then(|| {
            let named =
                |(operator, keys): (&str, Vec<(&str, Term)>)| (operator.to_owned(), Term::Object(keys.into_iter().map(owned).collect()));
            Term::Object(conditions.into_iter().map(named).collect())
        });
        let fields = [
            ("Sid", Some(Term::text(sid))),
            ("Effect", Some(Term::text(effect))),
            ("Principal", principal),
            ("Action", Some(Term::one_or_many(actions.iter().copied()))),
            ("Resource", Some(resource)),
            ("Condition", condition),
        ];
        Term::Object(fields.into_iter().filter_map(|(name, term)| Some(owned((name, term?)))).collect())
    }
}

fn policy(statements: Vec<Term>) -> Term {
    Term::object([("Version", Term::text("2012-10-17")), ("Statement", Term::List(statements))])
}

/// The folders of a customer's configs and states. The states lie in one that is called as the customer folder is, which has
/// no `/` in its name.
fn folders_to_write(customer: &str) -> Vec<String> {
    let mut folders = folders_to_read(customer);
    folders.truncate(if customer.contains('/') { 1 } else { 2 });
    folders
}

/// A pattern that matches this text alone.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '$') {
            pattern.extend(["${", c.encode_utf8(&mut [0; 4]), "}"]);
        } else {
            pattern.push(c);
        }
    }
    pattern
}

#[cfg(test)]
#[path = "policies/tests.rs"]
mod tests;
