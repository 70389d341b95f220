# SPDX-License-Identifier: MIT
"""pidfd_open(2) is refused, as by container profiles of old: no death of an adopted client
was ever seen, and what it held stayed held."""
import errno
import os
import signal

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
PIDFD_OPEN = 434


def refuse_pidfds():
    """A filter of its own for the daemon."""
    raw.refuse_calls([(PIDFD_OPEN, {})], errno.EPERM)


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
        # The child has the only one that is open: if it dies, there is nothing to wait for.
        os.close(pipe)
        if not os.read(ready, 1):
            raise RuntimeError("the client cannot hold a chunk")
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
