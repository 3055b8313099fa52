//! What the policies say: who deploys, who looks back, and the bucket itself. No more than the verbs do.
//!
//! Pure. How a policy is written down, `terms.rs` knows; where things lie, `layout.rs`.

use std::fmt;

use clap::ValueEnum;
use indexmap::IndexSet;

use crate::iam::document::PolicyNode;
use crate::keys::{
    CONFIG_HISTORY_FOLDER, CONFIGS_PREFIX, CURRENT_CONFIG_NAME, RECORDS_PREFIX, SEALS_FOLDER,
    archive_prefix_for, customer_config_folders, customer_record_prefixes, record_keys_prefix,
};

/// A realm of AWS; ARNs of one mean nothing in another.
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
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        })
    }
}

impl AwsPartition {
    /// What S3 is called in a region where KMS asks through whom a key is used.
    fn s3_service_name(self, region: &str) -> String {
        let domain = if self == Self::AwsCn {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        format!("s3.{region}.{domain}")
    }
}

/// What a policy is about. All of it has the right form.
#[derive(Debug, Clone, Copy)]
pub struct PolicyScope<'a> {
    /// Where.
    pub partition: AwsPartition,
    /// The bucket's name.
    pub bucket: &'a str,
    /// By their exact names; none stands for all.
    pub customers: &'a [String],
    /// The account that the bucket must belong to, if that is to be looked at.
    pub account: Option<&'a str>,
    /// The ARN of the bucket's own KMS key, and its region.
    pub kms_key: Option<(&'a str, &'a str)>,
}

/// For who deploys: reads and writes the customers' configs, records and the units' states, and deletes nothing but, with
/// `lock_files`, the states' locks.
#[must_use]
pub fn writer_policy(scope: &PolicyScope<'_>, lock_files: bool) -> PolicyNode {
    let mut statements = scope.write_statements(None);
    if lock_files {
        let locks = match scope.customers {
            [] => IndexSet::from([format!("{CONFIGS_PREFIX}*.tflock")]),
            customers => customers
                .iter()
                .flat_map(|it| folders_to_write(it))
                .map(|it| format!("{}*.tflock", escape_pattern(&it)))
                .collect(),
        };
        statements.push(scope.statement(
            "Unlock",
            "Allow",
            None,
            &["s3:DeleteObject"],
            scope.object_arns(&locks),
            Vec::new(),
        ));
    }
    statements.extend(scope.kms_statement(&["kms:GenerateDataKey", "kms:Decrypt"]));
    policy_document(statements)
}

/// What of the configs somebody may read, who may read the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigAccess {
    /// None.
    Denied,
    /// Those that are there.
    Allowed,
    /// Those that were overwritten or deleted as well, in a bucket that keeps versions.
    WithVersions,
}

/// For who looks back: reads the records and, where they are shown, the configs, which hold secrets. Of the states, the names.
#[must_use]
pub fn reader_policy(scope: &PolicyScope<'_>, configs: ConfigAccess) -> PolicyNode {
    let mut objects: IndexSet<String> = IndexSet::new();
    let mut prefixes: IndexSet<String> = IndexSet::new();
    if configs != ConfigAccess::Denied {
        let folders: IndexSet<String> = match scope.customers {
            [] => IndexSet::from([format!("{CONFIGS_PREFIX}*/")]),
            customers => customers
                .iter()
                .flat_map(|it| customer_config_folders(it))
                .map(|folder| escape_pattern(&folder))
                .collect(),
        };
        let of_folder = |folder: &String| {
            [
                format!("{folder}{CURRENT_CONFIG_NAME}"),
                format!("{folder}{CONFIG_HISTORY_FOLDER}*.yaml"),
                format!("{folder}{SEALS_FOLDER}*.json"),
            ]
        };
        objects.extend(folders.iter().flat_map(of_folder));
        match scope.customers {
            [] => prefixes.extend([format!("{CONFIGS_PREFIX}*")]),
            _ => prefixes.extend(folders.iter().map(|folder| format!("{folder}*"))),
        }
    }
    let mut records = scope.record_patterns();
    records.extend(scope.archive_patterns());
    let mut statements = Vec::new();
    if configs == ConfigAccess::WithVersions {
        statements.push(scope.statement(
            "ReadVersions",
            "Allow",
            None,
            &["s3:GetObjectVersion"],
            scope.object_arns(&objects),
            Vec::new(),
        ));
        statements.push(scope.list_statement(
            "ListVersions",
            "s3:ListBucketVersions",
            None,
            &prefixes,
        ));
    }
    objects.extend(records.iter().cloned());
    prefixes.extend(records);
    statements.insert(
        0,
        scope.statement(
            "Read",
            "Allow",
            None,
            &["s3:GetObject"],
            scope.object_arns(&objects),
            Vec::new(),
        ),
    );
    statements.insert(
        1,
        scope.list_statement("List", "s3:ListBucket", None, &prefixes),
    );
    statements.extend(scope.kms_statement(&["kms:Decrypt"]));
    policy_document(statements)
}

/// For who archives: reads the records and the archive, and adds to the latter. No config, and no state.
#[must_use]
pub fn compactor_policy(scope: &PolicyScope<'_>) -> PolicyNode {
    let archive = scope.archive_patterns();
    let mut both = scope.record_patterns();
    both.extend(archive.iter().cloned());
    let mut statements = vec![
        scope.statement(
            "Read",
            "Allow",
            None,
            &["s3:GetObject"],
            scope.object_arns(&both),
            Vec::new(),
        ),
        scope.statement(
            "Archive",
            "Allow",
            None,
            &["s3:PutObject"],
            scope.object_arns(&archive),
            Vec::new(),
        ),
        scope.list_statement("List", "s3:ListBucket", None, &both),
    ];
    statements.extend(scope.kms_statement(&["kms:GenerateDataKey", "kms:Decrypt"]));
    policy_document(statements)
}

/// For the bucket: what nobody may do to it, whatever their own policies say, and what `principals` of other accounts may.
#[must_use]
pub fn bucket_policy(scope: &PolicyScope<'_>, principals: &[String]) -> PolicyNode {
    let everybody = || Some(PolicyNode::text("*"));
    let no_tls = vec![(
        "Bool",
        vec![("aws:SecureTransport", PolicyNode::text("false"))],
    )];
    // `CreateMultipartUpload` and the parts carry no condition, and make no object: AWS says so of them by the second key.
    let unconditional = vec![
        ("Null", vec![("s3:if-none-match", PolicyNode::text("true"))]),
        (
            "Bool",
            vec![("s3:ObjectCreationOperation", PolicyNode::text("true"))],
        ),
    ];
    let (once, kept) = scope.protected_patterns();
    let all = PolicyNode::one_or_many([scope.s3_arn(""), scope.s3_arn("/*")]);
    let deletions = ["s3:DeleteObject", "s3:DeleteObjectVersion"];
    let plain = PolicyScope {
        account: None,
        ..*scope
    };
    let mut statements = vec![
        plain.statement("OnlyTls", "Deny", everybody(), &["s3:*"], all, no_tls),
        plain.statement(
            "NeverDeleted",
            "Deny",
            everybody(),
            &deletions,
            scope.object_arns(&kept),
            Vec::new(),
        ),
        plain.statement(
            "WrittenOnce",
            "Deny",
            everybody(),
            &["s3:PutObject"],
            scope.object_arns(&once),
            unconditional,
        ),
    ];
    if !principals.is_empty() {
        let principals =
            PolicyNode::object([("AWS", PolicyNode::one_or_many(principals.iter().cloned()))]);
        statements.extend(plain.write_statements(Some(&principals)));
    }
    policy_document(statements)
}

impl PolicyScope<'_> {
    fn s3_arn(&self, behind: &str) -> String {
        format!("arn:{}:s3:::{}{behind}", self.partition, self.bucket)
    }

    fn object_arns(&self, patterns: &IndexSet<String>) -> PolicyNode {
        PolicyNode::one_or_many(
            patterns
                .iter()
                .map(|pattern| self.s3_arn(&format!("/{pattern}"))),
        )
    }

    /// Where the records lie, ours and those of the earlier module.
    fn record_patterns(&self) -> IndexSet<String> {
        match self.customers {
            [] => IndexSet::from([format!("{RECORDS_PREFIX}*")]),
            customers => customers
                .iter()
                .flat_map(|it| customer_record_prefixes(it))
                .map(|prefix| format!("{}*", escape_pattern(&prefix)))
                .collect(),
        }
    }

    /// Where they lie once they are archived.
    fn archive_patterns(&self) -> IndexSet<String> {
        self.record_patterns()
            .iter()
            .map(|pattern| archive_prefix_for(pattern))
            .collect()
    }

    fn write_statements(&self, principal: Option<&PolicyNode>) -> Vec<PolicyNode> {
        let mut patterns: IndexSet<String> = IndexSet::new();
        for customer in self.customers {
            let folders = folders_to_write(customer).into_iter();
            patterns.extend(
                folders
                    .chain([record_keys_prefix(Some(customer))])
                    .map(|prefix| format!("{}*", escape_pattern(&prefix))),
            );
        }
        if self.customers.is_empty() {
            patterns.extend([CONFIGS_PREFIX, RECORDS_PREFIX].map(|prefix| format!("{prefix}*")));
        }
        let allow = |sid, actions: &[&str], patterns| {
            self.statement(
                sid,
                "Allow",
                principal.cloned(),
                actions,
                self.object_arns(patterns),
                Vec::new(),
            )
        };
        let mut statements = vec![allow(
            "ReadAndWrite",
            &["s3:GetObject", "s3:PutObject"],
            &patterns,
        )];
        // The report looks for records of the earlier module, too, and for those that are archived.
        let others = self
            .record_patterns()
            .into_iter()
            .filter(|pattern| !patterns.contains(pattern))
            .chain(self.archive_patterns());
        let others: IndexSet<String> = others.collect();
        statements.push(allow("ReadOnly", &["s3:GetObject"], &others));
        patterns.extend(others);
        statements.push(self.list_statement("List", "s3:ListBucket", principal, &patterns));
        statements
    }

    /// S3 compares `s3:prefix` with the prefix of a listing and, where a key is read that is not there, with that key: only
    /// who may list it is told so.
    fn list_statement(
        &self,
        sid: &str,
        action: &str,
        principal: Option<&PolicyNode>,
        prefixes: &IndexSet<String>,
    ) -> PolicyNode {
        let within = vec![(
            "StringLike",
            vec![(
                "s3:prefix",
                PolicyNode::one_or_many(prefixes.iter().cloned()),
            )],
        )];
        self.statement(
            sid,
            "Allow",
            principal.cloned(),
            &[action],
            PolicyNode::text(self.s3_arn("")),
            within,
        )
    }

    /// What is written once, and what is never deleted. Locks of states (`*.tflock`) are neither.
    fn protected_patterns(&self) -> (IndexSet<String>, IndexSet<String>) {
        let folders: IndexSet<String> = match self.customers {
            [] => IndexSet::from([format!("{CONFIGS_PREFIX}*/")]),
            customers => customers
                .iter()
                .flat_map(|it| customer_config_folders(it))
                .map(|folder| escape_pattern(&folder))
                .collect(),
        };
        let mut once: IndexSet<String> = self
            .record_patterns()
            .iter()
            .map(|pattern| format!("{pattern}.json"))
            .collect();
        once.extend(
            self.archive_patterns()
                .iter()
                .map(|pattern| format!("{pattern}.parquet")),
        );
        once.extend(
            folders
                .iter()
                .map(|folder| format!("{folder}{CONFIG_HISTORY_FOLDER}*.yaml")),
        );
        let mut kept = once.clone();
        kept.extend(folders.iter().flat_map(|folder| {
            [
                format!("{folder}{CURRENT_CONFIG_NAME}"),
                format!("{folder}{SEALS_FOLDER}*.json"),
            ]
        }));
        (once, kept)
    }

    fn kms_statement(&self, actions: &[&str]) -> Option<PolicyNode> {
        let (arn, region) = self.kms_key?;
        let through_s3 = vec![(
            "StringEquals",
            vec![(
                "kms:ViaService",
                PolicyNode::text(self.partition.s3_service_name(region)),
            )],
        )];
        Some(
            PolicyScope {
                account: None,
                ..*self
            }
            .statement(
                "UseTheKey",
                "Allow",
                None,
                actions,
                PolicyNode::text(arn),
                through_s3,
            ),
        )
    }

    fn statement(
        &self,
        sid: &str,
        effect: &str,
        principal: Option<PolicyNode>,
        actions: &[&str],
        resource: PolicyNode,
        mut conditions: Vec<(&str, Vec<(&str, PolicyNode)>)>,
    ) -> PolicyNode {
        if let Some(account) = self.account {
            conditions.push((
                "StringEquals",
                vec![("aws:ResourceAccount", PolicyNode::text(account))],
            ));
        }
        let owned = |(name, term): (&str, PolicyNode)| (name.to_owned(), term);
        let condition = (!conditions.is_empty()).then(|| {
            let named = |(operator, keys): (&str, Vec<(&str, PolicyNode)>)| {
                (
                    operator.to_owned(),
                    PolicyNode::Object(keys.into_iter().map(owned).collect()),
                )
            };
            PolicyNode::Object(conditions.into_iter().map(named).collect())
        });
        let fields = [
            ("Sid", Some(PolicyNode::text(sid))),
            ("Effect", Some(PolicyNode::text(effect))),
            ("Principal", principal),
            (
                "Action",
                Some(PolicyNode::one_or_many(actions.iter().copied())),
            ),
            ("Resource", Some(resource)),
            ("Condition", condition),
        ];
        PolicyNode::Object(
            fields
                .into_iter()
                .filter_map(|(name, term)| Some(owned((name, term?))))
                .collect(),
        )
    }
}

fn policy_document(statements: Vec<PolicyNode>) -> PolicyNode {
    PolicyNode::object([
        ("Version", PolicyNode::text("2012-10-17")),
        ("Statement", PolicyNode::List(statements)),
    ])
}

/// The folders of a customer's configs and states. The states lie in one that is called as the customer folder is, which has
/// no `/` in its name.
fn folders_to_write(customer: &str) -> Vec<String> {
    let mut folders = customer_config_folders(customer);
    folders.truncate(if customer.contains('/') { 1 } else { 2 });
    folders
}

/// A pattern that matches this text alone.
fn escape_pattern(text: &str) -> String {
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
mod tests;
