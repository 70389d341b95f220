# SPDX-License-Identifier: MIT
"""The header tells of a million chunks and 32,640 clients, and everybody shares each chunk.

mempoolctl believed it, and counted: chunks times holders. Nobody saw any segment meanwhile.
"""
import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
LOOK_SECONDS = 10


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        raw.Million(daemon).forge()
        raw.look(daemon, LOOK_SECONDS)


raw.main(attack)
