# Completes the command lines of config-backup in Elvish. Printed by `config-backup completions elvish`.
# config-backup itself says what fits, so this file need not be renewed with it.

set edit:completion:arg-completer[config-backup] = {|@words|
    var lines = [(try {
        e:config-backup completions elvish -- $@words 2>/dev/null </dev/null | from-lines
    } catch {
        nop
    })]
    if (> (count $lines) 0) {
        if (eq $lines[0] words) {
            all $lines[1..]
        } elif (or (eq $lines[0] files) (eq $lines[0] folders)) {
            edit:complete-filename $words[-1]
        }
    }
}
