# SPDX-License-Identifier: MIT
"""A member makes a hard link to its object: it could neither be adopted nor be removed."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        client, welcome = daemon.attach("a")
        path = "/dev/shm" + welcome.place.shm_name
        os.link(path, path + "-link")
        daemon.kill()
        client.close()
        if not daemon.start():
            raw.succeeded("the daemon does not start any more")
        client, again = daemon.attach("a")
        if again.place.segment_id != welcome.place.segment_id:
            raw.succeeded("the segment was not adopted")
        client.bye()
        daemon.kill()
        daemon.run("--remove")
        if os.path.exists(path):
            raw.succeeded("the segment cannot be removed")
        raw.held_off("the segment is adopted, and removed")


raw.main(attack)
