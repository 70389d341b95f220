# SPDX-License-Identifier: MIT
"""Clients ask for the wake descriptor of another one, again and again, and never read an answer.
The kernel counts descriptors that were passed and not read, for the daemon's user in all; when they
were as many as it may open (RLIMIT_NOFILE), nobody got any more, and was dropped for it.

Who asks may also have its connection ended by the daemon, and keep its own end: what is in there
counts on.

Where the limits let in so many that all of them together have as much, nobody is passed anything
until they have read. But the others are told to ask again, and keep their connections.
"""
import os
import resource
import select
import shutil
import socket
import struct

import raw

SEGMENTS = ("  - { name: NAMEa, allow: anybody, "
            "pools: [ { chunk_size: 64, chunk_count: 100 } ] }\n")
FEW_CLIENTS = "limits: { clients: 14, clients_per_user: 12 }\n"
MANY_CLIENTS = "limits: { clients: 60, clients_per_user: 60 }\n"
WAKE_FD, PEER_FD, PEER = 0x04, 0x05, 0x85
DAEMON_UID, OTHER_UID, MAX_FILES = 65533, 65532, 300
QUESTIONS = 200


def as_another_user():
    """Whom the limit holds."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    os.setgroups([])
    os.setresgid(DAEMON_UID, DAEMON_UID, DAEMON_UID)
    os.setresuid(DAEMON_UID, DAEMON_UID, DAEMON_UID)


def poll(connection):
    """As who waits for news: by a descriptor of its own, or one that the daemon makes."""
    if connection.version() == 1:
        reader, writer = os.pipe()
        connection.pass_fds(connection.message(WAKE_FD), [writer])
        os.close(writer)
    else:
        connection.send(WAKE_FD, b"")


def ask(connection, welcome):
    connection.send(PEER_FD, struct.pack("=II", welcome.holder, welcome.incarnation))


TOLD, LATER, DROPPED = range(3)


def what_is_told(connection, welcome):
    """Whether an honest client gets what it asks for, with the answer."""
    try:
        ask(connection, welcome)
        while raw.soon(lambda: select.select([connection.socket], [], [], 0)[0]):
            message, fds, _, _ = socket.recv_fds(connection.socket, raw.ROOM, 4)
            for fd in fds:
                os.close(fd)
            if not message:
                return DROPPED
            if raw.MESSAGE.unpack_from(message)[2] == PEER:
                return TOLD if fds else LATER
    except ConnectionError:
        pass
    return DROPPED


def ask_often(asker, waited_for):
    asker.socket.setblocking(False)
    try:
        for _ in range(QUESTIONS):
            ask(asker, waited_for)
    except (BlockingIOError, ConnectionError):
        pass
    asker.socket.setblocking(True)


def stay(asker):
    """Until it has answered all, be it that more may be unread than there is room for."""
    ends = select.poll()
    ends.register(asker.socket, select.POLLOUT)
    raw.soon(lambda: ends.poll(0))


def be_ended(asker):
    """By its own word, so that it is no client any more. What was passed before is unread."""
    stay(asker)
    try:
        asker.send(raw.BYE, struct.pack("=Q", 0))
    except ConnectionError:
        pass
    ends = select.poll()
    ends.register(asker.socket, select.POLLRDHUP)
    raw.soon(lambda: ends.poll(0))


def is_told_at_last(connection, welcome):
    return raw.soon(lambda: what_is_told(connection, welcome) == TOLD)


def ask_and(end, n_askers, daemon, waited_for):
    """Return: the askers. As many as are let in."""
    askers = []
    for i in range(n_askers):
        try:
            asker, _ = daemon.attach("a", nonce=10 + i)
        except (raw.Refused, raw.Silent, ConnectionError):
            break
        askers.append(asker)
        ask_often(asker, waited_for)
        end(asker)
    return askers


def say_hello_again(_, n_askers, daemon, waited_for):
    """One holder, who is welcome on each new connection, and reads none of it."""
    askers = []
    for _ in range(n_askers):
        asker = daemon.connect()
        askers.append(asker)
        try:
            asker.send(raw.HELLO, asker.hello_body(daemon.name + "a", nonce=10))
        except ConnectionError:
            break
        stay(asker)
    return askers


def attach(daemon):
    daemon.attach("a", nonce=3)


def is_other_user_let_in(daemon):
    """The attacker's own user is refused until it has read."""
    return raw.wait_for(raw.in_child(attach, daemon, uid=OTHER_UID))


def try_one(mempoold, limits, end, n_askers, tries=ask_and):
    """Return: whether somebody else is told nothing, or for good where there are so many."""
    with raw.Daemon(mempoold, SEGMENTS, limits) as daemon:
        os.chown(daemon.folder, DAEMON_UID, DAEMON_UID)
        # The other user may not reach it where it was built, as below /root.
        daemon.path = shutil.copy(mempoold, daemon.folder)
        if not daemon.start(as_another_user):
            raise RuntimeError("the daemon does not start:\n" + daemon.log())
        waiter, waited_for = daemon.attach("a", nonce=1)
        poll(waiter)
        honest, _ = daemon.attach("a", nonce=2)
        if not is_told_at_last(honest, waited_for):
            raise RuntimeError("nobody is told, without any attack")
        askers = tries(end, n_askers, daemon, waited_for)
        told = what_is_told(honest, waited_for)
        is_hurt = told != TOLD or (tries is say_hello_again and not is_other_user_let_in(daemon))
        if told == LATER and limits is MANY_CLIENTS:
            for asker in askers:
                asker.close()
            is_hurt = not is_told_at_last(honest, waited_for)
        for connection in askers + [waiter, honest]:
            connection.close()
        return is_hurt


def attack(mempoold):
    raw.needs_root()
    ways = {
        "unread answers": (FEW_CLIENTS, stay, 9),
        "ends that are kept": (FEW_CLIENTS, be_ended, 100),
        "more askers than there may be descriptors": (MANY_CLIENTS, stay, 50),
        "hellos that are said again": (MANY_CLIENTS, None, 100, say_hello_again),
    }
    successes = [name for name, way in ways.items() if try_one(mempoold, *way)]
    if successes:
        raw.succeeded("another client gets no wake descriptor any more: " + ", ".join(successes))
    raw.held_off("another client gets what it asks for")


raw.main(attack)
