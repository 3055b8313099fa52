"""The rows of `report` by DuckDB: duck.py EXTENSION HOST BUCKET OUTPUT, credentials from the environment."""

import os
import sys

import duckdb

extension, host, bucket, output = sys.argv[1:]
database = duckdb.connect(config={"allow_unsigned_extensions": "true", "autoinstall_known_extensions": "false"})
database.execute(f"LOAD '{extension}'")
# One request at a time is under way in each thread, so that there are as many as elsewhere.
database.execute("SET threads = 64")
database.execute("SET enable_progress_bar = false")
database.execute(f"""
    CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
                   REGION 'us-east-1', ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)""")
database.execute(f"""
    COPY (
        SELECT timestamp[:10], customer, split_part("user", '/', -1), arg_max(additional_users_count, timestamp),
               arg_max(project_name, timestamp), arg_max(cluster_name, timestamp)
        FROM read_json('s3://{bucket}/usage-logs/*/*.json', format = 'newline_delimited', columns = {{
            timestamp: 'VARCHAR', customer: 'VARCHAR', "user": 'VARCHAR', additional_users_count: 'BIGINT',
            project_name: 'VARCHAR', cluster_name: 'VARCHAR'}})
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ) TO '{output}' (FORMAT csv, HEADER false)""")
