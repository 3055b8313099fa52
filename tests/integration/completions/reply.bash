# Does what bash does at a TAB: prints the candidates for the command line $1, with the cursor at its end.
set -u
# shellcheck source=/dev/null
source <(config-backup completions bash)
COMP_WORDBREAKS=$' \t\n"\'@><=;|&(:'
COMP_LINE=$1
COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
current=${COMP_WORDS[COMP_CWORD]##*[=:]}
registered=$(complete -p config-backup)
function=${registered#*-F }
COMPREPLY=(unset)
"${function%% *}" config-backup "$current" "${COMP_WORDS[COMP_CWORD - 1]}"
if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
  printf '%s\n' "${COMPREPLY[@]}"
fi
