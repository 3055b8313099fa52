"""Starts moto servers. A server takes half a second of CPU time to import what it needs, so that is imported once, and each line of
stdin forks a server.

The line names a folder that is to be made. In it, the pipe `log` gets the stderr of the server, and the server ends when the pipe
`leash` is closed. This process ends with its stdin.
"""

import os
import signal
import sys
import threading

sys.path.insert(0, sys.argv[1])

import moto.server  # noqa: E402


def serve(folder):
    """Runs a server, which takes any free port."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    # Opening a pipe waits for its other end.
    os.dup2(os.open(folder + "/log", os.O_WRONLY), 2)
    leash = os.open(folder + "/leash", os.O_RDONLY)
    threading.Thread(target=lambda: (os.read(leash, 1), os._exit(0)), daemon=True).start()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    moto.server.main(["-H", "127.0.0.1", "-p", "0"])


def reap(*_):
    """Takes note of servers that have ended, so that their CPU time is counted and no zombie is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


# A server imports these with its first request.
for service in ("s3", "sts"):
    moto.server.create_backend_app(service)
signal.signal(signal.SIGCHLD, reap)
for line in iter(sys.stdin.readline, ""):
    folder = line[:-1]
    os.mkdir(folder)
    for pipe in ("log", "leash"):
        os.mkfifo(f"{folder}/{pipe}")
    if os.fork() == 0:
        try:
            serve(folder)
        finally:
            os._exit(1)
    print(flush=True)
