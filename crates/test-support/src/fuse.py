"""Mounts a FUSE file system that misbehaves on a folder: fuse.py MODE FOLDER

It stands for a network file system whose server is gone. It prints `mounted`, and unmounts when its stdin ends. Modes:
  dead  no request is ever read, as where a server is gone; who waits can be killed
  deaf  each request is read and none is answered; who waits cannot even be killed
  half  what is looked up does not exist, the folder itself is there, and everything else waits as with `deaf`
  slow  each request fails after most of a second
  eio   each request fails at once
"""

import ctypes
import os
import struct
import sys
import threading
import time

INIT, LOOKUP, FORGET, GETATTR, ACCESS, BATCH_FORGET, INTERRUPT = 26, 1, 2, 3, 34, 42, 36
EIO, ENOENT = 5, 2
DETACH = 2

mode, folder = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
if libc.mount(b"config-backup-test", folder.encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
print("mounted", flush=True)


def answer(unique, error=0, body=b""):
    try:
        os.write(device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)
    except OSError:
        pass  # who asked was killed


def serve(opcode, unique):
    if opcode == INIT:
        answer(unique, 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0))
    elif opcode in (FORGET, BATCH_FORGET, INTERRUPT) or mode == "deaf":
        pass
    elif mode == "half":
        if opcode == LOOKUP:
            answer(unique, ENOENT)
        elif opcode == ACCESS:
            answer(unique)
        elif opcode == GETATTR:
            attributes = struct.pack("<QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40700, 2, 0, 0, 0, 4096, 0)
            answer(unique, 0, struct.pack("<QII", 0, 0, 0) + attributes)
    elif mode == "slow":
        threading.Timer(0.7, answer, (unique, EIO)).start()
    else:
        answer(unique, EIO)


def read_requests():
    while True:
        try:
            request = os.read(device, 1 << 17)
        except OSError:
            return
        _, opcode, unique = struct.unpack_from("<IIQ", request)
        serve(opcode, unique)


if mode != "dead":
    threading.Thread(target=read_requests, daemon=True).start()
sys.stdin.read()
# All that waits gets an error now.
libc.umount2(folder.encode(), DETACH)
os._exit(0)
