# SPDX-License-Identifier: MIT
"""A user without any right makes the file that was the lock of a segment."""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"


def touch(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def attack(mempoold):
    raw.needs_root()
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        path = f"/dev/shm/mempool-{daemon.name}a.{os.geteuid()}.lock"
        assert raw.wait_for(raw.in_child(touch, path, uid=raw.OTHER_UID))
        if not daemon.start():
            raw.succeeded("the daemon does not start")
        daemon.attach("a")
        raw.held_off("the daemon starts")


raw.main(attack)
