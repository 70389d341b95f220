# SPDX-License-Identifier: MIT
"""The header of status_hangs.py, and mempoolctl serve: it showed no segment what it is now."""
import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
LOOK_SECONDS = 10


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        raw.serve(daemon, raw.Million(daemon).forge, LOOK_SECONDS)


raw.main(attack)
