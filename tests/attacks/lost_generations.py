# SPDX-License-Identifier: MIT
"""Truncate the object by a page, come back, and do it again.

What was lost each time was kept as long as one client stayed in it: whole generations of
memory on the daemon's account, as many as somebody likes.
"""
import os

import raw

SEGMENTS = """
  - { name: NAMEa, prefault: true, pools: [ { chunk_size: 4KiB, chunk_count: 1000 } ] }
"""
ROUNDS = 5


def attack(mempoold):
    lost, clients = [], []
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        for i in range(ROUNDS):
            client, welcome = raw.attach_soon(daemon, "a", nonce=i + 1) or (None, None)
            if not client:
                raw.succeeded("no new client is served any more")
            clients.append(client)
            lost.append(os.open("/dev/shm" + welcome.place.shm_name, os.O_RDWR))
            os.ftruncate(lost[-1], welcome.place.size - raw.PAGE)
        if not raw.attach_soon(daemon, "a", nonce=100):
            raw.succeeded("no new client is served any more")

        def taken():
            return sum(os.fstat(fd).st_blocks * 512 for fd in lost)

        # One at most is kept for those who are in it.
        if not raw.soon(lambda: taken() < 2 * welcome.place.size):
            raw.succeeded(f"{ROUNDS} lost generations still have {taken() >> 20} MiB")
        raw.held_off(f"{ROUNDS} lost generations have {taken() >> 20} MiB")


raw.main(attack)
