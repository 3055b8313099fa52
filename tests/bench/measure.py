"""Runs a command and prints its wall and CPU seconds, its peak memory in bytes and its exit code as JSON, to descriptor 3.

A program of its own, started with little in memory: Linux counts the memory of whoever starts a program as that program's
peak, so that nothing below some 10 MB can be told from it. The CPU time is that of the command and all that it waited
for; the peak is that of the largest process among them.
"""

import json
import os
import sys
import time

start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
unit = 1 if sys.platform == "darwin" else 1024
measured = {
    "wall": wall,
    "cpu": usage.ru_utime + usage.ru_stime,
    "memory": usage.ru_maxrss * unit,
    "code": os.waitstatus_to_exitcode(status),
}
os.write(3, json.dumps(measured).encode())
