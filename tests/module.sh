#!/usr/bin/env bash
# Tests the Terraform module: its files, its wrapper helper.sh in every shell there is, and then all of it under the
# pinned OpenTofu and under the terraform of PATH, where there is one.
#
# All of it runs in copies in a folder of its own, with a HOME of its own: nothing is left in the work tree.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
module=$project/terraform
export PATH=$project/.tools/bin:$PATH
export TF_CLI_CONFIG_FILE=$project/.tools/tofurc

world=$(mktemp -d "${TMPDIR:-/tmp}/config-backup-module.XXXXXX")
trap 'stop_server; rm -rf "$world"' EXIT

way_out='this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path'
verbs='context backup log outcome'
passed=0
failed=0
absent=()

main() {
  require_tools
  mkdir "$world/home" "$world/cwd"

  files
  make_fakes
  serve
  for shell in sh dash bash; do
    if command -v "$shell" >/dev/null; then
      wrapper
      fetching
    else
      absent+=("helper.sh was not run with $shell, which is not in PATH")
    fi
  done

  half tofu
  if command -v terraform >/dev/null; then
    half terraform
  else
    absent+=("the terraform half was not run: there is no terraform in PATH")
  fi

  if [[ ${#absent[@]} -gt 0 ]]; then
    printf 'module.sh: %s\n' "${absent[@]}"
  fi
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [[ $failed -eq 0 ]]
}

require_tools() {
  local missing=
  [[ -x $project/.tools/bin/tofu && -f $TF_CLI_CONFIG_FILE ]] || missing="the pinned tofu and its mirror, which 'make tools' gives"
  command -v python3 >/dev/null || missing='python3, which reads the JSON'
  command -v curl >/dev/null || missing='curl, which fetches a helper'
  if [[ -n $missing ]]; then
    echo "module.sh: missing: $missing" >&2
    exit 1
  fi
}

# Runs a command that stands for a claim; what it printed is shown only where the claim is false.
check() {
  local claim=$1 code
  shift
  set +e
  (
    set -e
    "$@"
  ) >"$world/output" 2>&1
  code=$?
  set -e
  if [[ $code -eq 0 ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$claim"
    sed 's/^/    /' "$world/output"
  fi
}

# --- the files -------------------------------------------------------------------------------------------------------

files() {
  check 'upgrade.tf forgets the two objects of the earlier module, destroys neither, and says nothing else' upgrade_forgets
  check 'versions.tf and versions.tofu differ in their comment and in required_version only' versions_agree
}

upgrade_forgets() {
  local blocks expected=''
  blocks=$(sed 's/#.*//' "$module/upgrade.tf" | tr -s ' \n' ' ')
  for name in config_backup usage_log; do
    expected+="removed { from = aws_s3_object.$name lifecycle { destroy = false } } "
  done
  equal "${blocks# }" "$expected"
}

versions_agree() {
  equal "$(required versions.tf)" 'required_version = ">= 1.10"'
  equal "$(required versions.tofu)" 'required_version = ">= 1.11"'
  diff <(rest versions.tf) <(rest versions.tofu)
  grep -qx ' *source *= "hashicorp/external"' "$module/versions.tf"
  grep -qx ' *version *= ">= 1.2"' "$module/versions.tf"
  equal "$(grep -c 'source *=' "$module/versions.tf")" 1
}

required() {
  sed -n 's/^ *\(required_version\)/\1/p' "$module/$1"
}

# All lines but a comment in the first one and required_version.
rest() {
  sed -e '1{/^#/d;}' -e '/^ *required_version /d' "$module/$1"
}

equal() {
  if [[ $1 != "$2" ]]; then
    printf 'expected: %s\nbut it is: %s\n' "$2" "$1"
    return 1
  fi
}

# --- helper.sh -------------------------------------------------------------------------------------------------------

# The helpers that the wrapper is tried with.
# shellcheck disable=SC2016 # they expand in the fakes
make_fakes() {
  fakes=$world/fakes
  mkdir -p "$fakes/folder" "$fakes/path" "$fakes/it's a \"good\" \$(touch pwned)"
  fake good 'case $1 in
    context | outcome) printf "{\"status\":\"ok\",\"message\":\"%s\"}\n" "$(cat)" ;;
    *) printf "config-backup: %s\nconfig-backup: %s\n" "$1" "$(cat)" ;;
  esac
  echo noise >&2'
  cp "$fakes/good" "$fakes/it's a \"good\" \$(touch pwned)/\`helper\`"
  cp "$fakes/good" "$fakes/path/helper-in-path"
  cp "$fakes/good" "$world/cwd/helper-in-cwd"
  cp "$fakes/good" "$fakes/not-executable"
  chmod -x "$fakes/not-executable"
  # A good answer first: it must not count where the exit code says otherwise.
  fake exit-1 "$fakes/good \"\$1\"; exit 1"
  fake killed "$fakes/good \"\$1\"; kill -9 \$\$"
  fake crashed "$fakes/good \"\$1\"; kill -ABRT \$\$"
  fake silent 'cat >/dev/null'
  fake text 'echo "Segmentation fault"'
  fake two-answers "$fakes/good context </dev/null; $fakes/good context </dev/null"
  fake array 'echo "[\"status\"]"'
  fake no-status 'echo "{\"message\":\"status\"}"'
  fake truncated 'printf "{\"status\":\"ok\",\"mess"'
  fake deaf 'exec <&-; case $1 in
    context | outcome) echo "{\"status\":\"ok\",\"message\":\"\"}" ;;
    *) echo "config-backup: $1" ;;
  esac'
  printf '#!/no/such/interpreter\n' >"$fakes/no-interpreter"
  printf '\177ELF\1\1\1 of another machine' >"$fakes/no-program"
  chmod +x "$fakes/no-interpreter" "$fakes/no-program"
}

fake() {
  printf '#!/bin/sh\n%s\n' "$2" >"$fakes/$1"
  chmod +x "$fakes/$1"
}

# shellcheck disable=SC2016 # names that must never expand
wrapper() {
  local name
  rm -f "$world"/answers.*

  # helper.sh passes on what these say, and gets them what they ask for.
  for name in "$fakes/good" helper-in-path "$fakes/it's a \"good\" \$(touch pwned)/\`helper\`"; do
    check "$shell: \`$name\` is asked, and what it answers is passed on" passes_on "$name"
  done
  check "$shell: a helper that reads nothing of a large request answers all the same" reads_nothing

  # Names of nothing: options, builtins, keywords, functions of helper.sh itself, and what a shell or JSON could trip over.
  for name in no-such-helper /no/such/helper "it's" 'say "hi"' "back\\slash\\" $'two\nlines' $'tab\t, bell\a, escape\e' \
    '$(touch pwned)' '`touch pwned`' '; touch pwned' '&& touch pwned' '*' '$HOME' '%s%n' '-v' '--' '-' '#' ' ' 'größe' \
    cd if fallback plain fetch get; do
    check "$shell: \`$(printf %q "$name")\` is reported as not installed" \
      stands_in "$name" "the helper '$(without_what_breaks_json "$name")' is not installed: $way_out"
  done

  check "$shell: a folder is reported" stands_in "$fakes/folder" "the helper '$fakes/folder' is not executable: $way_out"
  check "$shell: a file that is not executable is reported" \
    stands_in "$fakes/not-executable" "the helper '$fakes/not-executable' is not executable: $way_out"
  for name in exit-1 killed crashed no-interpreter; do
    check "$shell: a helper that fails (\`$name\`) is reported" \
      stands_in "$fakes/$name" "the helper '$fakes/$name' failed in 'VERB' with exit code [0-9]*: $way_out"
  done
  check "$shell: a name without a path is not looked up in the current folder" stands_in helper-in-cwd "the helper 'helper-in-cwd' *: $way_out"
  check "$shell: a program of another machine is reported" stands_in "$fakes/no-program" "the helper '$fakes/no-program' *: $way_out"
  for name in silent text two-answers array no-status truncated; do
    check "$shell: garbage (\`$name\`) is reported" \
      stands_in "$fakes/$name" "the helper '$fakes/$name' gave no answer of config-backup in 'VERB': $way_out"
  done

  check "$shell: every answer in the helper's place is valid JSON of strings, with ids where a plan needs them" answers_are_json
  check "$shell: no name was ever run as a command" nothing_was_made
}

# Runs helper.sh with the verb $1, the helper $2 and what `from` holds into the variables stdout and stderr; it must exit 0.
helper_sh() {
  local code=0
  printf 'query of %s' "$1" >"$world/stdin"
  (
    cd "$world/cwd"
    env -i PATH="${path:-$fakes/path:$PATH}" HOME="$world/home" ${cache:+XDG_CACHE_HOME="$cache"} CONFIG_BACKUP_REQUEST="${request-request of $1}" \
      "$(command -v "$shell")" "$module/helper.sh" "$1" "$2" "${from[@]+"${from[@]}"}" <"$world/stdin" >"$world/stdout" 2>"$world/stderr"
  ) || code=$?
  equal "exit code $code" 'exit code 0'
  IFS= read -r -d '' stdout <"$world/stdout" || true
  IFS= read -r -d '' stderr <"$world/stderr" || true
}

passes_on() {
  local verb
  for verb in $verbs; do
    helper_sh "$verb" "$1"
    case $verb in
      context | outcome) equal "$stdout" "{\"status\":\"ok\",\"message\":\"query of $verb\"}"$'\n' ;;
      *) equal "$stdout" "config-backup: $verb"$'\n'"config-backup: request of $verb"$'\n' ;;
    esac
    equal "stderr: $stderr" 'stderr: '
  done
}

reads_nothing() {
  local verb request
  request=$(printf '%0100000d' 0)
  for verb in backup log; do
    helper_sh "$verb" "$fakes/deaf"
    equal "$stdout$stderr" "config-backup: $verb"$'\n'
  done
}

# A name as it may stand in a message, written as a pattern.
without_what_breaks_json() {
  local name=${1//$'\n'/ }
  name=${name//[[:cntrl:]\"\\]/}
  printf '%s' "${name//\*/\\*}"
}

# What helper.sh says for the helper $1 in each verb: JSON with the message $2 (a pattern), one line, or nothing.
stands_in() {
  local verb message
  for verb in $verbs; do
    message=${2/VERB/$verb}
    helper_sh "$verb" "$1"
    equal "$verb, stderr: $stderr" "$verb, stderr: "
    case $verb in
      context) one_line "{\"status\":\"error\",\"message\":\"$message\",\"backup_id\":\"*\",\"deployment_id\":\"*\"}" ;;
      backup) equal "$stdout" '' ;;
      log) one_line "config-backup: WARNING: $message" ;;
      outcome) one_line "{\"status\":\"error\",\"message\":\"$message\"}" ;;
    esac
    case $verb in
      context | outcome) printf '%s' "$stdout" >>"$world/answers.$verb" ;;
    esac
  done
}

# stdout is one line of the pattern $1.
one_line() {
  # shellcheck disable=SC2053 # a pattern
  if [[ $stdout != $1$'\n' || ${stdout%$'\n'} == *$'\n'* ]]; then
    printf 'expected one line: %s\nbut it is: %s\n' "$1" "$stdout"
    return 1
  fi
}

# Another implementation than the one of the tools reads all that helper.sh answered.
answers_are_json() {
  python3 - "$world/answers.context" "$world/answers.outcome" <<'PYTHON'
import json, re, sys

ids = {"backup_id", "deployment_id"}
for path, keys in zip(sys.argv[1:], (ids, set())):
    lines = open(path, "rb").read().decode("utf-8").rstrip("\n").split("\n")
    assert len(lines) > 30, "only %d answers" % len(lines)
    for line in lines:
        print(line)
        answer = json.loads(line)
        assert set(answer) == {"status", "message"} | keys and all(type(value) is str for value in answer.values())
        assert all(re.fullmatch("[A-Za-z0-9-]{8,64}", answer[key]) for key in keys)
PYTHON
}

nothing_was_made() {
  equal "$(ls -A "$world/cwd" "$world/home")" "$world/cwd:"$'\n'"helper-in-cwd"$'\n\n'"$world/home:"
}

# --- a helper that is fetched ----------------------------------------------------------------------------------------

# A server of the folder $site on a port of its own, and a port that refuses. It notes what it is asked for; /hang gets no
# answer and after a while is hung up on, and what lies under /meet is given out when two have asked for it.
serve() {
  site=$world/site
  mkdir -p "$site/meet"
  : >"$world/requests"
  python3 - "$site" "$world" <<'PYTHON' &
import functools, http.server, os, socket, sys, threading

site, world = sys.argv[1:]
meeting = threading.Barrier(2)

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        with open(world + "/requests", "a") as requests:
            requests.write(self.path + "\n")
        if self.path == "/hang":
            self.connection.settimeout(8)
            try:
                self.connection.recv(1)
            except TimeoutError:
                pass
            self.close_connection = True
            return
        if self.path.startswith("/meet/"):
            meeting.wait(30)
        super().do_GET()

    def log_message(self, *_):
        pass

refusing = socket.socket()
refusing.bind(("127.0.0.1", 0))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site))
with open(world + "/ports.new", "w") as ports:
    print(server.server_port, refusing.getsockname()[1], file=ports)
os.rename(world + "/ports.new", world + "/ports")
server.serve_forever()
PYTHON
  server=$!
  until [[ -f $world/ports ]]; do
    kill -0 "$server"
    sleep 0.05
  done
  read -r port refusing <"$world/ports"
  here=http://127.0.0.1:$port

  target=$(uname -sm)
  case $target in
    'Linux x86_64') target=x86_64-unknown-linux-musl ;;
    'Linux aarch64') target=aarch64-unknown-linux-musl ;;
    'Darwin x86_64') target=x86_64-apple-darwin ;;
    'Darwin arm64') target=aarch64-apple-darwin ;;
  esac
  archive=config-backup-1.2.3-$target
  mkdir "$world/$archive"
  cp "$fakes/good" "$world/$archive/config-backup"
  tar -czf "$site/$archive.tar.gz" -C "$world" "$archive"
  cp "$fakes/good" "$site/helper"
  cp "$fakes/good" "$site/meet/helper"
  printf '#!/bin/sh\ntouch "%s"\n' "$world/cwd/it-ran" >"$site/evil"
  cp "$module/tests/stub.sh" "$site/stub"
}

stop_server() {
  [[ -z ${server-} ]] || kill "$server"
}

sum() {
  python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
}

# shellcheck disable=SC2034 # helper_sh reads them
fetching() {
  local cache=$world/cache from nowhere="is not installed, and not to be had from" good
  good=$(sum "$site/helper")

  check "$shell: a helper that is there is not fetched, whatever the URL" fetches_nothing_for "$fakes/good"
  check "$shell: without a URL nobody is asked, and nothing is made" fetches_nothing_without_a_url
  check "$shell: a missing helper is fetched once, kept under its SHA-256 for its owner alone, and run" fetches_once
  check "$shell: an archive of a release is fetched for this machine, its sum read from a SHA256SUMS" fetches_an_archive
  check "$shell: two at once both get it, and leave one whole file" fetches_at_once

  from=("$here/evil" "$good" 10)
  check "$shell: what has another SHA-256 is reported, not run, and not left" \
    refused 2 "$nowhere '$here/evil': its SHA-256 is $(sum "$site/evil"), not $good"
  from=("$here/nothing" "$good" 10)
  check "$shell: what the server has not is reported" refused 2 "$nowhere '$here/nothing': curl: (22) *404*"
  from=("$here/hang" "$good" 1)
  check "$shell: a server that does not answer is reported when the time is over" refused 2 "$nowhere '$here/hang': curl: (28) *"
  from=("http://127.0.0.1:$refusing/helper" "$good" 10)
  check "$shell: a server that is down is reported" refused 0 "$nowhere '${from[0]}': curl: (7) *"
  from=("$here/helper" "$good  another-file" 10)
  check "$shell: nothing is fetched of which there is no sum" refused 0 "$nowhere '$here/helper': helper_sha256 has no sum of 'helper'"
  from=("$here/helper" '' 10)
  check "$shell: nothing is fetched without a sum" refused 0 "$nowhere '$here/helper': helper_sha256 has no sum of 'helper'"
  from=("$here/helper" "$good" 10)
  check "$shell: a machine without curl is reported" without_curl
  cache=/dev/null
  check "$shell: a cache that cannot be written is reported" refused 0 "$nowhere '$here/helper': *: Not a directory"
}

requests() {
  wc -l <"$world/requests" | tr -d ' '
}

fresh() {
  rm -rf "$cache"
  : >"$world/requests"
}

fetches_nothing_for() {
  local from=("$here/helper" "$good" 10)
  fresh
  passes_on "$1"
  equal "$(requests) requests" '0 requests'
  [[ ! -e $cache ]]
}

fetches_nothing_without_a_url() {
  local from=('' "$good" 10)
  fresh
  stands_in no-such-helper "the helper 'no-such-helper' is not installed: $way_out"
  equal "$(requests) requests" '0 requests'
  [[ ! -e $cache ]]
}

fetches_once() {
  local from=("$here/helper" "$good" 10)
  fresh
  passes_on no-such-helper
  equal "$(cat "$world/requests")" /helper
  equal "$(ls -A "$cache/config-backup")" "$good"
  equal "$(find "$cache" ! -perm 700)" ''
  cmp "$cache/config-backup/$good" "$site/helper"
}

fetches_an_archive() {
  local from=("$here/config-backup-1.2.3-{target}.tar.gz" "$good  another"$'\n'"$(sum "$site/$archive.tar.gz")  $archive.tar.gz"$'\n' 10)
  fresh
  passes_on no-such-helper
  equal "$(cat "$world/requests")" "/$archive.tar.gz"
  equal "$(ls -A "$cache/config-backup")" "$(sum "$site/$archive.tar.gz")"
}

# The server holds back its answers until it has both requests.
fetches_at_once() {
  local run runs=()
  fresh
  for run in 1 2; do
    env -i PATH="$PATH" XDG_CACHE_HOME="$cache" "$(command -v "$shell")" "$module/helper.sh" context no-such-helper "$here/meet/helper" "$good" 10 \
      <<<"query $run" >"$world/run.$run" 2>&1 &
    runs+=($!)
  done
  wait "${runs[@]}"
  equal "$(cat "$world"/run.?)" '{"status":"ok","message":"query 1"}'$'\n''{"status":"ok","message":"query 2"}'
  equal "$(requests) requests" '2 requests'
  equal "$(ls -A "$cache/config-backup")" "$good"
}

# All four verbs stand in for the helper with a message that has the pattern $2; the server got $1 requests: `context` and
# `log` ask, `backup` and `outcome` do not.
refused() {
  local verb message
  [[ $cache == /dev/null ]] || fresh
  : >"$world/requests"
  for verb in $verbs; do
    case $verb:$2 in
      context:* | log:* | *'no sum of'*) message=$2 ;;
      *) message="$nowhere '${from[0]}'" ;;
    esac
    verbs=$verb stands_in no-such-helper "the helper 'no-such-helper' $message: $way_out"
  done
  equal "$(requests) requests" "$1 requests"
  equal "$(ls -A "$cache/config-backup" 2>/dev/null || true)" ''
  [[ ! -e $world/cwd/it-ran ]]
}

without_curl() {
  local path=$world/few program
  mkdir -p "$path"
  for program in uname mkdir mktemp rm tr date cat; do
    ln -sf "$(command -v "$program")" "$path"
  done
  refused 0 "$nowhere '$here/helper': *curl*not found"
}

# --- the module under a tool -----------------------------------------------------------------------------------------

half() {
  tool=$1
  unit=$world/$tool
  copy_module "$unit"

  echo "== $(cli version | head -n 1)"
  cd "$unit"
  check "$tool init: needs hashicorp/external and no other provider" initializes
  check "$tool validate" cli validate -no-color
  check "$tool test: every run of every file passes" tests_pass
  tail -n 1 "$world/$tool.log"
  check "$tool: a config in step keeps its resource, and every deployment has a usage log of its own" ids
  check "$tool: a missing helper is a Warning of an apply that succeeds" warns
  check "$tool: a missing helper is fetched where the module is told from where" fetches
  check "$tool: what is fetched and has another SHA-256 is a Warning of an apply that succeeds" refuses "$(sum "$site/evil")" \
    "its SHA-256 is .*, not $(sum "$site/evil")" $'/stub\n/stub'
  check "$tool: a URL without a SHA-256 is a Warning of an apply that succeeds" refuses '' "helper_sha256 has no sum of 'stub'" ''
  check "$tool: a step that fails all the same does not fail the apply" goes_on
  check "$tool: reads its own versions file and not the other tool's" reads_its_versions
  check "$tool: without upgrade.tf, what left the configuration is destroyed" destroys_without_upgrade
  check "$tool: with upgrade.tf, it is forgotten and nothing is destroyed" forgets_with_upgrade
  cd "$project"
}

copy_module() {
  cp -R "$module" "$1"
  rm -rf "$1/.terraform" "$1/.terraform.lock.hcl" "$1"/terraform.tfstate*
}

# The tool, with nothing of the environment that could choose for it.
cli() {
  env -i PATH="$PATH" HOME="$world/home" TMPDIR="$world" LANG=C.UTF-8 TF_CLI_CONFIG_FILE="$TF_CLI_CONFIG_FILE" \
    CHECKPOINT_DISABLE=1 "$tool" "$@" </dev/null
}

apply() {
  cli apply -no-color -input=false -auto-approve "$@"
}

initializes() {
  cli init -no-color -input=false
  equal "$(cd .terraform/providers && find . -mindepth 3 -maxdepth 3 | sed 's|^\./[^/]*/||')" hashicorp/external
}

tests_pass() {
  local runs
  cli test -no-color >"$world/$tool.log" 2>&1 || {
    grep -v ' pass$' "$world/$tool.log"
    return 1
  }
  # What was not run must not pass for a success.
  runs=$(cat tests/*.tftest.hcl | grep -c '^run "')
  equal "$(tail -n 1 "$world/$tool.log")" "Success! $runs passed, 0 failed."
}

ids() {
  local first second
  set -- -var config_file_path=.terraform/stub/config.yaml -var helper=./tests/stub.sh
  apply "$@" >"$world/first.log"
  first=$(id config_backup) first_log=$(id usage_log)
  apply "$@" >"$world/second.log"
  second=$(id config_backup) second_log=$(id usage_log)
  cat "$world/first.log" "$world/second.log"
  [[ -n $first && -n $first_log && -n $second_log ]]
  equal "$second" "$first"
  [[ $second_log != "$first_log" ]]
  has_no_warning "$world/first.log" "$world/second.log"
  equal "plumbing in the log: $(grep CONFIG_BACKUP_ "$world/first.log" || true)" 'plumbing in the log: '
  equal "$(cli output -raw status)" ok
  apply -destroy "$@"
}

id() {
  cli state show -no-color "terraform_data.$1" | sed -n 's/^ *id *= "\(.*\)"/\1/p'
}

has_no_warning() {
  if grep -Ei 'warning' "$@"; then
    return 1
  fi
}

warns() {
  set -- -var config_file_path=config.yaml -var helper='./no such helper'
  cli plan -no-color -input=false "$@" >"$world/plan.log"
  apply "$@" >"$world/apply.log" 2>&1
  cat "$world/plan.log" "$world/apply.log"
  has_no_warning "$world/plan.log"
  grep -qx 'Warning: Check block assertion failed' "$world/apply.log"
  grep -q "^config-backup: the helper './no such helper' is not installed: " "$world/apply.log"
  equal "$(grep -c WARNING "$world/apply.log")" 1
  grep -q ": WARNING: the helper './no such helper' is not installed: $way_out\$" "$world/apply.log"
  grep -qx 'Apply complete! Resources: 2 added, 0 changed, 0 destroyed.' "$world/apply.log"
}

fetches() {
  : >"$world/requests"
  copy_module "$unit.fetching"
  cd "$unit.fetching"
  set -- -var config_file_path=.terraform/stub/config.yaml -var helper=no-such-helper -var helper_url="$here/stub"
  cli init -no-color -input=false
  apply "$@" -var helper_sha256="$(sum "$site/helper")  helper"$'\n'"$(sum "$site/stub")  stub"$'\n'
  equal "$(cli output -raw status)" ok
  equal "$(cd .terraform/stub && echo *.stdin)" 'config.yaml.backup.stdin config.yaml.context.stdin config.yaml.log.stdin config.yaml.outcome.stdin'
  equal "$(cat "$world/requests")" /stub
  rm -rf "$world/home/.cache"
}

# With the SHA-256 $1 the warning has the cause $2 (a regular expression), and the server got the requests $3.
refuses() {
  : >"$world/requests"
  cd "$unit.fetching"
  apply -var config_file_path=config.yaml -var helper=no-such-helper -var helper_url="$here/stub" -var helper_sha256="$1" >"$world/apply.log" 2>&1
  cat "$world/apply.log"
  grep -qx 'Warning: Check block assertion failed' "$world/apply.log"
  grep -q ": WARNING: the helper 'no-such-helper' is not installed, and not to be had from '$here/stub': $2: $way_out\$" "$world/apply.log"
  grep -q '^Apply complete! ' "$world/apply.log"
  equal "$(cat "$world/requests")" "$3"
  equal "$(ls -A "$world/home/.cache/config-backup" 2>/dev/null || true)" ''
  rm -rf "$world/home/.cache"
}

# helper.sh never fails; should it, on_failure is the second line of defence.
# shellcheck disable=SC2016 # text for another script
goes_on() {
  copy_module "$unit.failing"
  cd "$unit.failing"
  sed '2i\
case $1 in backup | log) exit 7 ;; esac
' "$module/helper.sh" >helper.sh
  cli init -no-color -input=false
  apply -var config_file_path=.terraform/stub/config.yaml -var helper=./tests/stub.sh >"$world/apply.log" 2>&1
  cat "$world/apply.log"
  equal "$(cd .terraform/stub && echo *.stdin)" 'config.yaml.context.stdin config.yaml.outcome.stdin'
  grep -qx 'Apply complete! Resources: 2 added, 0 changed, 0 destroyed.' "$world/apply.log"
}

reads_its_versions() {
  local own other
  case $tool in
    tofu) own=versions.tofu other=versions.tf ;;
    *) own=versions.tf other=versions.tofu ;;
  esac
  copy_module "$world/versions"
  cd "$world/versions"
  demand "$other"
  cli init -no-color -input=false
  demand "$own"
  if cli init -no-color -input=false; then
    return 1
  fi
  rm -rf "$world/versions"
}

# Lets a file ask for a release that will never be.
demand() {
  sed -i.orig 's/\(required_version = ">=\) .*"/\1 999"/' "$1"
  rm "$1.orig"
  grep -q 999 "$1"
}

# upgrade.tf speaks of a provider's objects. Here it is tried on objects that need no provider, of the same names.
destroys_without_upgrade() {
  mkdir "$unit.upgrade"
  cd "$unit.upgrade"
  printf 'resource "terraform_data" "%s" {}\n' config_backup usage_log >main.tf
  cli init -no-color -input=false
  apply
  echo 'output "none" { value = "none of them is left" }' >main.tf
  cli plan -no-color -input=false | tee plan.log
  grep -qx 'Plan: 0 to add, 0 to change, 2 to destroy.' plan.log
}

forgets_with_upgrade() {
  cd "$unit.upgrade"
  sed 's/aws_s3_object\./terraform_data./' "$module/upgrade.tf" >upgrade.tf
  equal "$(cli state list | wc -l | tr -d ' ')" 2
  apply | tee apply.log
  grep -q '^Apply complete! Resources: 0 added, 0 changed, 0 destroyed' apply.log
  equal "$(cli state list)" ''
}

main
