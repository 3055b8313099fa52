#!/bin/sh
# Runs the config-backup helper for Terraform and Terragrunt and never fails: a deployment goes on without it.
#
#   helper.sh context|deploy HELPER ...  a query on stdin, one JSON object on stdout (Terraform's external protocol)
#   helper.sh fallback HELPER ...        for the error_hook of terragrunt.hcl: Terraform failed in this unit. The settings
#                                        are read from the file that terragrunt.hcl generates; one line on stdout.
#
# Where the helper is missing, or its answer is not valid, or it does not come in time, this script answers in its place.
#
# HELPER may be followed by URL SHA256 SECONDS. SECONDS is the time that the deployment has left; a helper that takes two
# more is ended. With a URL that is not `none`, a helper that is missing is downloaded from there within that time, and
# kept in the user's own cache under that SHA-256. Without one, nothing is ever downloaded.
#
# Everything that can hang runs in the background, where nothing waits for it and nothing holds Terraform's stdout: a look
# at a dead mount, and a process that hangs there, can last for ever.
set -u

command=$1
helper=$2
url=${3-}
sums=${4-}
# Not every setting is checked before it gets here, and a large one delays the run.
case ${5-} in
  [1-9] | [1-9][0-9] | [12][0-9][0-9] | 300) seconds=$5 ;;
  *) seconds=10 ;;
esac
[ "$url" != none ] || url=''
# A plan may take a third of the time, and at most three seconds.
if [ "$command" = context ]; then
  seconds=$(((seconds + 2) / 3))
  [ "$seconds" -le 3 ] || seconds=3
fi
limit=$((seconds + 2))
# Of the download. At apply, the helper needs a second to spool the deployment.
fetch_limit=$seconds
[ "$command" = context ] || [ "$seconds" -eq 1 ] || fetch_limit=$((seconds - 1))

# The programs that this script itself needs are looked up here first: a folder of the user's PATH may be on a dead mount.
user_path=${PATH-}
own_path=/usr/bin:/bin:/run/current-system/sw/bin:$user_path
PATH=$own_path

newline='
'
# What begins a line of this script in the pipe between its parts. All else there was printed by the helper.
mark="helper.sh $$ "

# The text as the inside of a JSON string and as one line: without quotes, backslashes, control characters, line separators
# and marks that change the writing direction. By bytes, because the tr of macOS stops at a byte that is not a character.
marks=$(printf 's/\302[\200-\237]//g;s/\330\234//g;s/\342\200[\216\217\250-\256]//g;s/\342\201[\246-\251]//g')
plain() (
  PATH=$own_path
  export LC_ALL=C
  printf '%s' "$1" | tr '\n' ' ' | tr -d '\000-\037\177\042\134' | sed "$marks"
)

# Sets `shown` to what of the URL may be shown: a user name, a query and a fragment can be secrets.
show_url() {
  shown=${url%%[?#]*}
  case $shown in *://*@*) shown=${shown%%://*}://${shown##*@} ;; *) ;; esac
}

# Prints the answer with the message $1. $2 is the number of seconds that are gone, which `deploy` must not have again.
answer_instead() {
  message=$(plain "$1")
  case $command in
    # An id of its own for every plan, so that Terraform reads `deploy` in each apply.
    context)
      id="$(date -u +%Y%m%dT%H%M%SZ)-$$"
      spent=''
      [ "$2" -eq 0 ] || spent=",\"spent_ms\":\"${2}000\""
      printf '{"status":"error","message":"%s","backup_id":"%s","deployment_id":"%s"%s}\n' "$message" "$id" "$id" "$spent"
      ;;
    deploy) printf '{"status":"error","message":"%s"}\n' "$message" ;;
    *) printf 'config-backup: WARNING: %s\n' "$message" ;;
  esac
}

# --- in the background: the work ---

# Tells the watchdog something: `process ID`, `fetching`, `name NAME`, `code EXIT_CODE`, or `failed CAUSE`.
tell() {
  printf '%s%s\n' "$mark" "$1" >&5
}

# Ends the work with a cause.
fail() {
  tell "failed $(plain "$1")"
  exit 1
}

# Runs a program in the background, so that the watchdog knows its process, and returns its exit code.
watched() {
  "$@" &
  tell "process $!"
  wait "$!"
}

# Becomes the helper.
work() {
  PATH=$user_path
  found=$(command -v "$helper") || found=$helper
  if [ ! -e "$found" ]; then
    [ -n "$url" ] || fail "the helper '$helper' is not installed: $way_out"
    started=$(date +%s)
    fetch
    CONFIG_BACKUP_FETCH_SECONDS=$(($(date +%s) - started))
    export CONFIG_BACKUP_FETCH_SECONDS
  fi
  [ -f "$found" ] && [ -x "$found" ] || fail "the helper '$found' is not executable: $way_out"
  tell "name $(plain "$found")"

  [ "$command" = fallback ] || exec "$found" "$command" 5>&- 2>/dev/null
  # The settings as terragrunt.hcl generates them, beside this script.
  case $0 in
    */*) settings=${0%/*}/config_backup.auto.tfvars.json ;;
    *) settings=config_backup.auto.tfvars.json ;;
  esac
  [ -r "$settings" ] || fail "cannot read '$settings', which terragrunt.hcl generates: this deployment is neither backed up nor logged"
  exec "$found" fallback <"$settings" 5>&- 2>/dev/null
}

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
  show_url
  absent="the helper '$helper' is not installed, and not to be had from '$shown'"

  wanted=$(printf '%s\n' "$sums" | sum_of_file)
  case $wanted in *[!0-9a-f]*) wanted='' ;; *) ;; esac
  [ "${#wanted}" -eq 64 ] || fail "$absent: helper_sha256 has no sum of '$name': $way_out"
  case ${XDG_CACHE_HOME-}:${HOME-} in
    /*) cache=$XDG_CACHE_HOME/config-backup ;;
    *:/*) cache=${HOME-}/.cache/config-backup ;;
    *) fail "$absent: neither HOME nor XDG_CACHE_HOME is set: $way_out" ;;
  esac
  ! find_cached || return 0

  # The lines of the shell itself, as of a program that is missing, belong to the cause.
  work=$({ umask 077 && mkdir -p "$cache" && is_own "$cache" && mktemp -d "$cache/fetch.XXXXXX"; } 2>&1) || fail "$absent: $work: $way_out"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' HUP INT TERM
  tell fetching
  why=$(download 2>&1) || fail "$absent: $why: $way_out"
  find_cached || fail "$absent: '$cache' does not keep it: $way_out"
  rm -rf "$work"
  trap - EXIT HUP INT TERM
}

# One sum for whatever comes, or lines as sha256sum writes them, of which that of the file counts.
sum_of_file() {
  while read -r sum file; do
    case $file in
      '' | "$name" | "*$name")
        printf '%s' "$sum"
        return
        ;;
      *) ;;
    esac
  done
}

# Whether a folder or a file belongs to the user, and other users cannot write to it.
is_own() {
  (
    PATH=$own_path
    [ -n "$(find "$1" -prune ! -type l -user "$(id -u)" ! -perm -0020 ! -perm -0002 -print)" ]
  ) && return
  echo "'$1' belongs to another user, or other users can write to it" >&2
  return 1
}

# Sets `found` to a helper in the cache that has its SHA-256. A file of an archive has its own in its name.
find_cached() {
  is_own "$cache" 2>/dev/null || return
  for found in "$cache/$wanted" "$cache/$wanted".*; do
    if [ -f "$found" ] && is_own "$found" 2>/dev/null && [ "$(sha256 <"$found")" = "${found##*[/.]}" ]; then
      return 0
    fi
  done
  return 1
}

sha256() {
  if command -v sha256sum >/dev/null; then
    got=$(sha256sum) || return
  else
    got=$(shasum -a 256) || return
  fi
  printf '%s\n' "${got%% *}"
}

# Brings the helper to its place in one piece, even where another process does the same; prints what is wrong.
download() {
  # 64 MiB in blocks of 512 bytes: curl itself counts only what a server announces.
  (
    trap '' XFSZ
    ulimit -f 131072
    watched curl --fail --silent --show-error --location --globoff --proto '=http,https' --connect-timeout 3 \
      --max-filesize 67108864 --max-time "$fetch_limit" --output "$work/fetched" --url "$url" </dev/null 2>&1
  ) || return
  got=$(sha256 <"$work/fetched") || return
  if [ "$got" != "$wanted" ]; then
    echo "its SHA-256 is $got, not $wanted"
    return 1
  fi
  case $name in
    *.tar.gz)
      tar -xzOf "$work/fetched" "${name%.tar.gz}/config-backup" >"$work/helper" && got=$(sha256 <"$work/helper") && found=$cache/$wanted.$got
      ;;
    *) mv "$work/fetched" "$work/helper" && found=$cache/$wanted ;;
  esac && chmod 700 "$work/helper" && mv -f "$work/helper" "$found"
}

# --- in the background: the clock, which tells the watchdog about each second ---

tick() {
  trap 'kill "$nap" && wait "$nap"; exit' TERM
  while :; do
    sleep 1 5>&- &
    nap=$!
    wait "$nap" || return
    tell tick || return
  done
}

# --- the watchdog ---

# Starts the work and the clock, and ends when the clock is stopped. What they print goes through a pipe to the watchdog.
# Every shell starts what is in the background without stdin, hence 4.
start() {
  exec 5>&1
  tick >/dev/null 2>&1 4<&- &
  clock=$!
  {
    work <&4 4<&- 2>/dev/null &
    process=$!
    exec 4<&-
    tell "process $process"
    wait "$process"
    tell "code $?"
  } 4<&4 2>/dev/null &
  tell "clock $clock $!"
  exec 4<&- >/dev/null 5>&-
  # A clock that was killed is a helper that hangs, which must not be waited for.
  wait "$clock"
  [ $? -eq 137 ] || wait
}

# Reads from the pipe until the helper has ended, or too long has passed, and prints the answer.
watch() {
  answer='' code='' hangs='' cause='' found=$helper fetching='' ticks=0 complete='' processes=''
  while IFS= read -r line || [ -n "$line" ]; do
    # No answer is that long.
    [ "${#line}" -lt 200000 ] || answer=$newline$newline line=-
    case $line in
      *"$mark"*)
        [ "${#answer}" -gt 200000 ] || answer=$answer${line%%"$mark"*}
        event=${line#*"$mark"}
        ;;
      *)
        # An answer is one line. An endless output must neither fill the memory nor be waited for.
        [ -n "$line" ] || continue
        case $answer in
          *"$newline"*)
            answer=$answer$line code=0 hangs=yes
            break
            ;;
          *) ;;
        esac
        answer=$answer$line$newline
        continue
        ;;
    esac
    case $event in
      "clock "*) clock=${event#clock } background=${clock#* } clock=${clock% *} ;;
      "process "*) processes="$processes ${event#process }" ;;
      "name "*) found=${event#name } ;;
      fetching) fetching=yes ;;
      "failed "*) cause=${event#failed } ;;
      "code "*)
        code=${event#code }
        break
        ;;
      tick)
        ticks=$((ticks + 1))
        [ "$ticks" -lt "$limit" ] || break
        # A helper whose thread is stuck may have answered and cannot end. It gets a second for that.
        if is_answer; then
          [ -z "$complete" ] || break
          complete=yes
        fi
        ;;
      *) ;;
    esac
  done
  if [ -n "$code" ] && [ -z "$hangs" ]; then
    kill "$clock"
  else
    # shellcheck disable=SC2086 # several processes
    kill -KILL $processes "$background" "$clock"
  fi
  conclude
}

# Prints the helper's answer, or why there is none.
conclude() {
  [ -z "$cause" ] || {
    answer_instead "$cause" "$ticks"
    return
  }
  # At apply, the helper may have uploaded everything before it failed.
  [ "$command" = context ] || way_out="it is unknown whether this deployment is backed up and logged; \`config-backup status\` lists what is still queued, and \`config-backup doctor\` checks the helper"
  if [ "${code:-0}" -ne 0 ]; then
    answer_instead "the helper '$found' failed in '$command' with exit code $code: $way_out" "$ticks"
  elif is_answer; then
    printf '%s\n' "${answer%"$newline"}"
  elif [ -n "$code" ]; then
    answer_instead "the helper '$found' gave no answer of config-backup in '$command': $way_out" "$ticks"
  elif [ -n "$fetching" ] && [ "$found" = "$helper" ]; then
    show_url
    answer_instead "the helper '$helper' is not installed, and did not come from '$shown' within $limit s: $way_out" "$ticks"
  else
    answer_instead "the helper '$found' did not answer in '$command' within $limit s and was ended: $way_out" "$ticks"
  fi
}

# Whether the output so far is one line and an answer of the helper.
is_answer() {
  text=${answer%"$newline"}
  # Without a new deployment_id in each plan, Terraform would read `deploy` at plan.
  case $command:$text in
    *"$newline"*) return 1 ;;
    context:*'"deployment_id":"'[!\"]* | deploy:*) is_valid "$text" ;;
    fallback:'config-backup: '*) ;;
    *) return 1 ;;
  esac
}

# Whether the text is one JSON object of strings: Terraform fails on everything else.
is_valid() {
  # Of the control characters, JSON allows only \177.
  string='"([^"\\[:cntrl:]]|'$(printf '\177')'|\\(["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"'
  printf '%s\n' "$1" | LC_ALL=C grep -Eqx "\{\"status\":$string(,$string:$string)*\}"
}

way_out="this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path"
exec 4<&0 </dev/null 2>/dev/null
answer=$(start | {
  exec 4<&-
  watch
})
exec 4<&-
[ -n "$answer" ] || answer=$(answer_instead "the helper '$helper' could not be run: $way_out" 0)
printf '%s\n' "$answer"
