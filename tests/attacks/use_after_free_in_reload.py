# SPDX-License-Identifier: MIT
"""A segment that was removed comes back in a reload, and its last client leaves meanwhile.

The daemon of before freed what it has of the segment while its thread took memory for the new
one, and then went on with it. Freed memory is filled with junk here, so that what would happen
now and then happens each time.
"""
import time

import raw

BOTH = """
  - name: NAMEa
    prefault: true
    pools: [ { chunk_size: 64KiB, chunk_count: COUNT } ]
  - name: NAMEb
    pools: [ { chunk_size: 64, chunk_count: 10 } ]
"""
BESIDE = BOTH[BOTH.index("  - name: NAMEb"):]
JUNK = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"}
ROUNDS = 10


def bring_back(daemon, client, count):
    """Reload, and leave while the new segment is being made."""
    daemon.configure(BOTH.replace("COUNT", str(count)))
    with daemon.connect() as connection:
        connection.ask_for_reload()
        # So long that it is at work, and so short that it still is.
        time.sleep(0.02)
        client.bye()
        return connection.reloaded()


def attack(mempoold):
    count = 4000
    with raw.Daemon(mempoold, BOTH.replace("COUNT", "10"), environment=JUNK) as daemon:
        daemon.start_or_fail()
        for i in range(ROUNDS):
            client, _ = daemon.attach("a", nonce=i + 1)
            daemon.configure(BESIDE)
            daemon.reload()
            try:
                answer = bring_back(daemon, client, count + i)
                if answer.error == 0:
                    daemon.attach("a", nonce=100 + i)[0].bye()
                daemon.attach("b", nonce=100 + i)[0].bye()
            except (raw.Silent, ConnectionError, FileNotFoundError):
                if not raw.soon(lambda: not daemon.is_alive()):
                    raise
                raw.succeeded(f"the daemon ended with {daemon.process.returncode} in round {i + 1}")
        raw.held_off(f"{ROUNDS} reloads, each put in force")


raw.main(attack)
