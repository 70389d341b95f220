# SPDX-License-Identifier: MIT
"""pidfd_open(2) is refused, as by container profiles of old: no death of an adopted client
was ever seen, and what it held stayed held."""
import ctypes
import errno
import os
import signal
import struct

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
PIDFD_OPEN = 434
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_pidfds():
    """A filter of its own for the daemon."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in (
        (LOAD, 0, 0, 0),                # the number of the call
        (JUMP_IF_EQUAL, 0, 1, PIDFD_OPEN),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
        (RETURN, 0, 0, ALLOW)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                  ctypes.byref(Program(4, code)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def hold(daemon, pipe):
    _, welcome = daemon.attach("a")
    segment = raw.Object(welcome.place.shm_name)
    segment.pool(0).claim(7, welcome.holder)
    os.write(pipe, b"x")
    signal.pause()


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        ready, pipe = os.pipe()
        client = raw.in_child(hold, daemon, pipe)
        os.read(ready, 1)
        daemon.kill()
        if not daemon.start(before_exec=refuse_pidfds):
            raise RuntimeError("the daemon does not start")
        segment = raw.Object(daemon.current("a").shm_name)
        word = segment.pool(0).word(7)
        assert word >> 30 & 3 == raw.OWNED
        os.kill(client, signal.SIGKILL)
        raw.wait_for(client)
        if not raw.soon(lambda: segment.pool(0).word(7) != word):
            raw.succeeded("the dead client still holds its chunk")
        raw.held_off("the dead client holds nothing")


raw.main(attack)
