# SPDX-License-Identifier: MIT
"""Who may connect passes the daemon a file of FUSE whose server never answers: the daemon closed
it and hung for ever, also when it was killed; and as it held its lock for ever, too, no other
daemon could take its place.
"""
import time

import fuse
import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
ANSWER_SECONDS, END_SECONDS = 5, 5


def in_a_hello(connection, files):
    files.pass_file(connection, connection.message(raw.HELLO, connection.hello_body()))


def behind_a_bad_message(connection, files):
    connection.socket.send(b"junk")
    files.pass_file(connection, connection.message(raw.LIST))


def in_many_connections(connection, files):
    for _ in range(20):
        with connection.daemon.connect() as other:
            files.pass_file(other, other.message(raw.LIST))


def before_a_kill(connection, files):
    in_a_hello(connection, files)


def before_a_kill_and_not_accepted(connection, files):
    in_many_connections(connection, files)


WAYS = (in_a_hello, behind_a_bad_message, in_many_connections)
# What is killed closes what it has not read, and may hang.
AT_A_KILL = (before_a_kill, before_a_kill_and_not_accepted)


def is_answered(daemon):
    try:
        for _ in range(3):
            daemon.list(ANSWER_SECONDS)
            time.sleep(0.1)
    except raw.Silent:
        return False
    return True


def harm(daemon, files, way):
    """Return: what harm was done, if any."""
    with daemon.connect() as connection:
        connection.version()
        daemon.pause()
        way(connection, files)
        if way not in AT_A_KILL:
            daemon.go_on()
            if not is_answered(daemon):
                return "nobody is answered"
        dead = daemon.process
        dead.kill()
        if way in AT_A_KILL:
            raw.soon(lambda: raw.is_exiting(dead.pid))
        elif not raw.soon(lambda: not daemon.is_alive(), END_SECONDS):
            return "the daemon cannot be killed"
        # One that has only begun to exit still holds its lock for a moment.
        if not raw.soon(daemon.start, END_SECONDS):
            return "no other daemon can take its place"
    return None


def attack(mempoold):
    harms = []
    for before_exec, kernel in raw.kernels():
        for way in WAYS + AT_A_KILL:
            with raw.Daemon(mempoold, SEGMENTS) as daemon:
                if not daemon.start(before_exec):
                    raise RuntimeError("the daemon does not start")
                with fuse.Fuse(daemon.folder) as files:
                    what = harm(daemon, files, way)
            if what:
                harms.append(f"{way.__name__}: {what} ({kernel})".replace("_", " "))
    if harms:
        raw.succeeded("; ".join(harms))
    raw.held_off("the daemon answers, can be killed, and another one takes its place")


raw.main(attack)
