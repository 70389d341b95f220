# SPDX-License-Identifier: MIT
"""A member passes an eventfd that is full and blocks as its wake descriptor: whoever sent to a
queue on which it waited hung for ever, inside the library and with a lock held."""
import os

import library
import raw

SEGMENTS = """  - name: NAMEa
    pools: [ { chunk_size: 64, chunk_count: 1000 } ]
    queues: [ { name: work, capacity: 256 } ]
"""


def attack(mempoold):
    full = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(full, 0xfffffffffffffffe)
    library.attack_senders(mempoold, SEGMENTS, full, "an eventfd that is full was written to")


raw.main(attack)
