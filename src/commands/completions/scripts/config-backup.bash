# Completes the command lines of config-backup in bash 3.2 or later. Printed by `config-backup completions bash`.
# config-backup itself says what fits, so this file need not be renewed with it.

_config_backup() {
    local kind value
    COMPREPLY=()
    {
        IFS= read -r kind || return 0
        case $kind in
            words)
                while IFS= read -r value; do
                    COMPREPLY[${#COMPREPLY[@]}]=$value
                done
                ;;
            files)
                # bash 3.2 has no compopt.
                compopt -o default 2>/dev/null || while IFS= read -r value; do
                    COMPREPLY[${#COMPREPLY[@]}]=$value
                done < <(compgen -f -- "$2")
                ;;
            folders)
                compopt -o dirnames 2>/dev/null || while IFS= read -r value; do
                    COMPREPLY[${#COMPREPLY[@]}]=$value
                done < <(compgen -d -- "$2")
                ;;
        esac
    } < <(config-backup completions bash -- "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
}

complete -F _config_backup config-backup
