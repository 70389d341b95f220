# SPDX-License-Identifier: MIT
"""Who may connect passes the daemon TCP sockets that linger (SO_LINGER), with data in them that
nobody reads. Whoever closes such a socket last waits for as long as its owner has said: the
daemon did, be it that it took the descriptor or that the kernel dropped it in its name, and
answered nobody meanwhile.

The owner has to close its own descriptor before the daemon does. So that this does not depend on
luck, the daemon is stopped meanwhile, as if it had much to do.
"""
import functools
import os
import resource
import signal
import socket
import struct
import time

import raw

SEGMENTS = "  - { name: NAMEa, pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n"
LINGER_SECONDS, ANSWER_SECONDS = 60, 5
FEW_FILES = 64
MOST = 253                      # descriptors in one packet, as the kernel has it


class Lingering:
    """A socket that is long to close: what it has sent is never read."""

    def __init__(self):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.sender = socket.create_connection(listener.getsockname())
            self.receiver = listener.accept()[0]
        # More than the other end has room for.
        self.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.sender.setblocking(False)
        self.sender.send(bytes(1 << 16))
        self.linger(LINGER_SECONDS)

    def linger(self, seconds):
        self.sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", seconds > 0, seconds))

    def leave(self, is_passed):
        """Close it, be it to whom it was passed."""
        if not is_passed:
            self.linger(0)
        self.sender.close()


def pass_one(connection, message, n=1):
    lingering = [Lingering() for _ in range(n)]
    is_passed = connection.pass_fds(message, [each.sender.fileno() for each in lingering])
    for each in lingering:
        each.leave(is_passed)
    return [each.receiver for each in lingering]


def before_a_hello(connection):
    return [pass_one(connection, b"")]


def in_a_hello(connection):
    return [pass_one(connection, connection.message(raw.HELLO, connection.hello_body()))]


def in_a_list(connection):
    return [pass_one(connection, connection.message(raw.LIST))]


def behind_a_good_message(connection):
    connection.send(raw.LIST, b"")
    return [pass_one(connection, connection.message(raw.LIST))]


def behind_a_bad_message(connection):
    connection.socket.send(b"junk")
    return [pass_one(connection, connection.message(raw.LIST))]


def behind_messages_of_no_bytes(connection):
    for _ in range(3):
        connection.socket.send(b"")
    receivers = pass_one(connection, b"")
    connection.close()
    return receivers


def many_in_one_message(connection):
    return [pass_one(connection, connection.message(raw.LIST), MOST)]


def in_many_connections(connection):
    others = [connection.daemon.connect() for _ in range(60)]
    return others + [pass_one(other, other.message(raw.LIST)) for other in others]


def to_one_that_stops(connection):
    """Behind more than it can accept, see few_files()."""
    others = [connection.daemon.connect() for _ in range(3 * FEW_FILES)]
    receivers = [pass_one(other, b"") for other in others[-5:]]
    os.kill(connection.daemon.process.pid, signal.SIGTERM)
    return others + receivers


WAYS = (before_a_hello, in_a_hello, in_a_list, behind_a_good_message, behind_a_bad_message,
        behind_messages_of_no_bytes, many_in_one_message, in_many_connections)


def few_files(before_exec):
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    if before_exec:
        before_exec()


def is_answered(daemon):
    """Again and again: who comes before an attack may be answered before it, too."""
    try:
        for _ in range(5):
            daemon.list(ANSWER_SECONDS)
            time.sleep(0.1)
    except raw.Silent:
        return False
    return True


def try_one(mempoold, way, before_exec):
    """Return: whether the daemon was held up."""
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        is_stop = way is to_one_that_stops
        if not daemon.start(functools.partial(few_files, before_exec) if is_stop
                            else before_exec):
            raise RuntimeError("the daemon does not start")
        with daemon.connect() as connection:
            connection.version()
            daemon.pause()
            kept = way(connection)
            daemon.go_on()
            if is_stop:
                return not raw.soon(lambda: not daemon.is_alive(), ANSWER_SECONDS)
            is_held_up = not is_answered(daemon)
            del kept
        return is_held_up


def attack(mempoold):
    successes = []
    for before_exec, kernel in raw.kernels():
        for way in WAYS + (to_one_that_stops,):
            if try_one(mempoold, way, before_exec):
                successes.append(f"{way.__name__} ({kernel})")
    if successes:
        raw.succeeded("nobody is answered: " + ", ".join(successes).replace("_", " "))
    raw.held_off("the daemon answers all the time")


raw.main(attack)
