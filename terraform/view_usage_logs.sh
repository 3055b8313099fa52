#!/bin/sh
# Prints who deployed what as CSV: one row per day, customer and user.
#
#   view_usage_logs.sh [CUSTOMER] [OUTPUT.csv]
#
# Without a customer, or with an empty one: all customers. Without an output: arena-terragrunt-usage.csv beside this
# script; `-` is stdout. The AWS profile is the one of ../config.yaml. CONFIG_BACKUP_BUCKET names another bucket.
set -eu

case ${1-} in
  -h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) ;;
esac
if [ $# -gt 2 ]; then
  echo "view_usage_logs.sh: too many arguments; usage: view_usage_logs.sh [CUSTOMER] [OUTPUT.csv]" >&2
  exit 2
fi

# The folder that this script really lies in, through whatever links it was called.
script=$0
while [ -L "$script" ]; do
  link=$(readlink -- "$script")
  case $link in
    /*) script=$link ;;
    *) script=$(dirname -- "$script")/$link ;;
  esac
done
here=$(CDPATH='' cd -- "$(dirname -- "$script")" && pwd -P)

customer=${1-}
output=${2-$here/arena-terragrunt-usage.csv}
helper=${CONFIG_BACKUP_HELPER:-config-backup}

if ! command -v "$helper" >/dev/null 2>&1; then
  echo "view_usage_logs.sh: the helper '$helper' is not installed; put config-backup into PATH, or set CONFIG_BACKUP_HELPER to its path" >&2
  exit 1
fi

set -- report --output "$output"
if [ -f "$here/../config.yaml" ]; then
  set -- "$@" --config-file "$here/../config.yaml"
fi
if [ -n "$customer" ]; then
  set -- "$@" -- "$customer"
fi
exec "$helper" "$@"
