# SPDX-License-Identifier: MIT
"""The socket's file is removed under the daemon: nobody could reach it until a restart."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        os.unlink(daemon.socket_path)
        if not raw.attach_soon(daemon, "a"):
            raw.succeeded("there is no socket any more")
        raw.held_off("the daemon listens again")


raw.main(attack)
