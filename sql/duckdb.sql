-- The usage records as tables in DuckDB, read where they lie. docs/sql.md says how to use them and what it costs.
--
--   SET VARIABLE bucket = 'mongodb-arena';    another bucket than this one
--   SET VARIABLE segment = 'airbnb';          only this customer, as encoded in keys; nothing else is fetched
--
-- Each session fetches the objects again. `CREATE TABLE copy AS FROM deployments` in a database file keeps the data.

-- What Unicode calls white space, at both ends.
CREATE OR REPLACE MACRO usage_trim(t) AS
  regexp_replace(t, '^[\s\x0b\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+|[\s\x0b\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+$', '', 'g');

-- The deepest nesting of brackets, `[` and `{` counting up and all else down: both in one number, the deepest in its upper part.
CREATE OR REPLACE MACRO usage_depth(brackets) AS
  list_reduce(
    list_transform(string_split(brackets, ''), lambda c: CASE WHEN c IN ('[', '{') THEN 1 ELSE -1 END::BIGINT),
    lambda a, x: (greatest(a >> 24, (a & 16777215) + x) << 24) + (a & 16777215) + x,
    0::BIGINT
  ) >> 24;

-- A text as JSON, if it is what report takes for a record: DuckDB also takes NaN, Infinity and a comma too many, and any depth.
CREATE OR REPLACE MACRO usage_record(t) AS
  CASE
    WHEN regexp_matches(regexp_replace(t, '"(?:[^"\\]|\\.)*"', '""', 'gs'), '(?i)nan|inf|,\s*[\]}]') THEN NULL
    WHEN usage_depth(regexp_replace(regexp_replace(t, '"(?:[^"\\]|\\.)*"', '', 'gs'), '[^][{}]', '', 'g')) > 127 THEN NULL
    ELSE TRY_CAST(t AS JSON)
  END;

-- A field as text; values that are neither text nor a number are skipped.
CREATE OR REPLACE MACRO usage_text(j, path) AS
  CASE WHEN json_type(j, path) IN ('VARCHAR', 'UBIGINT', 'BIGINT', 'DOUBLE') THEN json_extract_string(j, path) ELSE '' END;

-- A count as a number, also one that was written as `5.0` or as text; what is no whole number is 0.
CREATE OR REPLACE MACRO usage_count(j, path) AS
  coalesce(
    CASE
      WHEN json_type(j, path) = 'VARCHAR' AND regexp_full_match(usage_trim(json_extract_string(j, path)), '[0-9]+')
        THEN try_cast(ltrim(usage_trim(json_extract_string(j, path)), '0') AS UBIGINT)
      WHEN json_type(j, path) IN ('UBIGINT', 'BIGINT') THEN try_cast(json_extract_string(j, path) AS UBIGINT)
      WHEN json_type(j, path) = 'DOUBLE' AND json_extract_string(j, path)::DOUBLE BETWEEN 0 AND 9007199254740991
        AND json_extract_string(j, path)::DOUBLE = floor(json_extract_string(j, path)::DOUBLE)
        THEN json_extract_string(j, path)::DOUBLE::UBIGINT
    END,
    0::UBIGINT
  );

-- A date and a time of day, if there is such a time in the years 2000 to 2099.
CREATE OR REPLACE MACRO usage_moment(d, t) AS
  CASE WHEN regexp_full_match(t, '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]') THEN try_cast(d || ' ' || t AS TIMESTAMP) END;
CREATE OR REPLACE MACRO usage_year_is_known(t) AS
  t >= TIMESTAMP '2000-01-01' AND t < TIMESTAMP '2100-01-01';

-- The customer that a segment of a key stands for; NULL where it is none that is written so.
CREATE OR REPLACE MACRO usage_customer(segment) AS
  CASE
    WHEN regexp_full_match(segment, '[A-Za-z0-9][A-Za-z0-9._-]{0,62}') THEN segment
    WHEN length(segment) <= 400
      AND regexp_full_match(segment, '~([A-Za-z0-9._-]|~([01][0-9a-f]|2[0-9a-cf]|3[a-f]|40|5[b-e]|60|7[b-f]|[89a-f][0-9a-f]))*')
      AND NOT regexp_full_match(segment, '~[A-Za-z0-9][A-Za-z0-9._-]{0,62}')
      THEN TRY(url_decode(replace(substr(segment, 2), '~', '%')))
  END;

-- Names that the views below share with the other engines.
CREATE OR REPLACE MACRO to_unixtime(t) AS epoch(t);
CREATE OR REPLACE MACRO with_timezone(t, zone) AS t;
CREATE OR REPLACE MACRO regexp_like(t, pattern) AS regexp_matches(t, pattern);

-- What `config-backup compact` made of the records, for as many as it was asked to (docs/reference/archive.md).
SET VARIABLE usage_parts = (
  SELECT list(file)
  FROM glob('s3://' || coalesce(getvariable('bucket'), 'mongodb-arena') || '/usage-logs-archive/' || coalesce(getvariable('segment'), '*') || '/*.parquet')
);
CREATE OR REPLACE VIEW usage_archive AS
FROM query(
  CASE WHEN getvariable('usage_parts') IS NULL
    THEN 'SELECT 
      NULL::VARCHAR AS "timestamp", NULL::VARCHAR AS customer, NULL::VARCHAR AS "user", NULL::DECIMAL(20, 0) AS additional_users_count,
      NULL::VARCHAR AS project_name, NULL::VARCHAR AS cluster_name, NULL::VARCHAR AS arn, NULL::VARCHAR AS account,
      NULL::VARCHAR AS config_hash, NULL::VARCHAR AS backup, NULL::BOOLEAN AS late, NULL::VARCHAR AS deployment_id,
      NULL::VARCHAR AS git_commit, NULL::VARCHAR AS git_branch, NULL::BOOLEAN AS git_dirty, NULL::VARCHAR AS ci_provider,
      NULL::VARCHAR AS ci_run_url, NULL::VARCHAR AS backup_key, NULL::VARCHAR AS chain_writer, NULL::BIGINT AS chain_number,
      NULL::VARCHAR AS chain_previous, NULL::VARCHAR AS sha256, NULL::VARCHAR AS last_modified, NULL::VARCHAR AS key, NULL::VARCHAR AS etag,
      NULL::BIGINT AS size, NULL::VARCHAR AS record
      WHERE false'
    ELSE 'FROM read_parquet(getvariable(''usage_parts''))'
  END
);

-- The objects to fetch: all, or those that are not archived. All of the legacy module's, whose keys have no time, because it overwrites
-- objects. Special characters in names are escaped.
SET VARIABLE usage_logs = 's3://' || coalesce(getvariable('bucket'), 'mongodb-arena') || '/usage-logs/' || coalesce(getvariable('segment'), '*') || '/*.json';
SET VARIABLE usage_files = CASE WHEN getvariable('usage_parts') IS NULL
  THEN [getvariable('usage_logs')]
  ELSE (
    SELECT list(regexp_replace(file, '([*\[])', '[\1]', 'g'))
    FROM glob(getvariable('usage_logs')) AS logs
    ANTI JOIN (
      SELECT 's3://' || coalesce(getvariable('bucket'), 'mongodb-arena') || '/' || key AS file
      FROM usage_archive
      WHERE regexp_full_match(key, '.*/[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}(-[^/]*)?\.json', 's')
    ) AS archived USING (file)
  )
END;

-- The records of both kinds: with an object of their own, without those that need not be fetched, and archived.
CREATE OR REPLACE VIEW usage_sources AS
WITH objects AS (
  SELECT
    regexp_extract(filename, '^s3://[^/]*/(.*)$', 1, 's') AS key,
    last_modified,
    content,
    TRY(decode(content)) AS text
  FROM query(
    CASE WHEN getvariable('usage_files') IS NULL
      THEN 'SELECT NULL::VARCHAR AS filename, NULL::BLOB AS content, NULL::BIGINT AS size, NULL::TIMESTAMPTZ AS last_modified WHERE false'
      ELSE 'FROM read_blob(getvariable(''usage_files''))'
    END
  )
  WHERE size <= 1048576
),
records AS (
  SELECT
    key,
    last_modified::TIMESTAMP AS last_modified,
    sha256(content) AS sha256,
    split_part(key, '/', 2) AS segment,
    regexp_extract(key, '([0-9]{4}-[0-9]{2}-[0-9]{2})_([0-9]{2})([0-9]{2})([0-9]{2})(?:-[^/]*)?\.json$', ['date', 'hour', 'minute', 'second']) AS stem,
    -- A byte-order mark is no part of the text.
    usage_record(CASE WHEN starts_with(text, chr(65279)) THEN substr(text, 2) ELSE text END) AS record
  FROM objects
  WHERE regexp_full_match(key, 'usage-logs/[^/]+/[^/]+\.json', 's')
),
read AS (
  SELECT
    *,
    regexp_extract(
      usage_trim(CASE WHEN json_type(record, '$.timestamp') = 'VARCHAR' THEN json_extract_string(record, '$.timestamp') END),
      '^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))$',
      ['date', 'minute', 'second', 'fraction', 'sign', 'zone_hours', 'zone_minutes']
    ) AS t,
    usage_text(record, '$.customer') AS said,
    usage_text(record, '$.user') AS arn
  FROM records
  WHERE json_type(record) = 'OBJECT'
    AND (json_exists(record, '$.timestamp') OR json_exists(record, '$.customer') OR json_exists(record, '$.user') OR json_exists(record, '$.config_hash'))
),
timed AS (
  SELECT
    *,
    usage_moment(t.date, t.minute || replace(t.second, '60', '59'))
      - to_minutes(CASE t.sign WHEN '-' THEN -1 ELSE 1 END * coalesce(try_cast(t.zone_hours AS INTEGER) * 60 + try_cast(t.zone_minutes AS INTEGER), 0))
      AS said_at,
    -- A leap second is the end of the second before it.
    CASE t.second WHEN '60' THEN 999999999 ELSE coalesce(try_cast(rpad(left(t.fraction, 9), 9, '0') AS BIGINT), 0) END AS said_nanoseconds,
    usage_moment(stem.date, stem.hour || ':' || stem.minute || ':' || stem.second) AS named_at
  FROM read
),
dated AS (
  SELECT
    *,
    CASE
      WHEN usage_year_is_known(said_at) THEN make_timestamp_ns(epoch_ns(said_at) + said_nanoseconds)
      WHEN usage_year_is_known(named_at) THEN named_at::TIMESTAMP_NS
      ELSE last_modified::TIMESTAMP_NS
    END AS deployed_at
  FROM timed
),
own AS (
  SELECT
    strftime(deployed_at, '%Y-%m-%dT%H:%M:%S') || CASE
      WHEN epoch_ns(deployed_at) % 1000000000 = 0 THEN ''
      WHEN epoch_ns(deployed_at) % 1000000 = 0 THEN printf('.%03d', epoch_ns(deployed_at) // 1000000 % 1000)
      WHEN epoch_ns(deployed_at) % 1000 = 0 THEN printf('.%06d', epoch_ns(deployed_at) // 1000 % 1000000)
      ELSE printf('.%09d', epoch_ns(deployed_at) % 1000000000)
    END || 'Z' AS "timestamp",
    CASE WHEN segment = '~~h' || sha256(said) THEN said ELSE coalesce(usage_customer(segment), segment) END AS customer,
    usage_count(record, '$.additional_users_count') AS additional_users_count,
    usage_text(record, '$.project_name') AS project_name,
    usage_text(record, '$.cluster_name') AS cluster_name,
    arn,
    usage_text(record, '$.account') AS account,
    usage_text(record, '$.config_hash') AS config_hash,
    usage_text(record, '$.backup') AS backup,
    coalesce(json_extract_string(record, '$.late') = 'true' AND json_type(record, '$.late') = 'BOOLEAN', false) AS late,
    usage_text(record, '$.deployment_id') AS deployment_id,
    CASE WHEN has_git THEN json_extract_string(record, '$.git.commit') ELSE '' END AS git_commit,
    CASE WHEN has_git THEN json_extract_string(record, '$.git.branch') ELSE '' END AS git_branch,
    CASE WHEN has_git THEN json_extract_string(record, '$.git.dirty')::BOOLEAN END AS git_dirty,
    CASE WHEN has_ci THEN json_extract_string(record, '$.ci.provider') ELSE '' END AS ci_provider,
    CASE WHEN has_ci THEN json_extract_string(record, '$.ci.run_url') ELSE '' END AS ci_run_url,
    usage_text(record, '$.backup_key') AS backup_key,
    CASE WHEN has_chain THEN json_extract_string(record, '$.chain.writer') END AS chain_writer,
    CASE WHEN has_chain THEN try_cast(json_extract_string(record, '$.chain.number') AS BIGINT) END AS chain_number,
    CASE WHEN has_chain THEN json_extract_string(record, '$.chain.previous') END AS chain_previous,
    sha256,
    deployed_at,
    last_modified,
    key
  FROM (
    SELECT
      *,
      json_type(record, '$.git.commit') = 'VARCHAR' AND json_type(record, '$.git.branch') = 'VARCHAR'
        AND json_type(record, '$.git.dirty') = 'BOOLEAN' AS has_git,
      json_type(record, '$.ci.provider') = 'VARCHAR' AND json_type(record, '$.ci.run_url') = 'VARCHAR' AS has_ci,
      json_type(record, '$.chain.writer') = 'VARCHAR' AND json_type(record, '$.chain.number') = 'UBIGINT'
        AND json_type(record, '$.chain.previous') = 'VARCHAR' AS has_chain
    FROM dated
  )
),
sources AS (
  SELECT *, false AS is_archived FROM own
  UNION ALL
  SELECT
    "timestamp", customer, additional_users_count::UBIGINT AS additional_users_count, project_name, cluster_name, arn, account,
    config_hash, backup, late, deployment_id, git_commit, git_branch, git_dirty, ci_provider, ci_run_url, backup_key, chain_writer,
    chain_number, chain_previous, sha256,
    "timestamp"::TIMESTAMP_NS AS deployed_at,
    last_modified::TIMESTAMP AS last_modified,
    key,
    true AS is_archived
  FROM usage_archive
)
SELECT
  -- The role, if a tool made up the name of the session: docs/reference/formats.md, "Users". Not the column of the archive, because an older
  -- version may have written it.
  CASE
    WHEN NOT regexp_like(arn, ':assumed-role/AWSReservedSSO_')
      AND regexp_like(
        arn,
        '\Aarn:[^:/]*:sts:[^:/]*:[^:/]*:assumed-role/[^/]+/(?:'
        || 'assume-role-from-profile-[0-9]{10,20}'
        || '|assume-role-provider-[0-9]{10,20}'
        || '|web-identity-token-[0-9]{10,20}'
        || '|web-identity-token-profile-[0-9]{10,20}'
        || '|botocore-session-[0-9]{10,20}'
        || '|AWS-CLI-session-[0-9]{10,20}'
        || '|aws-go-sdk-[0-9]{10,20}'
        || '|aws-sdk-[A-Za-z0-9_+=,.@-]{1,64}-[0-9]{10,20}'
        || '|aws-dotnet-sdk-session-[0-9]{10,20}'
        || '|[0-9]{10,20}'
        || '|[0-9A-Fa-f-]{36}'
        || '|[A-Za-z0-9]{48}'
        || '|default_session'
        || '|token-file-web-identity'
        || '|web-identity'
        || '|temporary-credentials'
        || '|terragrunt-[0-9]{10,20}'
        || '|assumed-from-leapp'
        || '|i-[0-9A-Fa-f]{8,17}'
        || '|mi-[0-9A-Fa-f]{8,17}'
        || '|[0-9A-Fa-f]{32,64}'
        || '|AWSCodeBuild-[0-9A-Fa-f-]{36}'
        || '|eks-[A-Za-z0-9_+=,.@-]{1,64}-[0-9A-Fa-f-]{36}'
        || '|GitHubActions'
        || '|GitHubActions-[0-9]{1,20}'
        || '|GitLabRunner-[0-9]{1,20}-[0-9]{1,20}'
        || '|Jenkins'
        || '|Jenkins-[0-9]{1,20}'
        || '|Jenkins-[A-Za-z0-9_+=,.@-]{1,64}-[0-9]{1,20}'
        || '|buildkite-job-[0-9A-Fa-f-]{36}'
        || '|build-session'
        || '|aws-vsts-tools'
        || '|terraform-run-[A-Za-z0-9_+=,.@-]{1,64}'
        || '|[0-9A-Z]{26}@[A-Za-z0-9_+=,.@-]{1,64}'
        || ')\z'
      )
      THEN split_part(arn, '/', 2)
    ELSE string_split(arn, CASE WHEN contains(arn, '/') THEN '/' ELSE ':' END)[-1]
  END AS "user",
  *
FROM sources;

-- The views from here on are the same in trino_views.sql and duckdb.sql.

-- Records with an object of their own.
CREATE OR REPLACE VIEW usage_records AS
SELECT
  "timestamp", customer, "user", additional_users_count, project_name, cluster_name, arn, account, config_hash, backup, late, deployment_id,
  git_commit, git_branch, git_dirty, ci_provider, ci_run_url, backup_key, chain_writer, chain_number, chain_previous, sha256, deployed_at,
  last_modified, key
FROM usage_sources
WHERE NOT is_archived;

-- Every deployment, as `config-backup report --all` has them, and more. A record that is archived as well counts once: its own object
-- has the last word, and where that is gone, the newest one of the archive.
CREATE OR REPLACE VIEW deployments AS
SELECT
  "timestamp", customer, "user", additional_users_count, project_name, cluster_name, arn, account, config_hash, backup, late, deployment_id,
  git_commit, git_branch, git_dirty, ci_provider, ci_run_url, backup_key, chain_writer, chain_number, chain_previous, sha256, deployed_at,
  last_modified, key
FROM (
  SELECT *, row_number() OVER (PARTITION BY key ORDER BY is_archived, last_modified DESC) AS place
  FROM usage_sources
) AS places
WHERE place = 1;

-- The rows of `config-backup report`: of each day, customer and user the last deployment. Sort them where you ask for them.
CREATE OR REPLACE VIEW usage_daily AS
SELECT "timestamp", customer, "user", additional_users_count, project_name, cluster_name
FROM (
  SELECT
    CAST(substr("timestamp", 1, 10) AS DATE) AS "timestamp", customer, "user", additional_users_count, project_name, cluster_name,
    row_number() OVER (
      PARTITION BY substr("timestamp", 1, 10), customer, "user"
      ORDER BY deployed_at DESC, coalesce(chain_number, 0) DESC, last_modified DESC, key DESC
    ) AS place
  FROM deployments
) AS places
WHERE place = 1;

-- The configs that were deployed. Of a config that was backed up more than once, `backup_key` is the newest copy.
CREATE OR REPLACE VIEW config_versions AS
SELECT
  customer,
  config_hash,
  min(deployed_at) AS first_deployed_at,
  max(deployed_at) AS last_deployed_at,
  count(*) AS deployments,
  count(DISTINCT "user") AS users,
  max(backup_key) AS backup_key
FROM deployments
WHERE config_hash <> ''
GROUP BY customer, config_hash;

-- Where the chains of records are broken: `missing` numbers, a number given twice (`doubled`), or a record that is not the one
-- that the next record of its chain names (`changed`). `key` is the record that shows it.
CREATE OR REPLACE VIEW chain_breaks AS
SELECT
  customer,
  chain_writer,
  CASE WHEN chain_number = before THEN 'doubled' WHEN chain_number > before + 1 THEN 'missing' ELSE 'changed' END AS what,
  CASE WHEN chain_number > before + 1 THEN before + 1 WHEN chain_number = before THEN before ELSE chain_number - 1 END AS first_number,
  CASE WHEN chain_number > before + 1 THEN chain_number - 1 WHEN chain_number = before THEN before ELSE chain_number - 1 END AS last_number,
  key
FROM (
  SELECT
    customer, chain_writer, chain_number, chain_previous, key,
    coalesce(lag(chain_number) OVER (PARTITION BY customer, chain_writer ORDER BY chain_number, key), 0) AS before,
    coalesce(lag(sha256) OVER (PARTITION BY customer, chain_writer ORDER BY chain_number, key), '') AS sha256_before
  FROM deployments
  WHERE chain_writer IS NOT NULL
) AS links
WHERE chain_number <> before + 1 OR chain_previous <> sha256_before;

-- What to look after, by customer: how long ago the last deployment was, and how many records report problems or are missing.
CREATE OR REPLACE VIEW gaps AS
SELECT
  customer,
  max(last_deployed_at) AS last_deployed_at,
  CAST(floor((to_unixtime(current_timestamp) - to_unixtime(with_timezone(max(last_deployed_at), 'UTC'))) / 3600) AS BIGINT) AS hours_since,
  CAST(sum(deployments) AS BIGINT) AS deployments,
  CAST(sum(spooled) AS BIGINT) AS spooled,
  CAST(sum(failed) AS BIGINT) AS failed,
  CAST(sum(late) AS BIGINT) AS late,
  CAST(sum(missing) AS BIGINT) AS missing
FROM (
  SELECT
    customer,
    max(deployed_at) AS last_deployed_at,
    count(*) AS deployments,
    count(*) FILTER (WHERE backup = 'spooled') AS spooled,
    count(*) FILTER (WHERE backup = 'failed') AS failed,
    count(*) FILTER (WHERE late) AS late,
    coalesce(max(chain_number) - count(DISTINCT chain_number), 0) AS missing
  FROM deployments
  GROUP BY customer, chain_writer
) AS writers
GROUP BY customer;
