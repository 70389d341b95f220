#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-serve_log.py - mempoolctl serve answers, and ends, while nobody reads its messages"""
import fcntl
import os
import signal
import socket
import subprocess
import urllib.request

NOTHING = b"\n" * 4096


def fill(pipe):
    """Until nothing fits; who shares the open file waits, as before."""
    size = len(NOTHING)
    os.set_blocking(pipe, False)
    while size:
        try:
            os.write(pipe, NOTHING[:size])
        except BlockingIOError:
            size //= 2
    os.set_blocking(pipe, True)


def start(listener, stderr):
    """A server with that socket, as a service manager passes it."""
    def place():
        os.dup2(listener.fileno(), 3)

    return subprocess.Popen(
        ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$MEMPOOLCTL" serve --socket /nonexistent'],
        preexec_fn=place, pass_fds=[3], stderr=stderr)


def ask(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return answer.read()


with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
    # Out of the way of the descriptor that it is to have in the server.
    listener_high = socket.socket(fileno=fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, 100))
    reader, writer = os.pipe()
    fill(writer)
    server = start(listener_high, writer)
    try:
        for _ in range(3):
            assert b"mempool_up 0" in ask(port)
        print("ok - it answers while its messages are not read")
        with os.fdopen(reader, "r", encoding="utf-8") as messages:
            while "no mempoold at /nonexistent" not in messages.readline():
                pass
            print("ok - they are there when somebody reads them")
            fill(writer)
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
            print("ok - it ends while they are not read")
    finally:
        server.kill()
        server.wait()
