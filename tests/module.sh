#!/usr/bin/env bash
# Tests the Terraform module: its files, its wrapper helper.sh in every shell of this machine, and then the whole module
# with the pinned OpenTofu and with the terraform of PATH, if there is one.
#
# All tests run in copies in a temporary folder, with a HOME of their own: nothing is left in the work tree.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
module=$project/terraform
export PATH=$project/.tools/bin:$PATH
export TF_CLI_CONFIG_FILE=$project/.tools/tofurc

world=$(mktemp -d "${TMPDIR:-/tmp}/config-backup-module.XXXXXX")
trap 'stop_server; rm -rf "$world"' EXIT

way_out='this deployment is neither backed up nor logged; install the helper, or set the variable helper to its path'
# shellcheck disable=SC2016 # the backticks of a message
unknown='it is unknown whether this deployment is backed up and logged; `config-backup status` lists what is still queued, and `config-backup doctor` checks the helper'
verbs='context deploy fallback'
passed=0
failed=0
absent=()

main() {
  require_tools
  mkdir "$world/home" "$world/cwd"

  files
  make_fakes
  serve
  for shell in sh dash bash 'busybox sh'; do
    if command -v "${shell% sh}" >/dev/null; then
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
  check 'requirements.tf and requirements.tofu differ in their comment and in required_version only' requirements_agree
  check 'every validation of a variable has a test that expects its failure' validations_have_tests
  check 'main.tf and terragrunt.hcl set every variable' settings_agree
}

requirements_agree() {
  equal "$(required requirements.tf)" 'required_version = ">= 1.10"'
  equal "$(required requirements.tofu)" 'required_version = ">= 1.11"'
  diff <(rest requirements.tf) <(rest requirements.tofu)
  grep -qx ' *source *= "hashicorp/external"' "$module/requirements.tf"
  grep -qx ' *version *= ">= 1.2"' "$module/requirements.tf"
  equal "$(cat "$module"/*.tf | grep -c 'source *=')" 1
}

required() {
  sed -n 's/^ *\(required_version\)/\1/p' "$module/$1"
}

# All lines but a comment in the first one and required_version.
rest() {
  sed -e '1{/^#/d;}' -e '/^ *required_version /d' "$module/$1"
}

validations_have_tests() {
  diff <(awk -F '"' '/^variable / { name = $2 } / validation [{]/ { print name }' "$module/variables.tf" | sort -u) \
    <(sed -n 's/.*expect_failures = \[var\.\(.*\)\]/\1/p' "$module"/tests/*.hcl | sort -u)
}

settings_agree() {
  local variables
  variables=$(sed -n 's/^variable "\(.*\)" {$/\1/p' "$module/variables.tf" | grep -vx unit_settings | sort)
  [[ $(wc -l <<<"$variables") -gt 10 ]]
  diff <(echo "$variables") <(sed -n 's/^ *\([a-z_0-9]*\) *= var\.\1$/\1/p' "$module/main.tf" | sort)
  diff <(echo "$variables") <(sed -n '/^  settings = {/,/^  }/s/^    \([a-z_0-9]*\) *=.*/\1/p' "$module/terragrunt.hcl" | sort)
}

equal() {
  if [[ $1 != "$2" ]]; then
    printf 'expected: %s\nbut it is: %s\n' "$2" "$1"
    return 1
  fi
}

# --- helper.sh -------------------------------------------------------------------------------------------------------

# The helpers that the wrapper is tried with, and the wrapper beside settings as terragrunt.hcl generates them.
# shellcheck disable=SC2016 # they expand in the fakes
make_fakes() {
  fakes=$world/fakes
  mkdir -p "$fakes/folder" "$fakes/path" "$fakes/it's a \"good\" \$(touch pwned)" "$world/beside"
  cp "$module/helper.sh" "$world/beside"
  printf 'query of fallback' >"$world/beside/config_backup.auto.tfvars.json"
  fake good 'case $1 in
    context) printf "{\"status\":\"ok\",\"message\":\"%s\",\"deployment_id\":\"id-of-the-helper\"}\n" "$(cat)" ;;
    deploy) printf "{\"status\":\"ok\",\"message\":\"%s\"}\n" "$(cat)" ;;
    *) printf "config-backup: %s\n" "$(cat)" ;;
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
  fake two-answers "$fakes/good \"\$1\" </dev/null; $fakes/good \"\$1\" </dev/null"
  fake array 'echo "[\"status\"]"'
  fake no-status 'echo "{\"message\":\"status\",\"deployment_id\":\"12345678\"}"'
  fake truncated 'printf "{\"status\":\"ok\",\"mess"'
  # Each would be valid but for one place, and Terraform fails on all of them.
  fake number 'echo "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"count\":5,\"end\":\"\"}"'
  fake nested 'echo "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"git\":{\"commit\":\"\"}}"'
  fake quote 'echo "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"message\":\"say \"hi\"\"}"'
  fake escape 'printf "%s\n" "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"message\":\"\\x41\"}"'
  fake control 'printf "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"message\":\"\033[1m\"}\n"'
  fake comma 'echo "{\"status\":\"ok\",\"deployment_id\":\"12345678\",}"'
  fake tail 'echo "{\"status\":\"ok\",\"deployment_id\":\"12345678\"} \"}"'
  # What JSON allows within a string.
  fake escapes 'printf "%s\n" "{\"status\":\"ok\",\"deployment_id\":\"12345678\",\"message\":\"\\\" \\\\ \\/ \\b\\f\\n\\r\\t \\u00e9 größe {},: $(printf "\\177")\",\"empty\":\"\"}"'
  fake no-id 'echo "{\"status\":\"ok\",\"message\":\"\"}"'
  fake empty-id 'echo "{\"status\":\"ok\",\"message\":\"\\\"deployment_id\\\":\\\"12345678\",\"deployment_id\":\"\"}"'
  # The numbers are those of no other process, so that the tests find these.
  fake hangs "exec sleep 7654.$$"
  fake leaves-a-child "$fakes/good \"\$1\"; sleep 7.$$ &"
  fake answers-and-hangs "$fakes/good \"\$1\"; exec sleep 7654.$$"
  fake endless-lines 'exec yes'
  fake endless-line 'exec tr "\0" x </dev/zero'
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

  # helper.sh hands these their queries, and prints their answers.
  for name in "$fakes/good" helper-in-path "$fakes/it's a \"good\" \$(touch pwned)/\`helper\`"; do
    check "$shell: \`$name\` gets the query, and its answer is printed" passes_on "$name"
  done
  check "$shell: an answer with everything that JSON allows within a string is printed" passes_escapes_on

  # Names of nothing: options, builtins, keywords, functions of helper.sh itself, and what a shell or JSON could trip over.
  for name in no-such-helper /no/such/helper "it's" 'say "hi"' "back\\slash\\" $'two\nlines' $'tab\t, bell\a, escape\e, delete\177' $'no \xff character' \
    '$(touch pwned)' '`touch pwned`' '; touch pwned' '&& touch pwned' '*' '$HOME' '%s%n' '-v' '--' '-' '#' ' ' 'größe' \
    cd if answer_instead plain fetch get is_valid; do
    check "$shell: \`$(printf %q "$name")\` is reported as not installed" \
      stands_in "$name" "the helper '$(without_what_breaks_json "$name")' is not installed: $way_out"
  done

  check "$shell: a folder is reported" stands_in "$fakes/folder" "the helper '$fakes/folder' is not executable: $way_out"
  check "$shell: a file that is not executable is reported" \
    stands_in "$fakes/not-executable" "the helper '$fakes/not-executable' is not executable: $way_out"
  for name in exit-1 killed crashed no-interpreter; do
    check "$shell: a helper that fails (\`$name\`) is reported" \
      stands_in "$fakes/$name" "the helper '$fakes/$name' failed in 'VERB' with exit code [0-9]*: WAY_OUT"
  done
  check "$shell: a name without a path is not looked up in the current folder" stands_in helper-in-cwd "the helper 'helper-in-cwd' *: WAY_OUT"
  check "$shell: a program of another machine is reported" stands_in "$fakes/no-program" "the helper '$fakes/no-program' *: WAY_OUT"
  for name in silent text two-answers array no-status truncated number nested quote escape control comma tail; do
    check "$shell: garbage (\`$name\`) is reported" \
      stands_in "$fakes/$name" "the helper '$fakes/$name' gave no answer of config-backup in 'VERB': WAY_OUT"
  done
  check "$shell: an answer is printed although what the helper has started holds its stdout" passes_on "$fakes/leaves-a-child"
  check "$shell: a helper that hangs is ended and reported" ends_hanging "the helper '$fakes/hangs' did not answer in 'VERB' within 3 s and was ended: WAY_OUT" hangs
  check "$shell: a helper whose query does not end is ended and reported" ends_unfed
  check "$shell: a helper that cannot end after its answer is not waited for" answers_and_hangs
  check "$shell: endless output (\`endless-lines\`) is reported" ends_hanging "the helper '$fakes/endless-lines' gave no answer of config-backup in 'VERB': WAY_OUT" endless-lines
  check "$shell: endless output (\`endless-line\`) is reported" ends_hanging "the helper '$fakes/endless-line' gave no answer of config-backup in 'VERB': WAY_OUT" endless-line
  for name in no-id empty-id; do
    check "$shell: a context without a deployment_id (\`$name\`) is replaced by one with an id" \
      only context stands_in "$fakes/$name" "the helper '$fakes/$name' gave no answer of config-backup in 'context': $way_out"
  done
  check "$shell: settings that are not there are reported to terragrunt" reports_missing_settings
  check "$shell: the settings lie beside helper.sh, even where its path has no folder" finds_settings_in_its_folder

  check "$shell: every answer in the helper's place is valid JSON of strings, with ids where a plan needs them" answers_are_json
  check "$shell: no name was ever run as a command" nothing_was_made
}

# Runs helper.sh with the verb $1, the helper $2 and what `from` holds into the variables stdout and stderr; it must exit 0.
helper_sh() {
  local code=0 words
  read -r -a words <<<"$shell"
  printf 'query of %s' "$1" >"$world/stdin"
  [[ $1 != fallback ]] || printf 'stdin, which has no settings' >"$world/stdin"
  (
    cd "${in:-$world/cwd}"
    env -i PATH="${path:-$fakes/path:$PATH}" HOME="$world/home" ${cache:+XDG_CACHE_HOME="$cache"} \
      "$(command -v "${words[0]}")" "${words[@]:1}" "${script:-$world/beside/helper.sh}" "$1" "$2" "${from[@]+"${from[@]}"}" <"$world/stdin" >"$world/stdout" 2>"$world/stderr"
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
      context) equal "$stdout" "{\"status\":\"ok\",\"message\":\"query of $verb\",\"deployment_id\":\"id-of-the-helper\"}"$'\n' ;;
      deploy) equal "$stdout" "{\"status\":\"ok\",\"message\":\"query of $verb\"}"$'\n' ;;
      *) equal "$stdout" "config-backup: query of $verb"$'\n' ;;
    esac
    equal "stderr: $stderr" 'stderr: '
  done
}

# The fake $2 is reported with the message $1 and is ended; at plan the next step learns what it took.
ends_hanging() {
  local from=('' '' 1)
  verbs='context deploy' stands_in "$fakes/$2" "$1"
  processes_end
  [[ $2 != hangs ]] || tail -n 1 "$world/answers.context" | grep -q ',"spent_ms":"3000"}$'
}

# The helpers that hang are gone; what was killed takes a moment.
processes_end() {
  local count
  for count in 1 2 3 4 5 6 7 8 9 10; do
    if [[ $(ps -A -o args=) != *"sleep 7654.$$"* ]]; then
      return 0
    fi
    sleep 0.2
  done
  return 1
}

# Its stdin is a pipe that stays open.
ends_unfed() {
  local from=('' '' 1) words
  read -r -a words <<<"$shell"
  mkfifo "$world/unfed"
  exec 8<>"$world/unfed"
  rm "$world/unfed"
  "${words[@]}" "$world/beside/helper.sh" deploy "$fakes/good" none none 1 <&8 >"$world/stdout"
  exec 8>&-
  IFS= read -r -d '' stdout <"$world/stdout" || true
  one_line "{\"status\":\"error\",\"message\":\"the helper '$fakes/good' did not answer in 'deploy' within 3 s and was ended: *\"}"
}

# Its answer counts, and nothing waits for the process.
answers_and_hangs() {
  local from=('' '' 3)
  helper_sh deploy "$fakes/answers-and-hangs"
  one_line '{"status":"ok","message":"query of deploy"}'
  processes_end
}

passes_escapes_on() {
  local verb
  for verb in context deploy; do
    helper_sh "$verb" "$fakes/escapes"
    equal "$stdout" "$("$fakes/escapes")"$'\n'
    printf '%s' "$stdout" | python3 -c 'import json, sys; assert json.loads(sys.stdin.buffer.read())["message"] == "\" \\ / \b\f\n\r\t é größe {},: \x7f"'
  done
}

# shellcheck disable=SC2034 # helper_sh reads it
reports_missing_settings() {
  local script=$module/helper.sh
  only fallback stands_in "$fakes/good" "cannot read '$module/config_backup.auto.tfvars.json', which terragrunt.hcl generates: this deployment is neither backed up nor logged"
}

# shellcheck disable=SC2034 # helper_sh reads them
finds_settings_in_its_folder() {
  local script=helper.sh in=$world/beside
  passes_on "$fakes/good"
}

# A name as it may stand in a message, written as a pattern.
without_what_breaks_json() {
  local LC_ALL=C
  local name=${1//$'\n'/ }
  name=${name//[[:cntrl:]\"\\]/}
  printf '%s' "${name//\*/\\*}"
}

# What helper.sh answers for the helper $1 in each verb: JSON with the message $2 (a pattern), or one line.
stands_in() {
  local verb message
  for verb in $verbs; do
    message=${2/VERB/$verb}
    case $verb in
      context) message=${message/WAY_OUT/$way_out} ;;
      *) message=${message/WAY_OUT/$unknown} ;;
    esac
    helper_sh "$verb" "$1"
    equal "$verb, stderr: $stderr" "$verb, stderr: "
    case $verb in
      context) one_line "{\"status\":\"error\",\"message\":\"$message\",\"backup_id\":\"*\",\"deployment_id\":\"*\"}" ;;
      deploy) one_line "{\"status\":\"error\",\"message\":\"$message\"}" ;;
      fallback) one_line "config-backup: WARNING: $message" ;;
    esac
    printf '%s' "$stdout" >>"$world/answers.$verb"
  done
}

# Runs a command with the verb $1 alone.
only() {
  local verbs=$1
  shift
  "$@"
}

# stdout is one line of the pattern $1.
one_line() {
  # shellcheck disable=SC2053 # a pattern
  if [[ $stdout != $1$'\n' || ${stdout%$'\n'} == *$'\n'* ]]; then
    printf 'expected one line: %s\nbut it is: %s\n' "$1" "$stdout"
    return 1
  fi
}

# Another implementation than the one of the tools reads all that helper.sh answered. A byte that is not a character
# becomes U+FFFD there, as in Go.
answers_are_json() {
  python3 - "$world/answers.context" "$world/answers.deploy" <<'PYTHON'
import json, re, sys

ids = {"backup_id", "deployment_id"}
for path, keys in zip(sys.argv[1:], (ids, set())):
    lines = open(path, "rb").read().decode("utf-8", "replace").rstrip("\n").split("\n")
    assert len(lines) > 30, "only %d answers" % len(lines)
    for line in lines:
        print(line)
        answer = json.loads(line)
        assert set(answer) - {"spent_ms"} == {"status", "message"} | keys and all(type(value) is str for value in answer.values())
        assert all(re.fullmatch("[A-Za-z0-9-]{8,64}", answer[key]) for key in keys)
PYTHON
}

nothing_was_made() {
  equal "$(ls -A "$world/cwd" "$world/home" "$world/beside")" \
    "$world/beside:"$'\n'"config_backup.auto.tfvars.json"$'\n'"helper.sh"$'\n\n'"$world/cwd:"$'\n'"helper-in-cwd"$'\n\n'"$world/home:"
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
        if self.path == "/endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
            try:
                while True:
                    self.wfile.write(chunk)
            except OSError:
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
  check "$shell: without a URL no server is asked, and nothing is made" fetches_nothing_without_a_url
  check "$shell: a missing helper is fetched once, kept under its SHA-256 for its owner alone, and run" fetches_once
  check "$shell: an archive of a release is fetched for this machine, its sum read from a SHA256SUMS" fetches_an_archive
  check "$shell: two at once both get it, and leave one whole file" fetches_at_once
  check "$shell: curl gets what is left of the deadline, at plan at most 3 seconds, whatever the setting" limits_curl
  check "$shell: a helper in the cache that has another SHA-256 is fetched again" replaces_damaged helper "$good"
  check "$shell: a helper of an archive that has another SHA-256 is fetched again" replaces_damaged "$archive.tar.gz" "$(sum "$site/$archive.tar.gz")"
  check "$shell: a cache folder that others can write to is not used" refuses_open_cache
  [[ $(id -u) -ne 0 ]] || check "$shell: a cache folder of another user is not used" refuses_foreign_cache
  check "$shell: without HOME nothing is cached" refuses_without_home

  from=("$here/evil" "$good" 10)
  check "$shell: what has another SHA-256 is reported, not run, and not left" \
    refused 3 "$nowhere '$here/evil': its SHA-256 is $(sum "$site/evil"), not $good"
  from=("$here/nothing" "$good" 10)
  check "$shell: what the server has not is reported" refused 3 "$nowhere '$here/nothing': curl: (22) *404*"
  from=("$here/hang" "$good" 1)
  check "$shell: a server that does not answer is reported when the time is over" refused 3 "$nowhere '$here/hang': curl: (28) *"
  from=("$here/endless" "$good" 2)
  check "$shell: an endless download is ended at 64 MiB" refused 3 "$nowhere '$here/endless': curl: (*) *"
  from=("http://127.0.0.1:$refusing/helper" "$good" 10)
  check "$shell: a server that is down is reported" refused 0 "$nowhere '${from[0]}': curl: (7) *"
  from=("$here/helper" "$good  another-file" 10)
  check "$shell: nothing is fetched of which there is no sum" refused 0 "$nowhere '$here/helper': helper_sha256 has no sum of 'helper'"
  from=("$here/helper" "$(printf '%064d' 0 | tr 0 /)" 10)
  check "$shell: nothing is fetched with a sum that is not hex" refused 0 "$nowhere '$here/helper': helper_sha256 has no sum of 'helper'"
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
  equal "$(ls -A "$cache/config-backup")" "$(sum "$site/$archive.tar.gz").$(sum "$fakes/good")"
}

# $1 is fetched with the sum $2, and again after what is in the cache was damaged.
replaces_damaged() {
  local from=("$here/$1" "$2" 10) file
  fresh
  passes_on no-such-helper
  equal "$(requests) requests" '1 requests'
  for file in "$cache"/config-backup/*; do
    echo "touch '$world/cwd/it-ran'" >>"$file"
  done
  passes_on no-such-helper
  equal "$(requests) requests" '2 requests'
  [[ ! -e $world/cwd/it-ran ]]
}

# shellcheck disable=SC2034 # helper_sh reads it
refuses_open_cache() {
  local from=("$here/helper" "$good" 10)
  fresh
  passes_on no-such-helper
  chmod 770 "$cache/config-backup"
  only context stands_in no-such-helper "the helper 'no-such-helper' $nowhere '$here/helper': '$cache/config-backup' belongs to another user, or other users can write to it: $way_out"
  chmod 700 "$cache/config-backup"
  chmod 722 "$cache/config-backup/$good"
  passes_on no-such-helper
  equal "$(requests) requests" '2 requests'
}

# shellcheck disable=SC2034 # helper_sh reads it
refuses_foreign_cache() {
  local from=("$here/helper" "$good" 10)
  fresh
  passes_on no-such-helper
  chown 12345 "$cache/config-backup"
  only deploy stands_in no-such-helper "the helper 'no-such-helper' $nowhere '$here/helper': '$cache/config-backup' belongs to another user, or other users can write to it: $way_out"
}

refuses_without_home() {
  local answer words
  read -r -a words <<<"$shell"
  answer=$(env -i PATH="$PATH" "$(command -v "${words[0]}")" "${words[@]:1}" "$module/helper.sh" fallback no-such-helper "$here/helper" "$good" 10 </dev/null)
  equal "$answer" "config-backup: WARNING: the helper 'no-such-helper' is not installed, and not to be had from '$here/helper': neither HOME nor XDG_CACHE_HOME is set: $way_out"
}

# The server holds back its answers until it has both requests.
fetches_at_once() {
  local run runs=() words
  read -r -a words <<<"$shell"
  fresh
  for run in 1 2; do
    env -i PATH="$PATH" XDG_CACHE_HOME="$cache" "$(command -v "${words[0]}")" "${words[@]:1}" "$module/helper.sh" context no-such-helper "$here/meet/helper" "$good" 10 \
      <<<"query $run" >"$world/run.$run" 2>&1 &
    runs+=($!)
  done
  wait "${runs[@]}"
  equal "$(cat "$world"/run.?)" '{"status":"ok","message":"query 1","deployment_id":"id-of-the-helper"}'$'\n''{"status":"ok","message":"query 2","deployment_id":"id-of-the-helper"}'
  equal "$(requests) requests" '2 requests'
  equal "$(ls -A "$cache/config-backup")" "$good"
}

# All verbs stand in for the helper with a message that has the pattern $2, and the server gets $1 requests.
refused() {
  [[ $cache == /dev/null ]] || fresh
  : >"$world/requests"
  stands_in no-such-helper "the helper 'no-such-helper' $2: $way_out"
  equal "$(requests) requests" "$1 requests"
  equal "$(ls -A "$cache/config-backup" 2>/dev/null || true)" ''
  [[ ! -e $world/cwd/it-ran ]]
}

# shellcheck disable=SC2034 # helper_sh reads them
limits_curl() {
  local path=$world/spy:$PATH from seconds
  mkdir -p "$world/spy"
  # shellcheck disable=SC2016 # it expands in the script
  printf '#!/bin/sh\necho "curl got $*"\nexit 7\n' >"$world/spy/curl"
  chmod +x "$world/spy/curl"
  fresh
  for seconds in 1:1 3:1 6:2 9:3 42:3 300:3 301:3 3600:3 0:3 00:3 -5:3 1.5:3 1e2:3 soon:3 '[]:3' '1 --insecure:3' :3; do
    from=("$here/helper" "$good" "${seconds%:*}")
    only context stands_in no-such-helper "the helper 'no-such-helper' $nowhere '$here/helper': curl got * --max-time ${seconds##*:} --output *: $way_out"
  done
  for seconds in 1:1 2:1 9:8 300:299 301:9 soon:9; do
    from=("$here/helper" "$good" "${seconds%:*}")
    only 'deploy fallback' stands_in no-such-helper "the helper 'no-such-helper' $nowhere '$here/helper': curl got * --max-time ${seconds##*:} --output *: $way_out"
  done
}

without_curl() {
  local path=$world/few program
  mkdir -p "$path"
  for program in uname mkdir mktemp rm tr date cat grep; do
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
  deployments
  checks
  settings
  check "$tool: a missing helper is one Warning of an apply that succeeds" warns
  check "$tool: a helper that reads nothing of a large request deploys" deploys_unread
  check "$tool: a missing helper is fetched where the module is told from where" fetches
  check "$tool: what is fetched and has another SHA-256 is a Warning of an apply that succeeds" refuses "$(sum "$site/evil")" \
    "its SHA-256 is .*, not $(sum "$site/evil")" $'/stub\n/stub'
  check "$tool: a URL without a SHA-256 is a Warning of an apply that succeeds" refuses '' "helper_sha256 has no sum of 'stub'" ''
  check "$tool: reads its own requirements file and not the other tool's" reads_its_requirements
  cd "$project"
}

copy_module() {
  cp -R "$module" "$1"
  rm -rf "$1"/.terraform* "$1"/terraform.tfstate*
}

# A copy of the module in the folder $1 of its own, which becomes the current folder, and the options of a healthy deployment.
new_unit() {
  cd "$world"
  rm -rf "$unit.$1"
  copy_module "$unit.$1"
  cd "$unit.$1"
  quietly cli init -no-color -input=false
  options=(-var config_file_path=.terraform/stub/config.yaml -var helper=./tests/stub.sh)
}

# The tool, with nothing of the environment that could choose for it, and the variables in `with`.
cli() {
  env -i PATH="$PATH" HOME="$world/home" TMPDIR="$world" LANG=C.UTF-8 TF_CLI_CONFIG_FILE="$TF_CLI_CONFIG_FILE" GOGC=off GOMEMLIMIT=1GiB \
    CHECKPOINT_DISABLE=1 "${with[@]+"${with[@]}"}" "$tool" "$@" </dev/null
}

apply() {
  cli apply -no-color -input=false -auto-approve "$@"
}

plan() {
  cli plan -no-color -input=false "$@"
}

# Runs the tool; what it printed goes into the file `log` of the current folder, and to the reader of a failed check.
logged() {
  local code=0
  "$@" >log 2>&1 || code=$?
  cat log
  return "$code"
}

quietly() {
  local output
  output=$("$@" 2>&1) || {
    echo "$output"
    return 1
  }
}

# What the stub was asked since the last time, one word for a call: `context`, `deploy` where it is to deploy, `refresh`
# where the two ids show that it is not, and all ids of deployments go into the file `ids`.
calls() {
  python3 - "${1-.terraform/stub/config.yaml}.calls" ids <<'PYTHON'
import json, os, sys

calls, ids = sys.argv[1:]
words = []
for line in open(calls) if os.path.exists(calls) else []:
    verb, query = line.split(" ", 1)
    query = json.loads(query)
    assert all(type(value) is str for value in query.values())
    if verb == "deploy":
        assert list(query) == ["request"]
        request = json.loads(query["request"])
        assert all(type(value) is str for value in request.values()), request
        if request["planned_id"] == request["deployment_id"]:
            assert len(request["deployment_id"]) >= 8
            with open(ids, "a") as file:
                file.write(request["deployment_id"] + "\n")
        else:
            verb = "refresh"
    words.append(verb)
print(" ".join(words))
if os.path.exists(calls):
    os.remove(calls)
PYTHON
}

# The stub was asked $1 since the last time; `refresh` counts as nothing, because the helper does nothing then.
asked() {
  local calls
  calls=$(calls)
  echo "calls: $calls"
  equal "${calls// refresh/}" "$1"
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

# --- one record for each deployment, and none for anything else ---

deployments() {
  check "$tool: before the first deployment, nothing but an apply deploys" nothing_deploys_before_the_first
  check "$tool: each apply deploys once, in place, with an id of its own, and nothing else does" deploys_once
  check "$tool: an apply of a saved plan deploys once, with the id of that plan" deploys_a_saved_plan
  check "$tool: a config that the context has no new id for is deployed by each apply and by no plan" deploys_without_ids
  check "$tool: an apply without a refresh deploys" deploys_without_refresh
  check "$tool: an apply of other targets asks nothing, and one of this module deploys" deploys_targets
  check "$tool: an apply of other targets is silent after a deployment with an error" is_silent_for_targets
  check "$tool: a module that waits for another one deploys once" deploys_late
  check "$tool: two modules of one configuration deploy once each" deploys_two
  check "$tool: two applies at the same time deploy once each" deploys_at_once
  check "$tool: an apply that finds the state locked deploys nothing" deploys_nothing_when_locked
}

nothing_deploys_before_the_first() {
  new_unit before
  logged cli validate -no-color
  asked ''
  logged plan "${options[@]}"
  asked context
  grep -qx 'Plan: 1 to add, 0 to change, 0 to destroy.' log
  logged plan -refresh-only "${options[@]}"
  equal "$(calls)" context
  # Terraform 1.11 fails here for every configuration with a resource and an output of it.
  logged apply -refresh-only "${options[@]}" || grep -q 'Cannot apply non' log
  equal "$(calls)" context
  logged cli refresh -no-color -input=false "${options[@]}"
  equal "$(calls)" context
  logged apply -destroy "${options[@]}"
  equal "$(calls | sed 's/context//')" ''
}

deploys_once() {
  local count
  new_unit once
  logged apply "${options[@]}"
  asked 'context deploy'
  grep -q '^Apply complete! Resources: 1 added, 0 changed, 0 destroyed.$' log
  for count in 1 2; do
    logged plan "${options[@]}"
    asked context
    grep -qx 'Plan: 0 to add, 1 to change, 0 to destroy.' log
    logged apply "${options[@]}"
    asked 'context deploy'
    grep -q '^Apply complete! Resources: 0 added, 1 changed, 0 destroyed.$' log
  done
  equal "$(cli output -raw status)" ok
  equal "$(cli output -raw message)" "all is in the bucket: s3://stub/$(tail -n 1 ids)"

  logged cli validate -no-color
  logged cli show -no-color
  logged cli state list
  asked ''
  logged plan -refresh-only "${options[@]}"
  asked context
  logged apply -refresh-only "${options[@]}"
  asked context
  logged cli refresh -no-color -input=false "${options[@]}"
  asked context
  logged plan -destroy "${options[@]}"
  asked context
  logged apply -destroy "${options[@]}"
  asked context
  equal "$(cli state list)" ''

  logged apply "${options[@]}"
  asked 'context deploy'
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '4 ids'
}

deploys_a_saved_plan() {
  local saved
  new_unit saved
  for saved in first second; do
    logged plan -out "$saved.tfplan" "${options[@]}"
    asked context
    logged cli apply -no-color -input=false "$saved.tfplan"
    asked deploy
    equal "$(cli state show -no-color data.external.context | sed -n 's/^ *"deployment_id" *= "\(.*\)"/\1/p')" "$(tail -n 1 ids)"
  done
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '2 ids'
}

deploys_without_ids() {
  new_unit no-ids
  options+=(-var project_name='context status-only-ok')
  for count in 1 2; do
    logged apply "${options[@]}"
    asked 'context deploy'
    logged plan "${options[@]}"
    asked context
  done
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '2 ids'
}

deploys_without_refresh() {
  new_unit no-refresh
  logged apply -refresh=false "${options[@]}"
  asked 'context deploy'
  logged apply -refresh=false "${options[@]}"
  asked 'context deploy'
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '2 ids'
}

# A configuration with the module in a folder of its own, called as $1, and with the main.tf of stdin, which becomes the
# current folder.
new_root() {
  cd "$world"
  rm -rf "$unit.$1"
  mkdir "$unit.$1"
  copy_module "$unit.$1/config-backup"
  cd "$unit.$1"
  cat >main.tf
  quietly cli init -no-color -input=false
}

deploys_targets() {
  new_root targets <<'HCL'
module "config_backup" {
  source           = "./config-backup"
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./config-backup/tests/stub.sh"
}

resource "terraform_data" "other" {}
HCL
  logged apply -target=terraform_data.other
  asked ''
  logged apply -target=module.config_backup
  asked 'context deploy'
  logged apply -target=terraform_data.other
  asked ''
  logged apply
  asked 'context deploy'
}

is_silent_for_targets() {
  cd "$unit.targets"
  sed -i.orig 's/  helper  /  project_name = "deploy error"\n  helper  /' main.tf
  logged apply
  warned_once
  logged apply -target=terraform_data.other
  equal "$(grep -c 'Check block' log || true)" 0
  equal "$(calls)" 'context deploy'
}

deploys_late() {
  new_root late <<'HCL'
resource "terraform_data" "other" {
  input = timestamp()
}

module "config_backup" {
  source           = "./config-backup"
  config_file_path = ".terraform/stub/config.yaml"
  helper           = "./config-backup/tests/stub.sh"
  depends_on       = [terraform_data.other]
}
HCL
  logged apply
  asked 'context deploy'
  logged plan
  asked ''
  logged apply
  asked 'context deploy'
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '2 ids'
}

deploys_two() {
  local customer count
  new_root two <<'HCL'
module "config_backup" {
  for_each         = toset(["acme", "zeta"])
  source           = "./config-backup"
  config_file_path = ".terraform/stub/${each.key}.yaml"
  helper           = "./config-backup/tests/stub.sh"
}
HCL
  for count in 1 2; do
    logged apply
    for customer in acme zeta; do
      equal "$(calls .terraform/stub/$customer.yaml)" 'context deploy'
    done
  done
  equal "$(sort -u ids | wc -l | tr -d ' ') ids" '4 ids'
}

deploys_at_once() {
  local count runs=()
  for count in 1 2 3; do
    new_unit "at-once-$count"
    apply "${options[@]}" >log 2>&1 &
    runs+=($!)
  done
  for count in 1 2 3; do
    wait "${runs[count - 1]}"
    cd "$unit.at-once-$count"
    cat log
    asked 'context deploy'
    cat ids >>"$world/at-once.ids"
  done
  equal "$(sort -u "$world/at-once.ids" | wc -l | tr -d ' ') ids" '3 ids'
  rm "$world/at-once.ids"
}

# The first apply waits within `deploy`, where it holds the lock, for the second one.
deploys_nothing_when_locked() {
  local first begun=
  new_unit locked
  mkdir -p .terraform/stub
  mkfifo .terraform/stub/config.yaml.deploy.begun .terraform/stub/config.yaml.deploy.go
  # Open for both directions, a pipe blocks no open: where the apply fails, this test fails, too, and does not hang.
  exec 8<>.terraform/stub/config.yaml.deploy.begun 9<>.terraform/stub/config.yaml.deploy.go
  apply "${options[@]}" -var project_name='deploy wait' >first.log 2>&1 &
  first=$!
  read -r -t 60 -u 8 begun || cat first.log
  equal "$begun" begun
  if logged apply "${options[@]}"; then
    return 1
  fi
  grep -q 'Error acquiring the state lock' log
  echo go >&9
  wait "$first"
  asked 'context deploy'
}

# --- the check ---

checks() {
  check "$tool: the check warns once at apply where the status is not ok, and is silent in all else" warns_at_apply_only
  check "$tool: a failed check is not an error, even in a run that is compared by its exit code" plans_with_exit_code_2
}

warned_once() {
  equal "$(grep -c '^Warning: ' log) warnings" '1 warnings'
  grep -qx 'Warning: Check block assertion failed' log
}

# The log has the text $1, which Terraform wraps.
says() {
  tr -s ' \n' ' ' <log | grep -qF "$1"
}

silent() {
  logged "$@"
  if grep -E '^(Warning|Error)|Check block' log; then
    return 1
  fi
}

warns_at_apply_only() {
  local what
  new_unit check
  for what in error warning exit-1 text; do
    set -- "${options[@]}" -var project_name="deploy $what"
    silent plan "$@"
    logged apply "$@"
    warned_once
    case $what in
      error) says ' config-backup: nothing is in the bucket ' ;;
      warning) says ' config-backup: all is in the bucket, but the unit is out of date ' ;;
      exit-1) says " config-backup: the helper './tests/stub.sh' failed in 'deploy' with exit code 1: $unknown " ;;
      text) says " config-backup: the helper './tests/stub.sh' gave no answer of config-backup in 'deploy': $unknown " ;;
    esac
    silent plan -out saved.tfplan "$@"
    logged cli apply -no-color -input=false saved.tfplan
    warned_once
  done
  set -- "${options[@]}" -var project_name='deploy status-only-error'
  silent cli output -no-color
  silent plan -refresh-only "$@"
  silent apply -refresh-only "$@"
  silent cli refresh -no-color -input=false "$@"
  silent plan -destroy "$@"
  silent apply -destroy "$@"
}

plans_with_exit_code_2() {
  local code=0
  new_unit exit-code
  logged apply "${options[@]}" -var project_name='deploy error'
  logged plan -detailed-exitcode "${options[@]}" || code=$?
  equal "exit code $code" 'exit code 2'
}

# --- the settings of the unit ---

settings() {
  new_unit settings
  check "$tool: the settings that terragrunt.hcl generates reach both steps as strings" gets_settings
  check "$tool: TF_VAR_* of the environment change nothing then, even where they are not valid" ignores_tf_var
  check "$tool: settings of wrong types are no error, and reach both steps as strings" gets_wrong_settings
  check "$tool: settings that are all null are no error" gets_null_settings
  check "$tool: a setting that the module does not know is no error" gets_unknown_settings
  check "$tool: without settings of the unit, the validations of the variables hold" validates_variables
}

# Writes config_backup.auto.tfvars.json as terragrunt.hcl does, with the changes that the Python of stdin makes to `settings`.
generate() {
  python3 -c '
import json, sys

settings = dict(
    config_file_path=".terraform/stub/config.yaml", customer_name="", aws_profile="", project_name="", cluster_name="",
    additional_users_count=None, bucket="mongodb-arena", bucket_region="us-east-1", expected_bucket_owner="", bucket_encryption="", timeout=10,
    helper="./tests/stub.sh", helper_url="", helper_sha256="",
)
names = list(settings)
exec(sys.stdin.read())
variables = dict.fromkeys(settings) | dict(config_file_path=".terraform/stub/config.yaml", unit_settings=settings)
json.dump(variables, open("config_backup.auto.tfvars.json", "w"))
'
}

# What both steps got as settings is the JSON object $1.
got() {
  python3 - "$1" <<'PYTHON'
import json, sys

expected = json.loads(sys.argv[1])
calls = [line.split(" ", 1) for line in open(".terraform/stub/config.yaml.calls")]
assert [verb for verb, _ in calls] == ["context", "deploy"], calls
facts = {"unit_version", "planned_id", "deployment_id", "backup_id", "backup_key", "config_hash", "plan_status", "spent_ms",
         "caller_arn", "user_id", "account", "credentials_id"}
for verb, query in calls:
    query = json.loads(query)
    query = json.loads(query["request"]) if verb == "deploy" else query
    print(verb, query)
    assert {name: value for name, value in query.items() if name not in facts} == expected
PYTHON
  quietly calls
}

defaults='{"config_file_path":".terraform/stub/config.yaml","customer_name":"","aws_profile":"","project_name":"","cluster_name":"","bucket":"mongodb-arena","bucket_region":"us-east-1","expected_bucket_owner":"","bucket_encryption":"","timeout":"10"}'

gets_settings() {
  cd "$unit.settings"
  generate <<<''
  silent apply
  got "$defaults"
}

ignores_tf_var() {
  local with
  cd "$unit.settings"
  with=(TF_VAR_bucket=another-bucket TF_VAR_timeout=20 TF_VAR_helper=no-such-helper TF_VAR_customer_name=zeta
    TF_VAR_config_file_path=/etc/passwd TF_VAR_unit_settings='{ bucket = "another-bucket" }')
  silent apply
  got "$defaults"
  with=(TF_VAR_bucket='NOT A BUCKET' TF_VAR_timeout=soon TF_VAR_helper= TF_VAR_customer_name=$'\a' TF_VAR_additional_users_count='[]'
    TF_VAR_config_file_path= TF_VAR_unit_settings='{ not HCL')
  silent apply
  got "$defaults"
}

gets_wrong_settings() {
  cd "$unit.settings"
  generate <<'PYTHON'
settings |= dict(
    timeout="soon", additional_users_count=[1, "two"], bucket_region="nowhere", bucket={"name": {"of": None}}, customer_name=True,
    aws_profile=0.5, project_name=[], cluster_name={}, expected_bucket_owner=123456789012, bucket_encryption=["AES256"],
    helper_url=["a"], helper_sha256=1,
)
PYTHON
  silent apply
  got '{"config_file_path":".terraform/stub/config.yaml","customer_name":"true","aws_profile":"0.5","project_name":"[]","cluster_name":"{}",
    "bucket":"{\"name\":{\"of\":null}}","bucket_region":"nowhere","expected_bucket_owner":"123456789012","bucket_encryption":"[\"AES256\"]","timeout":"soon","additional_users_count":"[1,\"two\"]"}'

  # shellcheck disable=SC2016 # templates of Terraform, which must not expand
  generate <<<'settings |= dict(timeout=3600, customer_name="line\nbreak \"quote\" \\ ${id} %{if} é \u0007", bucket_region=None)'
  silent apply
  # shellcheck disable=SC2016 # as above
  got '{"config_file_path":".terraform/stub/config.yaml","customer_name":"line\nbreak \"quote\" \\ ${id} %{if} é \u0007","aws_profile":"","project_name":"","cluster_name":"",
    "bucket":"mongodb-arena","expected_bucket_owner":"","bucket_encryption":"","timeout":"3600"}'

  # A helper that is not a name is the one of PATH; here there is none.
  generate <<<'settings |= dict(helper=["./tests/stub.sh"], timeout=[1], helper_url="http://127.0.0.1:9/helper", helper_sha256=[1])'
  logged apply
  warned_once
  says " config-backup: the helper 'config-backup' is not installed, and not to be had from 'http://127.0.0.1:9/helper': helper_sha256 has no sum of 'helper': "
}

gets_null_settings() {
  cd "$unit.settings"
  generate <<<'settings = dict.fromkeys(names)'
  logged apply
  warned_once
  says " config-backup: the helper 'config-backup' is not installed: "
  generate <<<'settings = dict.fromkeys(names) | dict(helper_url="http://127.0.0.1:9/helper")'
  logged apply
  warned_once
  generate <<<'settings = {}'
  silent plan -var helper=./tests/stub.sh
}

gets_unknown_settings() {
  cd "$unit.settings"
  generate <<<'settings |= dict(a_name_of_another_day={"a": [1]}, helper_of_another_day=1)'
  # Terraform warns about the names in the file, and about nothing else.
  logged apply
  equal "$(grep '^Warning: ' log | sort -u)" 'Warning: Value for undeclared variable'
  quietly calls
  python3 - <<'PYTHON'
import json

variables = json.load(open("config_backup.auto.tfvars.json"))
variables = {name: value for name, value in variables.items() if "another_day" not in name}
json.dump(variables, open("config_backup.auto.tfvars.json", "w"))
PYTHON
  silent apply
  got "${defaults%\}},\"a_name_of_another_day\":\"{\\\"a\\\":[1]}\"}"
}

validates_variables() {
  local with wrong
  new_unit validations
  for wrong in TF_VAR_bucket='NOT A BUCKET' TF_VAR_timeout=soon TF_VAR_timeout=0 TF_VAR_additional_users_count='[]'; do
    with=("$wrong")
    if logged plan "${options[@]}"; then
      return 1
    fi
    grep -q '^Error: Invalid value for' log
  done
  with=(TF_VAR_bucket=another-bucket)
  silent apply "${options[@]}"
  got "${defaults/mongodb-arena/another-bucket}"
}

# --- helpers that fail or are missing ---

warns() {
  new_unit missing
  set -- -var config_file_path=config.yaml -var helper='./no such helper'
  silent plan "$@"
  logged apply "$@"
  warned_once
  says " config-backup: the helper './no such helper' is not installed: $way_out "
  grep -qx 'Apply complete! Resources: 1 added, 0 changed, 0 destroyed.' log
  : >'no such helper'
  logged apply "$@"
  warned_once
  says " config-backup: the helper './no such helper' is not executable: $way_out "
  grep -qx 'Apply complete! Resources: 0 added, 1 changed, 0 destroyed.' log
  silent apply -refresh-only "$@"
  silent apply -destroy "$@"
}

# The request is larger than a pipe holds.
deploys_unread() {
  new_unit unread
  fake deaf 'exec <&-; echo "{\"status\":\"ok\",\"message\":\"unread\",\"deployment_id\":\"id-of-$$\"}"'
  generate <<<"settings |= dict(helper='$fakes/deaf', project_name='x' * 300000)"
  silent apply
  equal "$(cli output -raw message)" unread
}

fetches() {
  : >"$world/requests"
  new_unit fetching
  set -- -var config_file_path=.terraform/stub/config.yaml -var helper=no-such-helper -var helper_url="$here/stub"
  apply "$@" -var helper_sha256="$(sum "$site/helper")  helper"$'\n'"$(sum "$site/stub")  stub"$'\n'
  equal "$(cli output -raw status)" ok
  asked 'context deploy'
  equal "$(cat "$world/requests")" /stub
  rm -rf "$world/home/.cache"
}

# With the SHA-256 $1 the warning has the cause $2 (a regular expression), and the server got the requests $3.
refuses() {
  : >"$world/requests"
  cd "$unit.fetching"
  logged apply -var config_file_path=config.yaml -var helper=no-such-helper -var helper_url="$here/stub" -var helper_sha256="$1"
  warned_once
  tr '\n' ' ' <log | grep -q "config-backup: the helper 'no-such-helper' is not installed, and not to be had from '$here/stub': $2: $way_out"
  grep -q '^Apply complete! ' log
  equal "$(cat "$world/requests")" "$3"
  equal "$(ls -A "$world/home/.cache/config-backup" 2>/dev/null || true)" ''
  rm -rf "$world/home/.cache"
}

reads_its_requirements() {
  local own other
  case $tool in
    tofu) own=requirements.tofu other=requirements.tf ;;
    *) own=requirements.tf other=requirements.tofu ;;
  esac
  copy_module "$world/requirements"
  cd "$world/requirements"
  demand "$other"
  cli init -no-color -input=false
  demand "$own"
  if cli init -no-color -input=false; then
    return 1
  fi
  rm -rf "$world/requirements"
}

# Lets a file ask for a release that will never be.
demand() {
  sed -i.orig 's/\(required_version = ">=\) .*"/\1 999"/' "$1"
  rm "$1.orig"
  grep -q 999 "$1"
}

main
