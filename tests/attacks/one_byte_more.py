# SPDX-License-Identifier: MIT
"""A member enlarges its object by one byte: to each new client it was not what it was told."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        path = "/dev/shm" + welcome.place.shm_name
        os.truncate(path, welcome.place.size + 1)
        _, newer = daemon.attach("a", nonce=2)
        if os.stat("/dev/shm" + newer.place.shm_name).st_size != newer.place.size:
            raw.succeeded("new clients find an object of another size than they are told")
        raw.held_off("a new client finds what it is told")


raw.main(attack)
