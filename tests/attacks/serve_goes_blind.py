# SPDX-License-Identifier: MIT
"""The header of status_hangs.py, and mempoolctl serve: it showed no segment what it is now."""
import os
import re
import subprocess
import urllib.request

import raw

SEGMENTS = """
  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
  - { name: NAMEb, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
MAJOR_OFFSET = 8
LOOK_SECONDS = 10


def start_server(daemon, mempoolctl):
    """Return: the process, and its address."""
    log_path = os.path.join(daemon.folder, "serve.log")
    with open(log_path, "w", encoding="utf-8") as log:
        server = subprocess.Popen([mempoolctl, "serve", "--listen", "127.0.0.1:0"], stderr=log,
                                  preexec_fn=raw.die_with_parent,
                                  env={**os.environ, "MEMPOOL_SOCKET": daemon.socket_path})
    found = []

    def is_there():
        with open(log_path, encoding="utf-8") as log:
            found[:] = re.findall(r"http://127\.0\.0\.1:\d+", log.read())
        return found

    if not raw.soon(is_there):
        raise RuntimeError("mempoolctl serve does not start")
    return server, found[0]


def used(address, segment):
    """Chunks of it in use, as the metrics have it."""
    with urllib.request.urlopen(address + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines()
             if line.startswith("mempool_pool_used_chunks{") and f'"{segment}"' in line]
    return int(lines[0].split()[-1]) if lines else None


def attack(mempoold):
    mempoolctl = raw.mempoolctl_of(mempoold)
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        server, address = start_server(daemon, mempoolctl)
        try:
            _, welcome = daemon.attach("a")
            _, beside = daemon.attach("b", nonce=2)
            pool = raw.Object(beside.place.shm_name).pool(0)
            pool.claim(0, beside.holder)
            if not raw.soon(lambda: used(address, daemon.name + "b") == 1):
                raise RuntimeError("the metrics do not follow, without any attack")
            segment = raw.Object(welcome.place.shm_name)
            raw.Forged(segment.get("H", MAJOR_OFFSET), 1 << 20, 32704).write(segment)
            # Twice: a look that had begun before tells nothing.
            for i in (1, 2):
                pool.claim(i, beside.holder)
                if not raw.soon(lambda i=i: used(address, daemon.name + "b") == i + 1,
                                LOOK_SECONDS):
                    raw.succeeded("the metrics of the segment beside it stand still")
            raw.held_off("the metrics of the segment beside it go on")
        finally:
            server.kill()
            server.wait()


raw.main(attack)
