# SPDX-License-Identifier: MIT
"""A header says that the segment is of another layout, with 32,768 holders that live.

The next daemon watched each of them by a descriptor of its own, and had none left.
"""
import os
import resource

import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
DESCRIPTORS = 1024                      # what a service has, where nothing else is said


def limit_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        daemon.kill()
        forged = raw.Forged(segment.get("H", raw.MAJOR_OFFSET) + 1, 64, 32768)
        forged.write(segment)
        forged.write_holders(segment, os.getpid())
        segment.put("H", raw.MAJOR_OFFSET, forged.major)
        if not daemon.start(before_exec=limit_descriptors):
            raw.succeeded("the daemon does not start any more")
        if not raw.attach_soon(daemon, "b", nonce=2):
            raw.succeeded("nobody can attach to the segment beside it")
        raw.held_off("the segment beside it is served")


raw.main(attack)
