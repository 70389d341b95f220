# SPDX-License-Identifier: MIT
"""The daemon starts again in another time namespace, where all start times are others.

It took living clients for dead, and freed what they use.
"""
import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
CLONE_NEWTIME = 0x80
CHUNK = 7
MOMENT = 2


def move_boot():
    with open("/proc/self/timens_offsets", "w", encoding="ascii") as offsets:
        offsets.write("boottime 100000 0\n")


def start_there(daemon, shm_name, owned):
    """Return: what became of the living client's chunk."""
    segment = raw.Object(shm_name)
    if not daemon.start():
        raise RuntimeError("the daemon does not start:\n" + daemon.log())
    if daemon.current("a").shm_name != shm_name:
        return "replaced"
    freed = raw.soon(lambda: segment.pool(0).word(CHUNK) != owned, MOMENT)
    daemon.kill()
    return "freed" if freed else "held"


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        _, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        owned = segment.pool(0).claim(CHUNK, welcome.holder)
        daemon.kill()
        state = raw.in_namespace(CLONE_NEWTIME, move_boot, start_there, daemon,
                                 welcome.place.shm_name, owned)
        if state == "replaced":
            raw.succeeded("the segment of a living client was not adopted")
        if state == "freed":
            raw.succeeded("the chunk of a living client was freed")
        raw.held_off("the living client has its chunk")


raw.main(attack)
