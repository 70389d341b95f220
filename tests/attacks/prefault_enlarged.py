# SPDX-License-Identifier: MIT
"""A member enlarges its object, and the next daemon filled it all with memory."""
import os

import raw

SEGMENTS = """
  - { name: NAMEa, prefault: true, pools: [ { chunk_size: 4KiB, chunk_count: 1000 } ] }
"""
MORE = 64 << 20


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        os.ftruncate(segment.fd, welcome.place.size + MORE)
        before = segment.taken()
        daemon.kill()
        if not daemon.start():
            raise RuntimeError("the daemon does not start")
        daemon.attach("a", nonce=2)
        if segment.taken() > before + MORE // 2:
            raw.succeeded(f"the object takes {segment.taken()} bytes of memory, before {before}")
        raw.held_off("the object takes as much memory as before")


raw.main(attack)
