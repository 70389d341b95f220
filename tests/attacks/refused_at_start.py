# SPDX-License-Identifier: MIT
"""Who tries to connect while the daemon starts was told EACCES, and gave up for good.

A program waits for a daemon that is not there (ENOENT, ECONNREFUSED), but not for one that it
may not use. Its own folder and socket let it in; only for a moment at the start they did not.
"""
import errno
import os
import signal
import socket

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 10 } ] }\n"
STARTS = 100
GOT_IN, SHUT_OUT = 0, 1


def keep_trying(path):
    raw.die_with_parent()
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        error = connection.connect_ex(path)
        connection.close()
        if error == 0:
            os._exit(GOT_IN)
        if error == errno.EACCES:
            os._exit(SHUT_OUT)


def attack(mempoold):
    raw.needs_root()
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        for i in range(STARTS):
            child = raw.in_child(keep_trying, daemon.socket_path, uid=raw.OTHER_UID)
            if not daemon.start():
                os.kill(child, signal.SIGKILL)
                raise RuntimeError("the daemon does not start")
            answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            daemon.process.terminate()
            daemon.process.wait()
            if answer == SHUT_OUT:
                raw.succeeded(f"EACCES in start {i + 1}")
            if answer != GOT_IN:
                raise RuntimeError(f"the child ended with {answer}")
        raw.held_off(f"let in, in each of {STARTS} starts")


raw.main(attack)
