//! Usage records: any bytes are parsed or refused, and what we write parses back.

use config_backup::keys::PLAUSIBLE_YEARS;
use config_backup::record::parse::{self, ParsedRecord, RecordError};
use config_backup::record::{
    BackupStatus, ChainLink, CiJob, GitCommit, RECORD_SCHEMA_VERSION, ToolVersions, UsageRecord,
    format_rfc3339,
};
use serde_json::Value;

/// All messages about a record.
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

/// The bytes are an object of the bucket, and the values of a record.
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

/// Each message is a known one, and the time is plausible.
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

/// A record with any texts, counts and flags.
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
            newest: (number % 2 > 0).then(|| String::from_utf8_lossy(data).into_owned()),
        }),
        config_sha256: (number % 3 > 0).then(|| String::from_utf8_lossy(data).into_owned()),
    }
}

/// The line is JSON with the values of the record, for any parser and for ours.
pub fn judge_line(record: &UsageRecord, line: &[u8], parsed: &ParsedRecord) {
    let newline = line.iter().position(|byte| *byte == b'\n');
    assert_eq!(newline, Some(line.len() - 1), "one line");

    let value: Value = serde_json::from_slice(line).expect("JSON");
    let count = value["additional_users_count"].as_u64();
    assert_eq!(count, Some(record.additional_users_count));
    assert_eq!(value["customer"], record.customer);
    assert_eq!(value["user"], record.user);
    assert_eq!(value["backup_key"], record.backup_key);
    assert_eq!(value["backup"], parsed.backup);

    judge_parsed(record, parsed);
}

fn judge_parsed(record: &UsageRecord, parsed: &ParsedRecord) {
    let deployed_at = parsed.deployed_at.expect("a time");
    assert_eq!(format_rfc3339(deployed_at), record.timestamp);
    assert_eq!(parsed.customer, record.customer);
    assert_eq!(parsed.user, record.user);
    assert_eq!(parsed.account, record.account);
    assert_eq!(parsed.config_hash, record.config_hash);
    let count = parsed.additional_users_count;
    assert_eq!(count, record.additional_users_count);
    assert_eq!(parsed.project_name, record.project_name);
    assert_eq!(parsed.cluster_name, record.cluster_name);
    assert_eq!(parsed.deployment_id, record.deployment_id);
    assert_eq!(parsed.backup_key, record.backup_key);
    assert_eq!(parsed.is_late, record.late);
    assert_eq!(parsed.git, record.git);
    assert_eq!(parsed.ci, record.ci);
    assert_eq!(parsed.chain, record.chain);
    let config_sha256 = record.config_sha256.clone().unwrap_or_default();
    assert_eq!(parsed.config_sha256, config_sha256);

    let problems: &[&str] = match record.user.as_str() {
        "" => &["no `user`"],
        _ => &[],
    };
    assert_eq!(parsed.problems, problems);
}
