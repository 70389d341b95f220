# SPDX-License-Identifier: MIT
"""A user without any right to a segment was told its name and its size by a LIST."""
import os

import raw

SEGMENTS = """
  - name: NAMEa
    allow: { users: [ root ] }
    pools: [ { chunk_size: 64, chunk_count: 100 } ]
"""
TOLD, NOT_TOLD = 1, 0


def ask(daemon):
    try:
        places = daemon.list()
    except (raw.Refused, raw.Silent):
        places = []
    os._exit(TOLD if any(place.segment for place in places) else NOT_TOLD)


def attack(mempoold):
    raw.needs_root()
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        assert [place.segment for place in daemon.list()] == [daemon.name + "a"]
        child = raw.in_child(ask, daemon, uid=raw.OTHER_UID)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != NOT_TOLD:
            raw.succeeded("a user who may not attach is told of the segment")
        raw.held_off("a user who may not attach is told of no segment")


raw.main(attack)
