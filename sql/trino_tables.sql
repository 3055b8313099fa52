-- The tables of the usage records in Trino. Run trino_views.sql after it. docs/sql.md describes the setup and the cost.
--
-- For one customer, use a schema of its own with `usage-logs/<customer>/` as the location. Then nothing else is read.

CREATE TABLE IF NOT EXISTS usage_lines (line VARCHAR)
WITH (format = 'TEXTFILE', external_location = 's3://mongodb-arena/usage-logs/');

-- Records that `config-backup compact` archived (docs/reference/archive.md). Empty before the first run.
CREATE TABLE IF NOT EXISTS usage_archive (
  "timestamp" VARCHAR, customer VARCHAR, "user" VARCHAR, additional_users_count DECIMAL(20, 0), project_name VARCHAR, cluster_name VARCHAR,
  arn VARCHAR, account VARCHAR, config_hash VARCHAR, backup VARCHAR, late BOOLEAN, deployment_id VARCHAR, git_commit VARCHAR,
  git_branch VARCHAR, git_dirty BOOLEAN, ci_provider VARCHAR, ci_run_url VARCHAR, backup_key VARCHAR, chain_writer VARCHAR,
  chain_number BIGINT, chain_previous VARCHAR, sha256 VARCHAR, last_modified VARCHAR, key VARCHAR, etag VARCHAR, size BIGINT, record VARCHAR
)
WITH (format = 'PARQUET', external_location = 's3://mongodb-arena/usage-logs-archive/');
