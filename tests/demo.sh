#!/usr/bin/env bash
# Shows the main job on this machine: deployments with the real terragrunt, on an S3 and STS of its own.
#
#   tests/demo.sh [--quick] [--keep]
#
# --quick takes the steps of the unit by hand, as Terraform takes them, so that Rust is all it needs, and looks back at
# the end; --keep leaves the customer folder and the S3 running to play with.
set -euo pipefail

keep=no
quick=no
for argument in "$@"; do
  case $argument in
    --keep) keep=yes ;;
    --quick) quick=yes ;;
    *)
      echo "demo.sh: unknown argument '$argument'; usage: tests/demo.sh [--quick] [--keep]" >&2
      exit 2
      ;;
  esac
done

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
target=${CARGO_TARGET_DIR:-$project/target}
world=$(mktemp -d "${TMPDIR:-/tmp}/config-backup-demo.XXXXXX")
server=

finish() {
  code=$?
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

step() {
  printf '\n\033[1m== %s\033[0m\n' "$*"
}

run() {
  printf '$ %s\n' "$*"
  "$@"
}

main() {
  build=release
  packages=(-p embedded-aws)
  if [[ $quick == yes ]]; then
    build=debug
    packages+=(-p config-backup)
  fi
  (cd "$project" && cargo build --locked --quiet "${packages[@]}")
  start_aws
  environment
  cd "$world"
  if [[ $quick == yes ]]; then
    look_back
  else
    with_terragrunt
  fi
  if [[ $keep == yes ]]; then
    explain_keep
  else
    step "Done; everything that was started is ended, everything that was made is removed"
  fi
}

with_terragrunt() {
  step "A customer folder: one config.yaml, two clusters (stand-ins); init adds the config-backup unit"
  cp -R "$project/terragrunt/airbnb" "$world/airbnb"
  run config-backup init airbnb

  step "First deployment: all units, config-backup among them"
  cd "$world/airbnb"
  deploy

  step "The config changes, and is deployed again"
  sed -i.orig 's/instance_size: M30/instance_size: M40/' config.yaml
  rm config.yaml.orig
  deploy

  step "What lies in the bucket: the config, its history, the units' states and two usage records"
  (cd "$world/s3/mongodb-arena" && find . -type f | sort | sed 's|^\./|s3://mongodb-arena/|')

  step "One usage record"
  record=$(find "$world/s3/mongodb-arena/usage-logs" -type f | sort | tail -n 1)
  run cat "$record"

  step "Who deployed what: one row per day, customer and user"
  run ./config-backup/view_usage_logs.sh airbnb -
}

look_back() {
  cp -R "$project/terragrunt/airbnb" "$world/airbnb"

  step "Three deployments by hand, with the steps that the unit takes in an apply: John's, and two of Jane's with another config"
  deploy_by_hand default
  sed -i.orig 's/instance_size: M30/instance_size: M40/' airbnb/config.yaml
  deploy_by_hand jane
  deploy_by_hand jane

  step "Who deployed what: one row per day, customer and user"
  run config-backup report --profile default

  step "Which configs there were, and what changed"
  run config-backup history airbnb -f table --profile default
  run config-backup diff airbnb 698b latest --profile default

  step "The first one back, once it is known to be what was backed up"
  run config-backup restore airbnb --version 698b --output restored.yaml --profile default
  run cmp restored.yaml airbnb/config.yaml.orig

  step "Is all as it was written?"
  run config-backup verify --profile default
}

# As main.tf has it: `context` at plan, `deploy` at apply, which gets its request as a JSON text.
deploy_by_hand() {
  local query answer request key second
  # Versions of one second would have no order.
  second=$(date +%s)
  until [[ $(date +%s) -gt $second ]]; do sleep 0.05; done
  query="\"config_file_path\":\"$world/airbnb/config.yaml\",\"aws_profile\":\"$1\""
  answer=$(printf '{%s}' "$query" | config-backup context)
  request="$query,\"planned_id\":\"$(value_of deployment_id "$answer")\""
  for key in deployment_id backup_id backup_key config_hash spent_ms; do
    request+=",\"$key\":\"$(value_of "$key" "$answer")\""
  done
  answer=$(printf '{"request":"{%s}"}' "${request//\"/\\\"}" | config-backup deploy)
  value_of message "$answer"
  echo
}

# A value of an answer, which is one line with an object of strings.
value_of() {
  printf '%s' "$2" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"
}

deploy() {
  run terragrunt apply --all --non-interactive
}

start_aws() {
  "$target/debug/embedded-aws" --data "$world/s3" --bucket mongodb-arena --endpoint-file "$world/endpoint" >"$world/server.log" 2>&1 &
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

# As a field engineer's laptop has it: terragrunt and the helper on PATH, a profile in the AWS files.
environment() {
  mkdir -p "$world/home/.aws"
  cat >"$world/home/.aws/credentials" <<'INI'
[default]
aws_access_key_id = AKIADEMOJOHN00000000
aws_secret_access_key = demo-secret-john

[jane]
aws_access_key_id = AKIADEMOJANE00000000
aws_secret_access_key = demo-secret-jane
INI
  cat >"$world/env.sh" <<SH
export HOME='$world/home'
export PATH='$target/$build:$project/.tools/bin:$PATH'
export TF_CLI_CONFIG_FILE='$project/.tools/tofurc'
export TG_TF_PATH='$project/.tools/bin/tofu'
export AWS_ENDPOINT_URL_S3='$(cat "$world/endpoint")'
export AWS_ENDPOINT_URL_STS='$(cat "$world/endpoint")'
export AWS_EC2_METADATA_DISABLED=true CHECKPOINT_DISABLE=1 TG_TELEMETRY_TRACE_EXPORTER=none
unset XDG_STATE_HOME AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION
unset AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL CONFIG_BACKUP_BUCKET CONFIG_BACKUP_BUCKET_REGION CONFIG_BACKUP_HELPER
SH
  # shellcheck source=/dev/null
  source "$world/env.sh"
}

explain_keep() {
  step "It is yours to play with"
  echo "  source $world/env.sh && cd $world/airbnb"
  if [[ $quick == no ]]; then
    echo "  terragrunt apply --all --non-interactive"
  fi
  echo "  config-backup report --profile default"
  echo "When you are done: kill $server; rm -rf $world"
}

main
