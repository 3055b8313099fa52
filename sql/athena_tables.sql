-- The tables of the usage records in Amazon Athena, engine version 3. Run trino_views.sql after it. docs/sql.md describes the setup
-- and the cost. Athena takes one statement at a time: a semicolon ends each statement, and occurs nowhere else.
--
-- For one customer, use a database of its own with `usage-logs/<customer>/` as the location. Then nothing else is read.

CREATE EXTERNAL TABLE IF NOT EXISTS usage_lines (line STRING)
LOCATION 's3://mongodb-arena/usage-logs/';

-- Records that `config-backup compact` archived (docs/reference/archive.md). Empty before the first run.
CREATE EXTERNAL TABLE IF NOT EXISTS usage_archive (
  `timestamp` STRING, customer STRING, `user` STRING, additional_users_count DECIMAL(20, 0), project_name STRING, cluster_name STRING,
  arn STRING, account STRING, config_hash STRING, backup STRING, late BOOLEAN, deployment_id STRING, git_commit STRING, git_branch STRING,
  git_dirty BOOLEAN, ci_provider STRING, ci_run_url STRING, backup_key STRING, chain_writer STRING, chain_number BIGINT,
  chain_previous STRING, sha256 STRING, last_modified STRING, key STRING, etag STRING, size BIGINT, record STRING
)
STORED AS PARQUET
LOCATION 's3://mongodb-arena/usage-logs-archive/';
