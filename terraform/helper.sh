#!/bin/sh
# Runs the config-backup helper for Terraform and never fails: a deployment goes on without us.
#
#   helper.sh context|outcome HELPER    the query on stdin, one JSON object on stdout (the external protocol)
#   helper.sh backup|log HELPER         the request in CONFIG_BACKUP_REQUEST, lines for people on stdout
#
# Where there is no helper, or its answer is not one, this script says so in its place. Only `log`, which runs last
# in every deployment, warns: one cause, one line.
set -u

verb=$1
helper=$2

# The text as the inside of a JSON string and as one line: without control characters, quotes and backslashes.
# By bytes, since the tr of macOS stops at one that is no character.
plain() {
  printf '%s' "$1" | LC_ALL=C tr '\n' ' ' | LC_ALL=C tr -d '\000-\037\177\042\134'
}

fallback() {
  message=$(plain "$1")
  case $verb in
    # A name of its own for every deployment, so that `log` runs and warns in each.
    context)
      id="$(date -u +%Y%m%dT%H%M%SZ)-$$"
      printf '{"status":"error","message":"%s","backup_id":"%s","deployment_id":"%s"}\n' "$message" "$id" "$id"
      ;;
    outcome) printf '{"status":"error","message":"%s"}\n' "$message" ;;
    log) printf 'config-backup: WARNING: %s\n' "$message" ;;
    *) ;;
  esac
  exit 0
}

way_out="this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"

found=$(command -v "$helper") || found=$helper
[ -e "$found" ] || fallback "the helper '$helper' is not installed: $way_out"
[ -f "$found" ] && [ -x "$found" ] || fallback "the helper '$found' is not executable: $way_out"

# The braces also silence the shell itself, which would say that a helper was killed.
{
  case $verb in
    context | outcome) answer=$("$found" "$verb") ;;
    *) answer=$(printf '%s' "${CONFIG_BACKUP_REQUEST-}" | "$found" "$verb") ;;
  esac
  code=$?
} 2>/dev/null
[ "$code" -eq 0 ] || fallback "the helper '$found' failed in '$verb' with exit code $code: $way_out"

newline='
'
case $verb:$answer in
  context:*"$newline"* | outcome:*"$newline"*) ;;
  context:'{"status":"'*'"}' | outcome:'{"status":"'*'"}' | backup:'config-backup: '* | log:'config-backup: '*)
    printf '%s\n' "$answer"
    exit 0
    ;;
  *) ;;
esac
fallback "the helper '$found' gave no answer of config-backup in '$verb': $way_out"
