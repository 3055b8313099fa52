//! A usage record: whatever lies there is read or refused, and what we write is read as it was.

use config_backup::keys::PLAUSIBLE_YEARS;
use config_backup::record::parse::{self, ParsedRecord, RecordError};
use config_backup::record::{
    BackupStatus, ChainLink, CiJob, GitCommit, RECORD_SCHEMA_VERSION, ToolVersions, UsageRecord,
    format_rfc3339,
};
use serde_json::Value;

/// All that is ever said about a record.
const PHRASES: [&str; 19] = [
    "empty object",
    "not valid JSON at line #, column #",
    "not a JSON object",
    "has no field of a usage record",
    "`schema` is #, newer than #",
    "`timestamp` is not an RFC 3339 time of the years # to #",
    "no `user`",
    "`additional_users_count` is not a whole number",
    "`customer` is not text",
    "`user` is not text",
    "`user_id` is not text",
    "`account` is not text",
    "`config_hash` is not text",
    "`project_name` is not text",
    "`cluster_name` is not text",
    "`deployment_id` is not text",
    "`backup` is not text",
    "`backup_key` is not text",
    "`late` is no flag",
];

/// Any bytes are an object of the bucket, and a deployment.
pub fn run(data: &[u8]) {
    judge(&parse::parse_record(data));
    let record = record(data);
    let line = record.to_line();
    judge_line(
        &record,
        &line,
        &parse::parse_record(&line).expect("a record"),
    );
}

/// What is said fits one of the phrases, and the time is one that a deployment can have.
pub fn judge(read: &Result<ParsedRecord, RecordError>) {
    let problems = match read {
        Ok(reading) => reading.problems.clone(),
        Err(error) => vec![error.to_string()],
    };
    super::phrase::only_these(&problems, &PHRASES, u64::MAX);
    if let Ok(ParsedRecord {
        deployed_at: Some(at),
        ..
    }) = read
    {
        let year: i32 = at.format("%Y").to_string().parse().expect("a year");
        assert!(PLAUSIBLE_YEARS.contains(&year), "{at}");
    }
}

/// A deployment with any texts, counts and flags.
pub fn record(data: &[u8]) -> UsageRecord {
    let [
        customer,
        user,
        user_id,
        account,
        config_hash,
        project_name,
        cluster_name,
        id,
        commit,
        branch,
        run_url,
    ] = super::texts(data);
    let number = data
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let at =
        chrono::DateTime::from_timestamp(946_684_800 + (number % 3_155_760_000).cast_signed(), 0)
            .expect("a time");
    UsageRecord {
        timestamp: format_rfc3339(at),
        customer,
        user,
        user_id,
        account,
        config_hash,
        additional_users_count: number,
        project_name,
        cluster_name,
        schema: RECORD_SCHEMA_VERSION,
        deployment_id: id,
        backup: [
            BackupStatus::Uploaded,
            BackupStatus::Unchanged,
            BackupStatus::Spooled,
            BackupStatus::Failed,
        ][data.len() % 4],
        backup_key: String::from_utf8_lossy(data).into_owned(),
        late: number % 2 == 1,
        git: (!commit.is_empty()).then_some(GitCommit {
            commit,
            branch,
            dirty: number % 3 == 0,
        }),
        ci: (!run_url.is_empty()).then(|| CiJob {
            provider: "github".to_owned(),
            run_url,
        }),
        tools: (number % 5 == 0).then(ToolVersions::own_version_only),
        chain: (number % 7 > 0).then(|| ChainLink {
            writer: String::from_utf8_lossy(data).into_owned(),
            number,
            previous: String::new(),
        }),
    }
}

/// One line of JSON that says what the record holds, to any reader and to ours.
pub fn judge_line(record: &UsageRecord, line: &[u8], reading: &ParsedRecord) {
    assert_eq!(
        line.iter().position(|byte| *byte == b'\n'),
        Some(line.len() - 1),
        "one line"
    );
    let value: Value = serde_json::from_slice(line).expect("JSON");
    let says = |name: &str| value[name].as_str().unwrap_or_default();
    assert_eq!(
        value["additional_users_count"].as_u64(),
        Some(record.additional_users_count)
    );
    assert_eq!(
        (says("customer"), says("user"), says("backup_key")),
        (&*record.customer, &*record.user, &*record.backup_key)
    );

    let ParsedRecord {
        deployed_at: at,
        customer,
        user,
        account,
        config_hash,
        project_name,
        cluster_name,
        deployment_id,
        git,
        ci,
        chain,
        is_late: late,
        ..
    } = reading;
    assert_eq!(at.map(format_rfc3339).as_ref(), Some(&record.timestamp));
    assert_eq!(
        (customer, user, account),
        (&record.customer, &record.user, &record.account)
    );
    assert_eq!(
        (config_hash, project_name, cluster_name),
        (
            &record.config_hash,
            &record.project_name,
            &record.cluster_name
        )
    );
    assert_eq!(
        (deployment_id, git, ci, late),
        (&record.deployment_id, &record.git, &record.ci, &record.late)
    );
    assert_eq!(chain, &record.chain);
    assert_eq!(
        reading.additional_users_count,
        record.additional_users_count
    );
    assert_eq!(reading.backup, says("backup"));
    let problems: &[&str] = if record.user.is_empty() {
        &["no `user`"]
    } else {
        &[]
    };
    assert_eq!(reading.problems, problems);
}
