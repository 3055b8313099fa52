# Completes the command lines of config-backup in fish. Printed by `config-backup completions fish`.
# config-backup itself says what fits, so this file need not be renewed with it.

function __config_backup_complete
    set -l token (commandline --current-token --cut-at-cursor)
    # An open quote cannot be unescaped.
    set -l word (string unescape -- "$token"); or set word $token
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l lines (config-backup completions fish -- $before "$word" 2>/dev/null </dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    # Paths stand behind the name of their option; other candidates have it.
    set -l option (string match --regex -- '^--[^=]*=' "$token"; or echo)
    set -l path (string replace --regex -- '^--[^=]*=' '' "$token")
    switch "$kind"
        case words
            string join \n -- $lines
        case files
            string join \n -- $option(__fish_complete_path "$path")
        case folders
            string join \n -- $option(__fish_complete_directories "$path")
    end
end

complete --command config-backup --no-files --keep-order --arguments '(__config_backup_complete)'
