#!/bin/sh
# Stands in for the helper in the module's tests: answers from a table, and notes what it was told.
#
# project_name chooses the answer: `VERB WHAT`, or `all WHAT` for every verb; anything else is a healthy helper.
# cluster_name stands for the config's bytes: backup_id follows it. The notes go beside config_file_path, whose name they
# extend by VERB and by .stdin, .request (the environment's), .arguments, .processes (all command lines there are) or
# .earlier (the note of the step before this one, as it stood then).
set -u

verb=$1
input=$(cat)

value() {
  printf '%s' "$input" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

what=$(value project_name)
case $what in
  "all "* | "$verb "*) what=${what#* } ;;
  *) what=healthy ;;
esac
if [ "$what" = slow ]; then
  sleep 1
fi

config=$(value config_file_path)
notes=$config.$verb
mkdir -p "$(dirname "$notes")"
printf '%s' "$input" >"$notes.stdin"
printf '%s' "${CONFIG_BACKUP_REQUEST-}" >"$notes.request"
printf '%s' "$*" >"$notes.arguments"
ps -A -o args= >"$notes.processes"
case $verb in
  log) cat "$config.backup.stdin" ;;
  outcome) cat "$config.log.stdin" ;;
  *) ;;
esac >"$notes.earlier" 2>/dev/null

healthy() {
  case $verb in
    context)
      printf '{"status":"ok","message":"","config_hash":"md5-of-the-plan","backup_id":"backup-%s","backup_key":"key-of-the-plan","deployment_id":"%s-%s","spent_ms":"7","version":"0"}\n' \
        "$(value cluster_name)" "$(date +%s)" "$$"
      ;;
    outcome)
      printf '{"status":"ok","message":"all is in the bucket","config_hash":"md5-of-the-outcome","caller_arn":"arn:aws:iam::123456789012:user/jane.roe","backup_uri":"s3://stub/config.yaml","log_uri":"s3://stub/%s"}\n' \
        "$(value deployment_id)"
      ;;
    *) echo "config-backup: $verb done" ;;
  esac
}

echo "a line on stderr, which nobody must see" >&2
case $what in
  healthy | slow) healthy ;;
  exit-1)
    healthy
    exit 1
    ;;
  text) echo 'Segmentation fault' ;;
  empty) ;;
  two-lines)
    healthy
    healthy
    ;;
  array) echo '["status","ok"]' ;;
  no-status) echo '{"message":"status"}' ;;
  truncated) printf '{"status":"ok","mess' ;;
  status-only-*) printf '{"status":"%s"}\n' "${what#status-only-}" ;;
  warning) echo '{"status":"warning","message":"all is in the bucket, but the unit is out of date"}' ;;
  *) exit 99 ;;
esac
