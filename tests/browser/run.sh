#!/usr/bin/env bash
# Makes report pages with the real helper, of made-up records on an S3 of its own, and looks at them in a real Chromium.
#
#   tests/browser/run.sh            checks them
#   tests/browser/run.sh picture    makes docs/report.png
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(cd "$here/../.." && pwd -P)
target=${CARGO_TARGET_DIR:-$project/target}
world=$(mktemp -d "${TMPDIR:-/tmp}/config-backup-browser.XXXXXX")
server=

stop() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
}

finish() {
  stop
  rm -rf "$world"
}
trap finish EXIT

# The page and the summary of a corpus: make_page NAME CORPUS LAST [ARGUMENT...]
make_page() {
  local name=$1 corpus=$2 last=$3 data=$world/s3-$1
  shift 3
  python3 "$here/seed.py" "$data" "$corpus" "$last"
  "$target/debug/embedded-aws" --data "$data" --bucket mongodb-arena --endpoint-file "$data.endpoint" >"$world/server.log" 2>&1 &
  server=$!
  # The server writes the file once it listens; it ends at once if it cannot.
  until [[ -s $data.endpoint ]]; do
    kill -0 "$server" 2>/dev/null || {
      cat "$world/server.log" >&2
      exit 1
    }
    sleep 0.05
  done
  report "$data" --format html "$@" >"$world/$name.html" 2>"$world/$name.messages"
  report "$data" --format json --summary >"$world/$name.json" 2>/dev/null
  stop
}

# In an environment of its own: no profile, no settings and no cache of whoever runs this.
report() {
  local endpoint
  endpoint=$(<"$1.endpoint")
  shift
  env -i PATH="$PATH" HOME="$world/home" LANG=C.UTF-8 AWS_ENDPOINT_URL_S3="$endpoint" AWS_EC2_METADATA_DISABLED=true \
    AWS_ACCESS_KEY_ID=AKIADEMOJOHN00000000 AWS_SECRET_ACCESS_KEY=demo-secret-john "$target/debug/config-backup" report --no-cache "$@"
}

(cd "$project" && cargo build --locked --quiet --workspace)
mkdir "$world/home"
last=2026-11-23T16:42:07
case ${1-} in
  '')
    make_page usual year "$last"
    make_page hostile hostile "$last" --all
    make_page large large "$last" --all
    make_page totals weeks "$last" --summary
    make_page years years "$last"
    make_page day day "$last"
    make_page empty empty "$last"
    PAGES=$world python3 -B "$here/check.py"
    ;;
  picture)
    make_page usual year "$(date -u +%Y-%m-%dT%H:%M:00)"
    mkdir -p "$project/docs"
    python3 -B "$here/picture.py" "$world/usual.html" "$project/docs/report.png"
    ;;
  *)
    echo "run.sh: unknown argument '$1'; usage: tests/browser/run.sh [picture]" >&2
    exit 2
    ;;
esac
