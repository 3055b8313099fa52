# shellcheck shell=bash
# Says on standard output what is being done and how long it takes. tools/install and tests/demo.sh source it.
#
# A terminal gets a line that ticks, moved back by a carriage return: there are no escape codes. A pipe, a file and a dumb
# terminal get plain lines only, a pipe at most one a minute.

ticker=

can_tick() { [[ -t 1 && ${TERM:-dumb} != dumb ]]; }

# Prints a whole line, over the ticking one where there is one.
say() {
    if can_tick; then printf '\r%-79s\n' "$*"; else printf '%s\n' "$*"; fi
}

# Seconds as people say them.
duration() {
    if (($1 < 60)); then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# Shows what the function $1 prints, again and again until stop_ticking; nothing where it prints nothing.
start_ticking() {
    tick "$1" </dev/null 9>&- &
    ticker=$!
}

stop_ticking() {
    [[ -n $ticker ]] || return 0
    # A milder signal would reach a shell that still has the EXIT trap of its parent.
    kill -KILL "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    ticker=
    clear_tick
}

clear_tick() { ! can_tick || printf '\r%-79s\r' ''; }

tick() {
    local line every=60 waited=0
    [[ ! -t 1 ]] || every=20
    ! can_tick || every=1
    while :; do
        # Without the terminal or pipe, which a sleeper would hold open after the end.
        sleep 1 >/dev/null 2>&1 3>&-
        kill -0 "$$" 2>/dev/null || return 0
        waited=$((waited + 1))
        ((waited % every == 0)) || continue
        line=$("$1")
        [[ -n $line ]] || continue
        if can_tick; then printf '\r%-79.79s' "$line"; else printf '%s\n' "$line"; fi
    done
}
