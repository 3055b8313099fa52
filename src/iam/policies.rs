//! What the policies say. They grant what the commands do, and no more.

use crate::iam::document::{PolicyDocument, PolicyPrincipal, PolicyStatement, PolicyStrings};
use crate::iam::scope::{KeyPatterns, PolicyScope};

/// The policy of who deploys: reads and writes configs, records and the units' states. It deletes
/// nothing but, with `has_lock_files`, the lock files of the states.
#[must_use]
pub fn writer_policy(scope: &PolicyScope<'_>, has_lock_files: bool) -> PolicyDocument {
    let mut statements = write_statements(scope, None);
    if has_lock_files {
        let lock_files = scope.object_arns(&scope.lock_file_patterns());
        let unlock = PolicyStatement::allow("Unlock", &["s3:DeleteObject"], lock_files);
        statements.push(in_account(scope, unlock));
    }
    statements.extend(kms_statement(
        scope,
        &["kms:GenerateDataKey", "kms:Decrypt"],
    ));
    PolicyDocument::new(statements)
}

/// Which configs a reader of the records may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigAccess {
    Denied,
    /// Those that are there.
    Allowed,
    /// Also those that were overwritten or deleted, in a bucket that keeps versions.
    WithVersions,
}

/// The policy of an auditor: reads the records and, if allowed, the configs, which hold secrets. Of
/// the states it sees the names alone.
#[must_use]
pub fn reader_policy(scope: &PolicyScope<'_>, config_access: ConfigAccess) -> PolicyDocument {
    let (configs, config_prefixes) = match config_access {
        ConfigAccess::Denied => (KeyPatterns::new(), KeyPatterns::new()),
        ConfigAccess::Allowed | ConfigAccess::WithVersions => {
            (scope.config_patterns(), scope.config_prefix_patterns())
        }
    };
    let mut records = scope.record_patterns();
    records.extend(scope.archive_patterns());

    let mut statements = vec![
        read_statement(scope, "Read", "s3:GetObject", &union(&configs, &records)),
        list_statement(
            scope,
            "List",
            "s3:ListBucket",
            &union(&config_prefixes, &records),
        ),
    ];
    if config_access == ConfigAccess::WithVersions {
        let action = "s3:GetObjectVersion";
        statements.push(read_statement(scope, "ReadVersions", action, &configs));
        let action = "s3:ListBucketVersions";
        statements.push(list_statement(
            scope,
            "ListVersions",
            action,
            &config_prefixes,
        ));
    }
    statements.extend(kms_statement(scope, &["kms:Decrypt"]));
    PolicyDocument::new(statements)
}

/// The policy of who runs `compact`: reads the records and the archive, and adds to the archive. It
/// sees no config and no state.
#[must_use]
pub fn compactor_policy(scope: &PolicyScope<'_>) -> PolicyDocument {
    let archive = scope.archive_patterns();
    let records_and_archive = union(&scope.record_patterns(), &archive);

    let archive_objects = scope.object_arns(&archive);
    let add = PolicyStatement::allow("Archive", &["s3:PutObject"], archive_objects);
    let mut statements = vec![
        read_statement(scope, "Read", "s3:GetObject", &records_and_archive),
        in_account(scope, add),
        list_statement(scope, "List", "s3:ListBucket", &records_and_archive),
    ];
    statements.extend(kms_statement(
        scope,
        &["kms:GenerateDataKey", "kms:Decrypt"],
    ));
    PolicyDocument::new(statements)
}

/// The policy of the bucket: what it denies to everyone whatever their own policies say, and what
/// `principals` of other accounts may do.
#[must_use]
pub fn bucket_policy(scope: &PolicyScope<'_>, principals: &[String]) -> PolicyDocument {
    let bucket = scope.bucket_arn();
    let everything = PolicyStrings::from_iter([bucket.clone(), format!("{bucket}/*")]);
    let only_tls = PolicyStatement::deny("OnlyTls", &["s3:*"], everything).with_condition(
        "Bool",
        "aws:SecureTransport",
        "false",
    );

    let deletions = ["s3:DeleteObject", "s3:DeleteObjectVersion"];
    let undeletable = scope.object_arns(&scope.undeletable_patterns());
    let never_deleted = PolicyStatement::deny("NeverDeleted", &deletions, undeletable);

    // The second condition spares `CreateMultipartUpload` and the upload of parts: they carry no
    // `If-None-Match`, and they create no object.
    let write_once = scope.object_arns(&scope.write_once_patterns());
    let written_once = PolicyStatement::deny("WrittenOnce", &["s3:PutObject"], write_once)
        .with_condition("Null", "s3:if-none-match", "true")
        .with_condition("Bool", "s3:ObjectCreationOperation", "true");

    let mut statements = vec![only_tls, never_deleted, written_once];
    if !principals.is_empty() {
        let arns = principals.iter().cloned().collect();
        let without_account = PolicyScope {
            account: None,
            ..*scope
        };
        let principal = PolicyPrincipal::Arns(arns);
        statements.extend(write_statements(&without_account, Some(&principal)));
    }
    PolicyDocument::new(statements)
}

/// What a deployment does, except deleting lock files and using a KMS key.
fn write_statements(
    scope: &PolicyScope<'_>,
    principal: Option<&PolicyPrincipal>,
) -> Vec<PolicyStatement> {
    let written = scope.written_patterns();
    // The report also looks for records of the legacy module and for archived records.
    let mut read_only = scope.record_patterns();
    read_only.retain(|pattern| !written.contains(pattern));
    read_only.extend(scope.archive_patterns());

    let actions = ["s3:GetObject", "s3:PutObject"];
    let written_objects = scope.object_arns(&written);
    let read_and_write = PolicyStatement::allow("ReadAndWrite", &actions, written_objects);
    let statements = [
        in_account(scope, read_and_write),
        read_statement(scope, "ReadOnly", "s3:GetObject", &read_only),
        list_statement(scope, "List", "s3:ListBucket", &union(&written, &read_only)),
    ];
    let for_principal = |statement: PolicyStatement| statement.with_principal(principal.cloned());
    statements.map(for_principal).into()
}

fn read_statement(
    scope: &PolicyScope<'_>,
    sid: &'static str,
    action: &str,
    patterns: &KeyPatterns,
) -> PolicyStatement {
    let objects = scope.object_arns(patterns);
    in_account(scope, PolicyStatement::allow(sid, &[action], objects))
}

/// S3 compares `s3:prefix` with the prefix of a listing. Where a missing key is read, it compares the
/// key itself: only who may list it is told that it is missing.
fn list_statement(
    scope: &PolicyScope<'_>,
    sid: &'static str,
    action: &str,
    prefixes: &KeyPatterns,
) -> PolicyStatement {
    let prefixes: PolicyStrings = prefixes.iter().cloned().collect();
    let statement = PolicyStatement::allow(sid, &[action], scope.bucket_arn()).with_condition(
        "StringLike",
        "s3:prefix",
        prefixes,
    );
    in_account(scope, statement)
}

/// The key may lie in another account than the bucket, so the account is not checked.
fn kms_statement(scope: &PolicyScope<'_>, actions: &[&str]) -> Option<PolicyStatement> {
    let key = scope.kms_key?;
    let via_s3 = scope.s3_service_name(key.region);
    let statement = PolicyStatement::allow("UseTheKey", actions, key.arn);
    Some(statement.with_condition("StringEquals", "kms:ViaService", via_s3))
}

/// Limits a statement to a bucket of the account, if one is given.
fn in_account(scope: &PolicyScope<'_>, statement: PolicyStatement) -> PolicyStatement {
    match scope.account {
        Some(account) => statement.with_condition("StringEquals", "aws:ResourceAccount", account),
        None => statement,
    }
}

fn union(first: &KeyPatterns, second: &KeyPatterns) -> KeyPatterns {
    let mut all = first.clone();
    all.extend(second.iter().cloned());
    all
}

#[cfg(test)]
mod tests;
