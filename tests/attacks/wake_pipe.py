# SPDX-License-Identifier: MIT
"""A member passes the write end of a pipe without a reader as its wake descriptor: whoever sent
to a queue on which it waited died of SIGPIPE, inside the library."""
import os

import library
import raw

SEGMENTS = """  - name: NAMEa
    pools: [ { chunk_size: 64, chunk_count: 1000 } ]
    queues: [ { name: work, capacity: 256 } ]
"""


def attack(mempoold):
    reader, writer = os.pipe()
    os.close(reader)
    library.attack_senders(mempoold, SEGMENTS, writer, "a pipe without a reader was written to")


raw.main(attack)
