# SPDX-License-Identifier: MIT
"""library.py - the client library of the mempoold under attack: its victims, and an attacker
who uses it up to the moment of the attack

It is called by its installed interface alone, which versions share. A build with a sanitizer
cannot be loaded into an interpreter that has none.
"""
import array
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

import raw

WAKE_FD = 0x04
N_SENDS = 50


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("socket_path", ctypes.c_char_p),
                ("segment", ctypes.c_char_p), ("name", ctypes.c_char_p),
                ("timeout_ns", ctypes.c_int64), ("flags", ctypes.c_uint64)]


def path_of(mempoold):
    """That of the same build, or beside it."""
    folder = os.path.dirname(os.path.dirname(mempoold))
    for path in ("client", "lib", f"lib/{os.uname().machine}-linux-gnu"):
        path = os.path.join(folder, path, "libmempool-client.so.0")
        if os.access(path, os.R_OK):
            return path
    raise RuntimeError(f"there is no library beside {mempoold}")


class Client:
    """Of the first segment of a daemon, with its queue "work"."""

    def __init__(self, daemon):
        self.library = ctypes.CDLL(path_of(daemon.path))
        self.library.mempool_alloc.restype = ctypes.c_void_p
        self.client = ctypes.c_void_p()
        self.queue = ctypes.c_void_p()
        self.daemon = daemon
        options = Options(ctypes.sizeof(Options), daemon.socket_path.encode(), None, b"attack",
                          0, 0)
        self.check(self.library.mempool_client_open(ctypes.byref(options),
                                                    ctypes.byref(self.client)))
        self.check(self.library.mempool_queue_open(self.client, b"work",
                                                   ctypes.byref(self.queue)))

    @staticmethod
    def check(result):
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def poll(self):
        self.check(self.library.mempool_client_fd(self.client))

    def receive_all(self):
        """Until there is none: from then on it waits, for its descriptor to be readable."""
        chunk = ctypes.c_void_p()
        while self.library.mempool_queue_receive(self.queue, ctypes.byref(chunk), None,
                                                 ctypes.c_int64(0)) == 0:
            self.library.mempool_free(self.client, chunk)

    def send(self):
        chunk = ctypes.c_void_p(self.library.mempool_alloc(self.client, ctypes.c_size_t(8)))
        self.check(self.library.mempool_queue_send(self.queue, chunk, ctypes.c_size_t(8),
                                                   ctypes.c_int64(0)))

    def connection(self):
        """The library's connection to the daemon."""
        for name in os.listdir("/proc/self/fd"):
            try:
                connection = socket.socket(fileno=os.dup(int(name)))
            except OSError:
                continue
            try:
                # By the name that it was bound to, beside its own.
                if str(connection.getpeername()).startswith(self.daemon.folder):
                    return connection
            except OSError:
                pass
            connection.close()
        raise RuntimeError("the library has no connection")


def poll_with(daemon, version, evil_fd, pipe):
    """Wait for messages with another wake descriptor than the library's."""
    client = Client(daemon)
    client.poll()
    client.receive_all()
    message = raw.MESSAGE.pack(raw.MAGIC, version, WAKE_FD, raw.MESSAGE.size, 0)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [evil_fd]))
    try:
        client.connection().sendmsg([message], [rights])
    except OSError:
        pass            # the daemon takes none
    os.write(pipe, b"x")
    while True:
        client.receive_all()
        time.sleep(0.005)


def send_some(daemon):
    """The victim: whoever it wakes, and by what, is its library's business."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    client = Client(daemon)
    for _ in range(N_SENDS):
        client.send()
        time.sleep(0.02)


def attack_senders(mempoold, segments, evil_fd, what):
    """What becomes of one who sends to the queue on which the attacker waits?"""
    if subprocess.run([sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])",
                       path_of(mempoold)], stderr=subprocess.DEVNULL, check=False).returncode:
        raw.not_here("the library cannot be loaded here, as one with a sanitizer")
    with raw.Daemon(mempoold, segments) as daemon:
        daemon.start_or_fail()
        with daemon.connect() as connection:
            version = connection.version()
        ready, pipe = os.pipe()
        attacker = raw.in_child(poll_with, daemon, version, evil_fd, pipe)
        os.close(pipe)
        children = [attacker]
        try:
            if os.read(ready, 1) != b"x":
                raise RuntimeError("the attacker has ended before its attack")
            victim = raw.in_child(send_some, daemon)
            children.append(victim)
            ended = []
            if not raw.soon(lambda: ended.append(os.waitpid(victim, os.WNOHANG)) or
                            ended[-1][0] == victim):
                raw.succeeded(f"a sender hangs in the library: {what}")
            children.remove(victim)
            status = os.waitstatus_to_exitcode(ended[-1][1])
            if status < 0:
                raw.succeeded(f"a sender was killed by {signal.Signals(-status).name}: {what}")
            if status > 0:
                raise RuntimeError("the victim has failed")
            raw.held_off("the sender goes on")
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
