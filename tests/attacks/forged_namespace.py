# SPDX-License-Identifier: MIT
"""A member forges the pid namespace in the header: --remove left the object for good."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
NAMESPACE_OFFSET = 64


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        client, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        segment.put("Q", NAMESPACE_OFFSET, segment.get("Q", NAMESPACE_OFFSET) + 1)
        client.bye()
        daemon.kill()
        daemon.run("--remove")
        if os.path.exists(segment.path):
            raw.succeeded("the object cannot be removed")
        raw.held_off("the object is removed")


raw.main(attack)
