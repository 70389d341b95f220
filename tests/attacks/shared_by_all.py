# SPDX-License-Identifier: MIT
"""A member says of each chunk that all holders share it: no word of the shape is a lie.

mempoolctl serve counted them one by one, chunks times holders, and told of no segment what it
is; then it rested, many times that long.
"""
import struct

import raw

SEGMENTS = """
  - name: NAMEa
    max_clients: 32000
    pools: [ { chunk_size: 8, chunk_count: 65536 } ]
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
LOOK_SECONDS = 10


def share_all(segment):
    pool, managers = segment.pool(0), segment.pool(1)
    shared = struct.pack("=QQ", raw.word(1, raw.SHARED), 0)
    segment.memory[pool.entry(0):pool.entry(pool.n)] = shared * pool.n
    sharers = managers.chunk(0) + 8
    segment.memory[sharers:managers.chunk(1)] = b"\xff" * (managers.chunk(1) - sharers)


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        raw.serve(daemon, lambda: share_all(segment), LOOK_SECONDS)


raw.main(attack)
