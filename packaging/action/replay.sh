#!/bin/sh
# The step `replay` of action.yml, the last one of a job: sends what could not be uploaded, because the runner is thrown away,
# and its spool with it. The job's summary gets what this run deployed, and what is still queued. The input of the action is
# INPUT_CUSTOMER. The exit code is that of `config-backup replay`.
set -u

summary=$GITHUB_STEP_SUMMARY
printf '### config-backup\n\n' >>"$summary"

if ! command -v config-backup >/dev/null; then
  printf 'The helper is not installed: nothing was backed up or logged.\n' >>"$summary"
  printf '::error title=config-backup::the helper is not in PATH: this job backed up and logged nothing; see its step install\n'
  exit 1
fi

config-backup replay
code=$?

# The records of this run, by the address of the run, which the report escapes for Markdown.
run_url=$(printf '%s' "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID" | sed 's/[_*~$]/\\&/g')

# Some columns of a Markdown table, by their names, of the rows of this run. A cell has no ` | `, because the report escapes it.
choose_columns() {
  RUN_URL=$run_url awk -F ' [|] ' '
    { sub(/^[|] /, ""); sub(/ [|]$/, "") }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR == 2 { next }
    NR == 1 || $at["ci_run_url"] == ENVIRON["RUN_URL"] {
      print "| " $at["timestamp"] " | " $at["customer"] " | " $at["user"] " | " $at["backup"] " | " $at["config_hash"] " |"
      rows++
    }
    NR == 1 { print "|---|---|---|---|---|" }
    END { exit rows < 2 }
  '
}

set -f
# shellcheck disable=SC2086 # several customers are several words
if report=$(config-backup report --all --since 1d --format markdown --no-cache -- ${INPUT_CUSTOMER-}); then
  if table=$(printf '%s\n' "$report" | choose_columns); then
    printf '%s\n\n' "$table" >>"$summary"
  else
    printf 'The bucket has no usage record of this run from the last day.\n\n' >>"$summary"
  fi
else
  printf 'The usage records cannot be listed; the log of this step says why.\n\n' >>"$summary"
fi

queued=$(config-backup status)
if [ "$queued" = '0 queued, 0 in quarantine' ]; then
  printf 'Nothing is queued: all of it is in the bucket.\n' >>"$summary"
else
  # shellcheck disable=SC2016 # a fence of Markdown
  printf 'Not in the bucket, and lost when the runner is thrown away:\n\n```text\n%s\n```\n' "$queued" >>"$summary"
fi

[ "$code" -eq 0 ] || printf '::error title=config-backup::some uploads are not in the bucket; the log of this step says why\n'
exit "$code"
