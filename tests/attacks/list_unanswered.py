# SPDX-License-Identifier: MIT
"""The header of status_hangs.py, at the next start: the daemon swept all that it tells of, in
slices that counted words and not time, and answered nobody in between.

Beside it is a daemon that nobody attacks, which is asked at the same time.
"""
import os
import time

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
ASK_SECONDS, FEWER = 3, 10


def ask_again_and_again(daemon, pipe):
    """Tell how often it answers."""
    begin, n = time.monotonic(), 0
    while time.monotonic() - begin < ASK_SECONDS:
        daemon.list()
        n += 1
    os.write(pipe, str(n).encode())


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon, raw.Daemon(mempoold, SEGMENTS) as control:
        for each in (control, daemon):
            each.start_or_fail()
            each.attach("a")[0].close()
        raw.Million(daemon).forge()
        control.kill()
        control.start_or_fail()
        daemon.kill()
        if not daemon.start():
            raw.succeeded("the daemon does not start any more")
        pipes = []
        for each in (daemon, control):
            reader, writer = os.pipe()
            raw.in_child(ask_again_and_again, each, writer)
            os.close(writer)
            pipes.append(reader)
        counts = [int(os.read(pipe, 20)) for pipe in pipes]
        told = f"{counts[0]} answers in {ASK_SECONDS} s, and {counts[1]} of the one beside it"
        if counts[0] * FEWER < counts[1]:
            raw.succeeded(told)
        raw.held_off(told)


raw.main(attack)
