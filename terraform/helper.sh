#!/bin/sh
# Runs the config-backup helper for Terraform and Terragrunt and never fails: a deployment goes on without it.
#
#   helper.sh context|deploy HELPER ...  a query on stdin, one JSON object on stdout (Terraform's external protocol)
#   helper.sh fallback HELPER ...        for the error_hook of terragrunt.hcl: Terraform failed in this unit. The settings
#                                        are read from the file that terragrunt.hcl generates; one line on stdout.
#
# Where there is no helper, or its answer is not valid, this script answers in its place.
#
# HELPER may be followed by URL SHA256 SECONDS: then a helper that is missing is downloaded from there, in at most so many
# seconds, and kept in the user's cache under that SHA-256. Without them, nothing is ever downloaded.
set -u

command=$1
helper=$2
url=${3-}
sums=${4-}
# Not every setting is checked before it gets here: curl fails on what is not a number, and a large one delays the run.
case ${5-} in
  [1-9] | [1-9][0-9] | [12][0-9][0-9] | 300) seconds=$5 ;;
  *) seconds=10 ;;
esac

# The text as the inside of a JSON string and as one line: without quotes, backslashes, control characters, line separators
# and marks that change the writing direction. By bytes, because the tr of macOS stops at a byte that is not a character.
marks=$(printf 's/\302[\200-\237]//g;s/\330\234//g;s/\342\200[\216\217\250-\256]//g;s/\342\201[\246-\251]//g')
plain() {
  printf '%s' "$1" | LC_ALL=C tr '\n' ' ' | LC_ALL=C tr -d '\000-\037\177\042\134' | LC_ALL=C sed "$marks"
}

answer_instead() {
  message=$(plain "$1")
  case $command in
    # An id of its own for every plan, so that Terraform reads `deploy` in each apply.
    context)
      id="$(date -u +%Y%m%dT%H%M%SZ)-$$"
      printf '{"status":"error","message":"%s","backup_id":"%s","deployment_id":"%s"}\n' "$message" "$id" "$id"
      ;;
    deploy) printf '{"status":"error","message":"%s"}\n' "$message" ;;
    *) printf 'config-backup: WARNING: %s\n' "$message" ;;
  esac
  exit 0
}

way_out="this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"

# Sets `found` to the helper in the cache, which is downloaded if it is not there yet.
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
  # A user name, a query and a fragment can be secrets.
  shown=${url%%[?#]*}
  case $shown in *://*@*) shown=${shown%%://*}://${shown##*@} ;; *) ;; esac
  absent="the helper '$helper' is not installed, and not to be had from '$shown'"

  # One sum for whatever comes, or lines as sha256sum writes them, of which that of the file counts.
  wanted=$(printf '%s\n' "$sums" | while read -r sum file; do
    case $file in '' | "$name" | "*$name") printf '%s' "$sum" && break ;; *) ;; esac
  done)
  case $wanted in *[!0-9a-f]*) wanted='' ;; *) ;; esac
  [ "${#wanted}" -eq 64 ] || answer_instead "$absent: helper_sha256 has no sum of '$name': $way_out"
  case ${XDG_CACHE_HOME-} in
    /*) cache=$XDG_CACHE_HOME/config-backup ;;
    *) cache=${HOME:-/nonexistent}/.cache/config-backup ;;
  esac
  found=$cache/$wanted
  [ ! -x "$found" ] || return 0

  # The lines of the shell itself, as of a program that is missing, belong to the cause.
  work=$({ umask 077 && mkdir -p "$cache" && mktemp -d "$cache/fetch.XXXXXX"; } 2>&1) || answer_instead "$absent: $work: $way_out"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' HUP INT TERM
  why=$(get 2>&1) || answer_instead "$absent: $why: $way_out"
}

# Brings the helper to its place in one piece, even where another process does the same; prints what is wrong.
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
  [ -n "$url" ] || answer_instead "the helper '$helper' is not installed: $way_out"
  fetch
fi
[ -f "$found" ] && [ -x "$found" ] || answer_instead "the helper '$found' is not executable: $way_out"

# The settings as terragrunt.hcl generates them, beside this script.
case $0 in
  */*) settings=${0%/*}/config_backup.auto.tfvars.json ;;
  *) settings=config_backup.auto.tfvars.json ;;
esac
[ "$command" != fallback ] || [ -r "$settings" ] || answer_instead "cannot read '$settings', which terragrunt.hcl generates: this deployment is neither backed up nor logged"

# The braces also silence the shell itself, which would report that a helper was killed.
{
  case $command in
    fallback) answer=$("$found" fallback <"$settings") ;;
    *) answer=$("$found" "$command") ;;
  esac
  code=$?
} 2>/dev/null

# At apply, the helper may have uploaded everything before it failed.
[ "$command" = context ] || way_out="it is unknown whether this deployment is backed up and logged; \`config-backup status\` lists what is still queued, and \`config-backup doctor\` checks the helper"
[ "$code" -eq 0 ] || answer_instead "the helper '$found' failed in '$command' with exit code $code: $way_out"

# Whether the text is one JSON object of strings: Terraform fails on everything else.
is_valid() {
  # Of the control characters, JSON allows only \177.
  string='"([^"\\[:cntrl:]]|'$(printf '\177')'|\\(["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"'
  printf '%s\n' "$1" | LC_ALL=C grep -Eqx "\{\"status\":$string(,$string:$string)*\}"
}

# Without a new deployment_id in each plan, Terraform would read `deploy` at plan.
newline='
'
case $command:$answer in
  *"$newline"*) ;;
  context:*'"deployment_id":"'[!\"]* | deploy:* | fallback:'config-backup: '*)
    if [ "$command" = fallback ] || is_valid "$answer"; then
      printf '%s\n' "$answer"
      exit 0
    fi
    ;;
  *) ;;
esac
answer_instead "the helper '$found' gave no answer of config-backup in '$command': $way_out"
