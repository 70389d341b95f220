# SPDX-License-Identifier: MIT
"""The daemon starts again in a new pid namespace, which has the inode of the last one.

Inodes of namespaces are used again at once. By the inode alone it took pids of the old
namespace for pids of its own, and judged each holder by what it found under that number.
"""
import os

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
CLONE_NEWPID, CLONE_NEWNS = 0x20000000, 0x20000
CHUNK = 7
MOMENT = 2
TRIES = 500


def mount_proc():
    raw.own_mounts()
    if raw.LIBC.mount(b"proc", b"/proc", b"proc", 0, None) != 0:
        raise RuntimeError("cannot mount /proc")


def inode():
    mount_proc()
    return os.stat("/proc/self/ns/pid").st_ino


def start(daemon):
    if not daemon.start():
        raise RuntimeError("the daemon does not start:\n" + daemon.log())


def hold(daemon):
    """Hold a chunk; daemon and client end with the namespace."""
    number = inode()
    start(daemon)
    _, welcome = daemon.attach("a")
    raw.Object(welcome.place.shm_name).pool(0).claim(CHUNK, welcome.holder)
    return f"{number} {welcome.place.shm_name}"


def look(daemon, wanted, shm_name):
    """Nothing, where the namespace has another inode than that."""
    if inode() != wanted:
        return ""
    start(daemon)
    if daemon.current("a").shm_name != shm_name:
        return "replaced"
    pool = raw.Object(shm_name).pool(0)
    freed = raw.soon(lambda: pool.word(CHUNK) >> 30 & 3 == raw.FREE, MOMENT)
    return "freed" if freed else "held"


def run(function, *arguments):
    return raw.in_namespace(CLONE_NEWPID | CLONE_NEWNS, lambda: None, function, *arguments)


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        number, shm_name = run(hold, daemon).split()
        for _ in range(TRIES):
            state = run(look, daemon, int(number), shm_name)
            if state:
                break
        if not state:
            raw.not_here("the inode of the namespace is not used again")
        if state == "freed":
            raw.succeeded("a holder was found dead by a number of another namespace")
        raw.held_off("the holder is kept, since nobody can see whether it lives")


raw.main(attack)
