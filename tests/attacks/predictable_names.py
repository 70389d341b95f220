# SPDX-License-Identifier: MIT
"""A user without any right makes files with the names that the segment's next generations
would have: the 64 numbers that were tried, each next to the last one at first, then in steps
that double. With what ls(1) tells of the last name, where it has parts that cannot be guessed.
"""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: COUNT } ] }\n"
TRIES, NEIGHBOURS = 64, 16


def numbers(first):
    number, step = first, 1
    for i in range(TRIES):
        yield number
        number += step
        if i >= NEIGHBOURS:
            step *= 2


def touch_next(path):
    name, generation, *rest = path.split(".")
    for number in numbers(int(generation) + 1):
        guess = ".".join([name, str(number), *rest])
        os.close(os.open(guess, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def attack(mempoold):
    raw.needs_root()
    with raw.Daemon(mempoold, SEGMENTS.replace("COUNT", "100")) as daemon:
        daemon.start_or_fail()
        path = "/dev/shm" + daemon.current("a").shm_name
        assert raw.wait_for(raw.in_child(touch_next, path, uid=raw.OTHER_UID))
        daemon.configure(SEGMENTS.replace("COUNT", "200"))
        answer = daemon.reload()
        if answer.error != 0:
            raw.succeeded(f"a reload with a new layout fails: {answer.text}")
        daemon.kill()
        daemon.configure(SEGMENTS.replace("COUNT", "300"))
        if not daemon.start():
            raw.succeeded("the daemon does not start")
        daemon.attach("a")
        raw.held_off("reload and start make new generations")


raw.main(attack)
