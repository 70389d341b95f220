# SPDX-License-Identifier: MIT
"""RLIMIT_FSIZE is smaller than a segment: killed without a word, and half an object stayed."""
import os
import resource
import signal

import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 4KiB, chunk_count: 10000 } ] }
"""
LIMIT = 1 << 20


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        started = daemon.start(before_exec=limit_files)
        if not started and daemon.process.poll() == -signal.SIGXFSZ:
            raw.succeeded("the daemon is killed by SIGXFSZ")
        objects = [entry for entry in os.listdir("/dev/shm")
                   if entry.startswith(f"mempool-{daemon.name}a.")]
        if objects:
            raw.succeeded(f"half an object is left: {objects[0]}")
        raw.held_off("it goes on without the segment" if started else "it says so, and ends")


raw.main(attack)
