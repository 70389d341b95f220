# SPDX-License-Identifier: MIT
"""A member enlarges its object to 1 PiB: nobody could map it, and no segment was served."""
import os

import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        os.truncate("/dev/shm" + welcome.place.shm_name, 1 << 50)
        daemon.kill()
        if not daemon.start():
            raw.succeeded("the daemon does not start any more")
        _, again = daemon.attach("a")
        if again != welcome:
            raw.succeeded("its segment was replaced")
        daemon.attach("b")
        raw.held_off("the next daemon has the same segment, and the one beside it")


raw.main(attack)
