#!/usr/bin/env bash
# Runs the SQL of sql/ in an engine, and compares what it says with `config-backup report` of the same bucket.
#
#   tests/engines/run.sh duckdb    in DuckDB, of .tools/bin
#   tests/engines/run.sh trino     in Trino, of .tools/trino
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
case ${1-} in
  duckdb | trino) ;;
  *)
    echo "run.sh: unknown argument '${1-}'; usage: tests/engines/run.sh duckdb|trino" >&2
    exit 2
    ;;
esac
(cd "$here/../.." && cargo build --locked --quiet --workspace)
exec python3 -B "$here/$1.py"
