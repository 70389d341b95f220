# SPDX-License-Identifier: MIT
"""The names of a DRAIN came into the log as they were: with lines of somebody's choice."""
import struct

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
NAME = b"\n\x1b[2Jmempoold: all is well"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        for segment, topic in ((NAME, b"x"), (b"", NAME), (NAME, NAME)):
            with daemon.connect() as connection:
                connection.send(raw.DRAIN, struct.pack("=32s32s", segment, topic))
                try:
                    connection.receive()
                except raw.Silent:
                    pass
        # What a thread writes may be a moment late: a start of another one comes behind it.
        daemon.process.terminate()
        daemon.process.wait()
        log = daemon.log()
        if "\x1b" in log or "\nmempoold: all is well" in log:
            raw.succeeded("the log has a line of the attacker's")
        raw.held_off("no name of a DRAIN is in the log as it was")


raw.main(attack)
