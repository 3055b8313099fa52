"""Presses TAB in an interactive shell: tab.py SHELL SETUP LINE prints what LINE has become."""

import os
import pty
import re
import select
import sys
import time

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
TAB, CTRL_A, ENTER = b"\t", b"\x01", b"\r"
MOST_SECONDS = 120


def main():
    shell, setup, line = sys.argv[1:]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        os.execvp(shell, SHELLS[shell])
    deadline = time.monotonic() + MOST_SECONDS
    # The quotes tell the output from the echo of the command.
    os.write(terminal, setup.encode() + ENTER + b"echo REA''DY" + ENTER)
    wait_for(terminal, rb"READY", deadline)
    os.write(terminal, line.encode() + TAB + CTRL_A + b"echo LI''NE: " + ENTER)
    print(wait_for(terminal, rb"LINE: ([^\r\n]*)\r?\n", deadline)[1].decode())


def wait_for(terminal, pattern, deadline):
    seen = b""
    while not (found := re.search(pattern, seen)):
        left = max(0, deadline - time.monotonic())
        if not select.select([terminal], [], [], left)[0]:
            sys.exit(f"it never said {pattern}: {seen}")
        seen += os.read(terminal, 65536)
    return found


main()
