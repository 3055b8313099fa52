-- The views of the usage records, for Trino and Athena, on the tables of trino_tables.sql or athena_tables.sql. A semicolon ends each
-- statement, and occurs nowhere else.

-- The records of both kinds: with an object of their own, and archived.
CREATE OR REPLACE VIEW usage_sources AS
WITH objects AS (
  -- An object that config-backup wrote is one line. Others may have several, which are joined again, also lines that text files read as null.
  SELECT
    regexp_extract("$path", '(?s)\As3[a-z]*://[^/]+/(.*)\z', 1) AS key,
    CAST(max("$file_modified_time") AT TIME ZONE 'UTC' AS TIMESTAMP(3)) AS last_modified,
    array_join(array_agg(coalesce(line, '\N')), chr(10)) AS text
  FROM usage_lines
  WHERE "$file_size" <= 1048576
  GROUP BY "$path"
),
texts AS (
  SELECT
    key,
    last_modified,
    TRY(lower(to_hex(sha256(to_utf8(text || chr(10)))))) AS sha256,
    split_part(key, '/', 2) AS segment,
    regexp_extract(key, '/([^/]+)\.json\z', 1) AS stem,
    -- A byte-order mark is no part of the text, and bytes that are no UTF-8 are none.
    CASE WHEN to_utf8(from_utf8(to_utf8(text))) = to_utf8(text) THEN regexp_replace(text, '\A\uFEFF', '') END AS text
  FROM objects
  WHERE regexp_like(key, '\Ausage-logs/[^/]+/[^/]+\.json\z')
),
tokens AS (
  SELECT
    *,
    -- Brackets outside of strings, and strings without pairs of surrogates and escaped backslashes.
    regexp_extract_all(regexp_replace(text, '"(?:[^"\\]|\\.)*"', ''), '[\[\]{}]') AS brackets,
    regexp_replace(replace(text, '\\', ''), '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '') AS unpaired
  FROM texts
),
records AS (
  SELECT
    *,
    -- Not parsed where it is nested deeper than 127 levels: from some thousand on, that would end the query.
    CASE
      WHEN regexp_like(unpaired, '\\u[dD][89a-fA-F]') THEN NULL
      WHEN cardinality(brackets) < 128 OR reduce(
        brackets,
        CAST(ROW(0, 0) AS ROW(level BIGINT, deepest BIGINT)),
        (s, bracket) -> CAST(ROW(
          s.level + IF(bracket IN ('[', '{'), 1, -1),
          greatest(s.deepest, s.level + IF(bracket IN ('[', '{'), 1, -1))
        ) AS ROW(level BIGINT, deepest BIGINT)),
        s -> s.deepest
      ) < 128 THEN TRY(json_parse(text))
    END AS record
  FROM tokens
),
fields AS (
  SELECT
    *,
    -- Values that are neither text nor a number are skipped.
    transform_values(
      map_filter(CAST(record AS MAP(VARCHAR, JSON)), (name, value) -> regexp_like(json_format(value), '\A["0-9-]')),
      (name, value) -> json_extract_scalar(value, '$')
    ) AS field,
    CASE WHEN regexp_like(json_format(json_extract(record, '$.timestamp')), '\A"') THEN json_extract_scalar(record, '$.timestamp') END AS said_at,
    json_extract(record, '$.additional_users_count') AS count,
    json_extract(record, '$.git') AS git,
    json_extract(record, '$.ci') AS ci,
    json_extract(record, '$.chain') AS chain
  FROM records
  WHERE regexp_like(json_format(record), '\A\{')
    AND coalesce(
      json_extract(record, '$.timestamp'), json_extract(record, '$.customer'),
      json_extract(record, '$.user'), json_extract(record, '$.config_hash')
    ) IS NOT NULL
),
trimmed AS (
  SELECT
    *,
    -- What Unicode calls white space, at both ends.
    regexp_replace(said_at, '\A[\s\u000B\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+|[\s\u000B\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+\z', '') AS said,
    regexp_replace(json_extract_scalar(count, '$'), '\A[\s\u000B\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+|[\s\u000B\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+\z', '') AS digits
  FROM fields
),
timed AS (
  SELECT
    *,
    CASE WHEN regexp_like(said, '\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\z')
      THEN date_add(
        'minute',
        CASE WHEN regexp_like(said, '[Zz]\z') THEN 0 ELSE
          IF(substr(said, -6, 1) = '-', 1, -1) * (CAST(substr(said, -5, 2) AS INTEGER) * 60 + CAST(substr(said, -2) AS INTEGER))
        END,
        -- A leap second is the end of the second before it.
        TRY(CAST(
          substr(said, 1, 10) || ' ' || substr(said, 12, 6) || CASE
            WHEN substr(said, 18, 2) = '60' THEN '59.999999999'
            ELSE substr(said, 18, 2) || '.' || rpad(substr(coalesce(regexp_extract(said, '\.([0-9]+)', 1), ''), 1, 9), 9, '0')
          END
        AS TIMESTAMP(9)))
      )
    END AS record_at,
    CASE WHEN regexp_like(stem, '(?s)\A[0-9]{4}-[0-9]{2}-[0-9]{2}_([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](-.*)?\z')
      THEN TRY(CAST(
        substr(stem, 1, 10) || ' ' || substr(stem, 12, 2) || ':' || substr(stem, 14, 2) || ':' || substr(stem, 16, 2)
      AS TIMESTAMP(9)))
    END AS key_at
  FROM trimmed
),
dated AS (
  SELECT
    *,
    CASE
      WHEN year(record_at) BETWEEN 2000 AND 2099 THEN record_at
      WHEN year(key_at) BETWEEN 2000 AND 2099 THEN key_at
      ELSE CAST(last_modified AS TIMESTAMP(9))
    END AS deployed_at,
    CASE
      WHEN regexp_like(json_format(count), '\A"') AND regexp_like(digits, '\A[0-9]+\z')
        THEN TRY(CAST(regexp_replace(digits, '\A0+(?=.)', '') AS DECIMAL(20, 0)))
      WHEN regexp_like(json_format(count), '\A[0-9]+\z') THEN TRY(CAST(json_format(count) AS DECIMAL(20, 0)))
      WHEN regexp_like(json_format(count), '\A-?[0-9]') AND CAST(json_format(count) AS DOUBLE) BETWEEN 0 AND 9007199254740991
        AND CAST(json_format(count) AS DOUBLE) = floor(CAST(json_format(count) AS DOUBLE))
        THEN CAST(CAST(json_format(count) AS DOUBLE) AS DECIMAL(20, 0))
    END AS number,
    coalesce(element_at(field, 'user'), '') AS arn,
    coalesce(element_at(field, 'customer'), '') AS customer_said,
    CASE WHEN length(segment) <= 400
        AND regexp_like(segment, '\A~([A-Za-z0-9._-]|~([01][0-9a-f]|2[0-9a-cf]|3[a-f]|40|5[b-e]|60|7[b-f]|[89a-f][0-9a-f]))*\z')
        AND NOT regexp_like(segment, '\A~[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z')
      THEN url_decode(replace(substr(segment, 2), '~', '%'))
    END AS decoded,
    regexp_like(json_format(json_extract(git, '$.commit')), '\A"') AND regexp_like(json_format(json_extract(git, '$.branch')), '\A"')
      AND json_format(json_extract(git, '$.dirty')) IN ('true', 'false') AS has_git,
    regexp_like(json_format(json_extract(ci, '$.provider')), '\A"') AND regexp_like(json_format(json_extract(ci, '$.run_url')), '\A"') AS has_ci,
    regexp_like(json_format(json_extract(chain, '$.writer')), '\A"') AND regexp_like(json_format(json_extract(chain, '$.number')), '\A[0-9]{1,19}\z')
      AND regexp_like(json_format(json_extract(chain, '$.previous')), '\A"') AS has_chain
  FROM timed
),
own AS (
  SELECT
    regexp_replace(replace(CAST(deployed_at AS VARCHAR), ' ', 'T'), '\.0{9}\z|(?<=\.[0-9]{3})0{6}\z|(?<=\.[0-9]{6})0{3}\z', '') || 'Z' AS "timestamp",
    -- What is no UTF-8 is no name.
    CASE
      WHEN segment = '~~h' || lower(to_hex(sha256(to_utf8(customer_said)))) THEN customer_said
      WHEN strpos(decoded, chr(65533)) = 0 OR strpos(segment, '~ef~bf~bd') > 0 THEN decoded
      ELSE segment
    END AS customer,
    CASE WHEN number <= DECIMAL '18446744073709551615' THEN number ELSE DECIMAL '0' END AS additional_users_count,
    coalesce(element_at(field, 'project_name'), '') AS project_name,
    coalesce(element_at(field, 'cluster_name'), '') AS cluster_name,
    arn,
    coalesce(element_at(field, 'account'), '') AS account,
    coalesce(element_at(field, 'config_hash'), '') AS config_hash,
    coalesce(element_at(field, 'backup'), '') AS backup,
    coalesce(json_format(json_extract(record, '$.late')) = 'true', false) AS late,
    coalesce(element_at(field, 'deployment_id'), '') AS deployment_id,
    IF(has_git, json_extract_scalar(git, '$.commit'), '') AS git_commit,
    IF(has_git, json_extract_scalar(git, '$.branch'), '') AS git_branch,
    IF(has_git, json_extract_scalar(git, '$.dirty') = 'true') AS git_dirty,
    IF(has_ci, json_extract_scalar(ci, '$.provider'), '') AS ci_provider,
    IF(has_ci, json_extract_scalar(ci, '$.run_url'), '') AS ci_run_url,
    coalesce(element_at(field, 'backup_key'), '') AS backup_key,
    IF(has_chain, json_extract_scalar(chain, '$.writer')) AS chain_writer,
    IF(has_chain, CAST(json_format(json_extract(chain, '$.number')) AS BIGINT)) AS chain_number,
    IF(has_chain, json_extract_scalar(chain, '$.previous')) AS chain_previous,
    sha256,
    deployed_at,
    last_modified,
    key
  FROM dated
),
sources AS (
  SELECT *, false AS is_archived FROM own
  UNION ALL
  SELECT
    "timestamp", customer, additional_users_count, project_name, cluster_name, arn, account, config_hash, backup, late,
    deployment_id, git_commit, git_branch, git_dirty, ci_provider, ci_run_url, backup_key, chain_writer, chain_number, chain_previous,
    sha256,
    CAST(replace(replace("timestamp", 'T', ' '), 'Z', '') AS TIMESTAMP(9)) AS deployed_at,
    CAST(replace(replace(last_modified, 'T', ' '), 'Z', '') AS TIMESTAMP(3)) AS last_modified,
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
    ELSE element_at(split(arn, IF(strpos(arn, '/') > 0, '/', ':')), -1)
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
