#!/bin/sh
# The entry of the hooks in .pre-commit-hooks.yaml: check.sh unit|config FILE...
#
# Runs `config-backup init --check` once for the customer folders of the files. A folder counts if our unit is in it, because
# other tools have a config.yaml, too.
set -eu

part=$1
shift
helper=${CONFIG_BACKUP_HELPER:-config-backup}

newline='
'
folders=$newline
for file; do
  folder=$(dirname -- "$file")
  [ "$part" = config ] || folder=$(dirname -- "$folder")
  [ -f "$folder/config-backup/terragrunt.hcl" ] || [ -f "$folder/config-backup/unit.sha256" ] || continue
  case $folders in
    *"$newline$folder$newline"*) ;;
    *) folders=$folders$folder$newline ;;
  esac
done

set -f
IFS=$newline
# shellcheck disable=SC2086 # one folder per line
set -- $folders
[ $# -gt 0 ] || exit 0

if ! command -v "$helper" >/dev/null; then
  echo "config-backup: the helper '$helper' is not installed; put config-backup into PATH, or set CONFIG_BACKUP_HELPER to its path" >&2
  exit 1
fi
exec "$helper" init --check="$part" -- "$@"
