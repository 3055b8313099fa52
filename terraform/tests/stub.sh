#!/bin/sh
# Stands in for the helper in the module's tests: answers from a table, and records each query.
#
# project_name chooses the answer: `COMMAND WHAT`, or `all WHAT` for every command; anything else is a healthy helper.
# The records lie beside config_file_path, whose name they extend by COMMAND and by .stdin, .arguments or .processes (all
# command lines of the machine); .calls has one line for each call: the command and the query.
set -u

command=$1
input=$(cat)

# A setting. In `deploy` the settings are JSON within JSON.
value() {
  printf '%s' "$input" | sed 's/\\"/"/g' | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

what=$(value project_name)
case $what in
  "all "* | "$command "*) what=${what#* } ;;
  *) what=healthy ;;
esac

config=$(value config_file_path)
notes=$config.$command
mkdir -p "$(dirname "$notes")"
printf '%s' "$input" >"$notes.stdin"
printf '%s' "$*" >"$notes.arguments"
ps -A -o args= >"$notes.processes"
printf '%s %s\n' "$command" "$input" >>"$config.calls"

healthy() {
  case $command in
    context)
      printf '{"status":"ok","message":"","config_hash":"md5-of-the-plan","backup_id":"backup-%s","backup_key":"key-of-the-plan","deployment_id":"%s-%s","spent_ms":"7","version":"0","caller_arn":"arn:aws:iam::123456789012:user/john.doe","user_id":"AIDAJOHN","account":"123456789012","credentials_id":"0123456789abcdef"}\n' \
        "$(value cluster_name)" "$(date +%s)" "$$"
      ;;
    *)
      printf '{"status":"ok","message":"all is in the bucket: s3://stub/%s","config_hash":"md5-of-the-apply","caller_arn":"arn:aws:iam::123456789012:user/jane.roe"}\n' \
        "$(value deployment_id)"
      ;;
  esac
}

echo "a line on stderr, which must not be seen" >&2
case $what in
  healthy) healthy ;;
  # The test makes both pipes: it reads `begun`, and lets the call go on by writing to `go`.
  wait)
    echo begun >"$notes.begun"
    read -r _ <"$notes.go"
    healthy
    ;;
  exit-1)
    healthy
    exit 1
    ;;
  killed)
    healthy
    kill -9 "$$"
    ;;
  text) echo 'Segmentation fault' ;;
  empty) ;;
  two-lines)
    healthy
    healthy
    ;;
  array) echo '["status","ok"]' ;;
  number) echo '{"status":"ok","message":"","deployment_id":"12345678","count":5,"end":""}' ;;
  no-status) echo '{"message":"status"}' ;;
  truncated) printf '{"status":"ok","mess' ;;
  status-only-*) printf '{"status":"%s"}\n' "${what#status-only-}" ;;
  warning) echo '{"status":"warning","message":"all is in the bucket, but the unit is out of date"}' ;;
  error) echo '{"status":"error","message":"nothing is in the bucket"}' ;;
  *) exit 99 ;;
esac
