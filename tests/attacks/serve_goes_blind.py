# SPDX-License-Identifier: MIT
"""The header of status_hangs.py, and mempoolctl serve: it showed no segment what it is now."""
import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
MAJOR_OFFSET = 8
LOOK_SECONDS = 10


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        forged = raw.Forged(segment.get("H", MAJOR_OFFSET), 1 << 20, 32704)
        raw.serve(daemon, lambda: forged.write(segment), LOOK_SECONDS)


raw.main(attack)
