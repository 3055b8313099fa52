#!/usr/bin/env bash
# Tells the story of a customer folder on this machine alone, with an S3 and STS of its own: deployments, an outage, who deployed
# what, old configs, and a record that was changed afterwards. It has at most 60 lines; a log has all that was printed.
#
#   tests/demo.sh [--quick] [--keep] [--tools FOLDER]
#
# Without --quick the real terragrunt deploys. --quick takes the steps of the unit by hand, as Terraform takes them, so that
# Rust is all it needs. --keep leaves the customer folder and the S3 running to play with. FOLDER has terragrunt, and tofu or
# terraform (default: .tools/demo, where `make demo` puts them).
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/progress.sh
source "$project/tools/progress.sh"
keep=no
name=demo
tools=$project/.tools/demo
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep) keep=yes ;;
    --quick) name=try ;;
    --tools)
      tools=$(cd "${2:?a folder follows --tools}" && pwd -P)
      shift
      ;;
    *)
      echo "demo.sh: unknown argument '$1'; usage: tests/demo.sh [--quick] [--keep] [--tools FOLDER]" >&2
      exit 2
      ;;
  esac
  shift
done

target=${CARGO_TARGET_DIR:-$project/target}
results=$target/$name
log=$results/log
world=$(mktemp -d "${TMPDIR:-/tmp}/config-backup-demo.XXXXXX")
server=
person=john
chapter=0

finish() {
  code=$?
  stop_ticking
  if [[ $keep == yes && $code -eq 0 ]]; then
    return
  fi
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$world"
}
trap finish EXIT

main() {
  mkdir -p "$results"
  : >"$log"
  tell "Three deployments, with an S3 and STS on this machine: no AWS account is used. The full log is $(short "$log")."
  start_aws
  environment
  cd "$world"
  first_deployment
  changed_config
  outage
  who_deployed_what
  old_configs
  tampered_record
  next_steps
}

# --- the story -------------------------------------------------------------------------------------------------------

first_deployment() {
  begin "Deploy: the customer folder gets one more unit, and John deploys"
  cp -R "$project/terragrunt/airbnb" airbnb
  cp airbnb/config.yaml first.yaml
  if [[ $name == demo ]]; then
    run 0 config-backup init airbnb
  fi
  deploy
}

changed_config() {
  begin "Change: Jane wants larger instances, and deploys from her machine"
  as jane
  run 0 sed -i.orig 's/instance_size: M30/instance_size: M40/' airbnb/config.yaml
  rm airbnb/config.yaml.orig
  deploy
}

outage() {
  begin "Outage: the helper cannot reach S3 (a closed port). She deploys, and what could not be sent waits in a queue"
  export CONFIG_BACKUP_HELPER=$world/cut-off
  deploy
  unset CONFIG_BACKUP_HELPER
  run 1 config-backup status
  run 1 config-backup replay
}

who_deployed_what() {
  begin "Who deployed what: John looks"
  as john
  run 5 config-backup report --format table
  run 1 config-backup report --output "$results/usage.html"
}

old_configs() {
  begin "History: which configs there were, what changed, and the first one back"
  run 4 config-backup history airbnb --format table
  run 1 config-backup diff airbnb 698b latest
  run 1 config-backup restore airbnb --version 698b --output restored.yaml
  cmp restored.yaml first.yaml
}

tampered_record() {
  local record
  begin "Tampered: a record is edited in the bucket, so that John seems to have changed the config"
  run 2 config-backup verify
  record=$(grep -l jane s3/mongodb-arena/usage-logs/airbnb/*.json | sed 1q)
  run 0 sed -i.orig 's/jane\.roe/john.doe/' "$record"
  rm "$record.orig"
  expected=7 run 4 config-backup verify
}

next_steps() {
  begin "Next: docs/install.md for the helper, the bucket and the permissions; then, in your own customer folder:"
  tell "  config-backup init && config-backup doctor && terragrunt apply --all"
  if [[ $keep == yes ]]; then
    tell "To play with this one: source $world/env.sh && cd $world/airbnb"
    tell "When you are done: kill $server; rm -rf $world"
  else
    tell "All that was started is ended. $(short "$results") is left; --keep leaves the customer folder and the S3, too."
  fi
}

# --- deployments -----------------------------------------------------------------------------------------------------

# Shows what the unit says at the end. The log has the rest.
deploy() {
  # Versions of one second would have no order.
  local second
  second=$(date +%s)
  until [[ $(date +%s) -gt $second ]]; do sleep 0.05; done
  if [[ $name == demo ]]; then
    filter=closing_message run 4 terragrunt apply --all --non-interactive --working-dir=airbnb
  else
    filter=beginning run 4 deploy_by_hand
  fi
}

# What the unit's output `message` says, and in the outage that all units are applied. terragrunt
# puts the time, the unit and the tool before each line.
closing_message() {
  awk '
    /\[config-backup\]/ {
      sub(/^.*\[config-backup\] [a-z]+: /, "")
      if (outputs && !/^$/ && !/^status +=/) print
      if (/^Outputs:/) outputs = 1
    }
  ' "$world/output" | beginning
  [[ -z ${CONFIG_BACKUP_HELPER:-} ]] || grep -E '^ +(Succeeded|Failed) ' "$world/output"
}

# A message says what happened first.
beginning() { folded | sed -n 1,3p; }

# As main.tf has it: `context` at plan, `deploy` at apply, which gets its request as a JSON text.
deploy_by_hand() {
  local query answer request key helper=${CONFIG_BACKUP_HELPER:-config-backup}
  query="\"config_file_path\":\"$world/airbnb/config.yaml\",\"aws_profile\":\"default\""
  answer=$(printf '{%s}' "$query" | "$helper" context)
  request="$query,\"planned_id\":\"$(value_of deployment_id "$answer")\""
  for key in deployment_id backup_id backup_key config_hash spent_ms; do
    request+=",\"$key\":\"$(value_of "$key" "$answer")\""
  done
  answer=$(printf '{"request":"{%s}"}' "${request//\"/\\\"}" | "$helper" deploy)
  value_of message "$answer"
  echo
}

# A value of an answer, which is one line with an object of strings.
value_of() {
  printf '%s' "$2" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"
}

# --- the screen ------------------------------------------------------------------------------------------------------

tell() {
  say "$*"
  printf '%s\n' "$*" >>"$log"
}

begin() {
  chapter=$((chapter + 1))
  printf '\n== %s %s\n' "$chapter" "$*" >>"$log"
  if can_tick && [[ -z ${NO_COLOR:-} ]]; then
    printf '\n\033[1m%s %s\033[0m\n' "$chapter" "$*"
  else
    printf '\n%s %s\n' "$chapter" "$*"
  fi
}

# A path or a text without the folders that are the same everywhere.
short() {
  local text=${1//"$world"\//}
  printf '%s\n' "${text//"$project"\//}"
}

# run LINES COMMAND…: shows the command and the last of the lines that it prints, at most LINES. The log has all of them. The
# variables `expected` (exit code) and `filter` (a function between log and screen) are for one call.
run() {
  local most=$1 code=0 shown
  shift
  shown=$(short "$*")
  [[ $1 != deploy_by_hand ]] || shown='config-backup context, and config-backup deploy with its answer'
  tell "$person\$ ${shown/ -i.orig / -i }"
  start_ticking waiting
  "$@" >"$world/output" 2>&1 </dev/null || code=$?
  stop_ticking
  cat "$world/output" >>"$log"
  if [[ $code -ne ${expected:-0} ]]; then
    cat "$world/output" >&2
    echo "demo.sh: '$*' ended with exit code $code" >&2
    exit 1
  fi
  [[ $most -eq 0 ]] || "${filter:-folded}" <"$world/output" | tail -n "$most"
}

# Lines that are short and not empty, two blanks from the left.
folded() { short "$(cat)" | fold -s -w 108 | sed 's/^ */  /; s/ *$//; /^$/d'; }

waiting() { echo "  ... ${SECONDS} s"; }

# --- the machine -----------------------------------------------------------------------------------------------------

start_aws() {
  "$target/debug/embedded-aws" --data "$world/s3" --bucket mongodb-arena --endpoint-file "$world/endpoint" >"$world/server.log" 2>&1 </dev/null &
  server=$!
  # The server writes the file once it listens; it ends at once if it cannot.
  until [[ -s $world/endpoint ]]; do
    kill -0 "$server" 2>/dev/null || {
      cat "$world/server.log" >&2
      exit 1
    }
    sleep 0.05
  done
}

# As field engineers' laptops have it: terragrunt and the helper on PATH, a profile in the AWS files. Two people, two homes.
environment() {
  local terraform=$tools/tofu provider="export TF_CLI_CONFIG_FILE='$project/.tools/tofurc'"
  # Without the provider that tools/install builds, Terraform asks a registry.
  [[ -f $project/.tools/tofurc ]] || provider='unset TF_CLI_CONFIG_FILE'
  [[ -x $terraform ]] || terraform=$tools/terraform
  if [[ $name == demo && ! (-x $terraform && -x $tools/terragrunt) ]]; then
    echo "demo.sh: $tools does not have terragrunt and tofu or terraform; run 'make demo'" >&2
    exit 1
  fi
  mkdir -p "$world"/{john,jane}/.aws
  printf '[default]\naws_access_key_id = AKIADEMOJOHN00000000\naws_secret_access_key = demo-secret-john\n' >"$world/john/.aws/credentials"
  printf '[default]\naws_access_key_id = AKIADEMOJANE00000000\naws_secret_access_key = demo-secret-jane\n' >"$world/jane/.aws/credentials"
  cat >"$world/env.sh" <<SH
export HOME='$world/john'
export PATH='$target/debug:$tools:$project/.tools/bin:$PATH'
$provider
export TG_TF_PATH='$terraform'
export AWS_ENDPOINT_URL_S3='$(cat "$world/endpoint")'
export AWS_ENDPOINT_URL_STS='$(cat "$world/endpoint")'
export AWS_EC2_METADATA_DISABLED=true CHECKPOINT_DISABLE=1 TG_TELEMETRY_TRACE_EXPORTER=none
unset XDG_STATE_HOME XDG_CACHE_HOME AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION
unset AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL CONFIG_BACKUP_BUCKET CONFIG_BACKUP_BUCKET_REGION CONFIG_BACKUP_HELPER
SH
  # shellcheck source=/dev/null
  source "$world/env.sh"
  # The log is for reading.
  export TG_NO_COLOR=true TF_CLI_ARGS=-no-color
  # Only the helper, and not the backend of the units' states, loses its way to AWS.
  printf '#!/bin/sh\nexport AWS_ENDPOINT_URL_S3=http://127.0.0.1:1 AWS_ENDPOINT_URL_STS=http://127.0.0.1:1\nexec config-backup "$@"\n' >"$world/cut-off"
  chmod +x "$world/cut-off"
}

as() {
  person=$1
  export HOME=$world/$1
}

main
