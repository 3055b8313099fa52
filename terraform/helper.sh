#!/bin/sh
# Runs the config-backup helper for Terraform and never fails: a deployment goes on without us.
#
#   helper.sh context|outcome HELPER …  the query on stdin, one JSON object on stdout (the external protocol)
#   helper.sh backup|log HELPER …       the request in CONFIG_BACKUP_REQUEST, lines for people on stdout
#
# Where there is no helper, or its answer is not one, this script says so in its place. Only `log`, which runs last
# in every deployment, warns: one cause, one line.
#
# Behind HELPER may stand URL SHA256 SECONDS: then a helper that is missing is fetched from there, in so many seconds at
# most, and kept in the user's cache under that SHA-256. Without them nothing is ever fetched.
set -u

verb=$1
helper=$2
url=${3-}
sums=${4-}
seconds=${5-10}

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

# Sets `found` to the helper that is or comes into the cache. A server that does not answer costs two waits and not four:
# only `context` and `log` fetch, and `log` does what `backup` then could not.
fetch() {
  target=$(uname -sm)
  case $target in
    'Linux x86_64') target=x86_64-unknown-linux-musl ;;
    'Linux aarch64') target=aarch64-unknown-linux-musl ;;
    'Darwin x86_64') target=x86_64-apple-darwin ;;
    'Darwin arm64') target=aarch64-apple-darwin ;;
    *) ;;
  esac
  while :; do
    case $url in
      *'{target}'*) url=${url%%'{target}'*}$target${url#*'{target}'} ;;
      *) break ;;
    esac
  done
  name=${url##*/}
  absent="the helper '$helper' is not installed, and not to be had from '$url'"

  # One sum for whatever comes, or lines as sha256sum writes them, of which that of the file counts.
  wanted=$(printf '%s\n' "$sums" | while read -r sum file; do
    case $file in '' | "$name" | "*$name") printf '%s' "$sum" && break ;; *) ;; esac
  done)
  [ "${#wanted}" -eq 64 ] || fallback "$absent: helper_sha256 has no sum of '$name': $way_out"
  case ${XDG_CACHE_HOME-} in
    /*) cache=$XDG_CACHE_HOME/config-backup ;;
    *) cache=${HOME:-/nonexistent}/.cache/config-backup ;;
  esac
  found=$cache/$wanted
  [ ! -x "$found" ] || return 0
  case $verb in context | log) ;; *) fallback "$absent: $way_out" ;; esac

  # The lines of the shell itself, as of a program that is missing, belong to the cause.
  work=$({ umask 077 && mkdir -p "$cache" && mktemp -d "$cache/fetch.XXXXXX"; } 2>&1) || fallback "$absent: $work: $way_out"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' HUP INT TERM
  why=$(get 2>&1) || fallback "$absent: $why: $way_out"
}

# Brings the helper to its place, where it is whole or not at all, whoever else does the same; says what is wrong.
get() {
  curl --fail --silent --show-error --location --globoff --proto '=http,https' --connect-timeout 3 --max-time "$seconds" \
    --output "$work/fetched" --url "$url" </dev/null || return
  if command -v sha256sum >/dev/null; then
    got=$(sha256sum <"$work/fetched") || return
  else
    got=$(shasum -a 256 <"$work/fetched") || return
  fi
  got=${got%% *}
  if [ "$got" != "$wanted" ]; then
    echo "its SHA-256 is $got, not $wanted"
    return 1
  fi
  case $name in
    *.tar.gz) tar -xzOf "$work/fetched" "${name%.tar.gz}/config-backup" >"$work/helper" ;;
    *) mv "$work/fetched" "$work/helper" ;;
  esac && chmod 700 "$work/helper" && mv -f "$work/helper" "$found"
}

found=$(command -v "$helper") || found=$helper
if [ ! -e "$found" ]; then
  [ -n "$url" ] || fallback "the helper '$helper' is not installed: $way_out"
  fetch
fi
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
