# SPDX-License-Identifier: MIT
"""The object loses its name under the daemon (RemoveIPC, a cleaner): nobody could attach."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        os.unlink("/dev/shm" + daemon.current("a").shm_name)
        _, welcome = daemon.attach("a")
        if not os.path.exists("/dev/shm" + welcome.place.shm_name):
            raw.succeeded("a new client is told a name that is not there")
        raw.held_off("a new client gets an object that is there")


raw.main(attack)
