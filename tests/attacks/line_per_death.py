# SPDX-License-Identifier: MIT
"""Attach and die, again and again: each death was a line in the journal, without a limit."""
import os

import raw

SEGMENTS = """
  - { name: NAMEa, max_clients: 62, pools: [ { chunk_size: 64, chunk_count: 100 } ] }
"""
DEATHS = 1500


def attach_and_die(daemon, nonce):
    daemon.attach("a", nonce)
    os._exit(0)


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        daemon.list()
        for i in range(DEATHS):
            assert raw.wait_for(raw.in_child(attach_and_die, daemon, i + 1))
        daemon.process.terminate()
        daemon.process.wait()
        lines = [line for line in daemon.log().splitlines() if " died" in line]
        if len(lines) >= DEATHS:
            raw.succeeded(f"{DEATHS} deaths, {len(lines)} lines")
        raw.held_off(f"{DEATHS} deaths, {len(lines)} lines")


raw.main(attack)
