#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""http-clients.py PORT PID CASE - clients of mempoolctl serve, good and bad; 0 if it coped

Plain sockets: what is sent here no library would send.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from control import Patience  # noqa: E402

PORT, PID = int(sys.argv[1]), sys.argv[2]
CONNECTIONS = 64        # that are kept, as in ctl/serve.c
DEADLINE = 10           # seconds that a connection has, as in ctl/serve.c


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=600)


def read_all(client):
    data = b""
    try:
        while chunk := client.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def ask(text):
    """Status, headers and body of the answer to a request; status 0: none came."""
    with connect() as client:
        client.sendall(text.encode())
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    status = int(lines[0].split()[1]) if lines[0] else 0
    return status, dict(line.lower().split(": ", 1) for line in lines[1:]), body


def get(path, host="localhost", method="GET"):
    return ask(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")


def good():
    """It still answers, at once."""
    with Patience(0) as patience:
        status, _, body = get("/metrics")
        took = patience.seconds()
    assert status == 200 and b"\nmempool_up " in body, status
    assert took < 2, f"after {took} s"


def answers():
    for path, kind in (("/", "text/html"), ("/status.json", "application/json"),
                       ("/metrics", "text/plain; version=0.0.4")):
        for question in (path, path + "?a=b&c"):
            status, headers, body = get(question)
            assert status == 200 and headers["content-type"].startswith(kind), question
            assert int(headers["content-length"]) == len(body) > 100
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["connection"] == "close"
        status, headers, body = get(path, method="HEAD")
        assert status == 200 and body == b"" and headers["content-type"].startswith(kind)
        assert int(headers["content-length"]) > 100
    policy = get("/")[1]["content-security-policy"]
    assert "unsafe" not in policy and "http" not in policy, policy
    for path in ("/x", "//", "/metrics/", "/../etc/passwd", "/%2e%2e/etc/passwd", "/status.json%00",
                 "http://localhost/x", "*"):
        status = get(path)[0]
        assert status in (400, 404, 421), (path, status)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        for path in ("/", "/metrics", "/x"):
            status, headers, _ = get(path, method=method)
            assert (status, headers.get("allow")) == (405, "get, head"), (method, status, headers)
    assert get("*", method="OPTIONS")[0] == 405
    with Patience(0) as patience:
        status, headers, _ = get("localhost:80", method="CONNECT")
        assert patience.seconds() < DEADLINE - 1        # its end was not that of a tunnel
    assert (status, headers.get("allow")) == (405, "get, head"), (status, headers)
    for method in ("BREW", "PROPFIND", "get"):
        status = get("/metrics", method=method)[0]
        assert status == 501, (method, status)


def hosts():
    """What a page of another site would send, once its name leads here, is refused."""
    for host in ("localhost", "localhost:80", "127.0.0.1", f"127.0.0.1:{PORT}", "[::1]:80"):
        assert get("/status.json", host)[0] == 200, host
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io"):
        assert get("/status.json", host)[0] == 421, host
    assert get("http://evil.example/status.json")[0] == 421
    assert ask("GET /metrics HTTP/1.0\r\n\r\n")[0] == 200


def bodies():
    status = ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")[0]
    assert status in (0, 400, 405, 413, 501), status
    for head in ("Content-Length: 99999999999999999999", "Content-Length: -1",
                 "Content-Length: 10000000000", "Transfer-Encoding: chunked\r\nContent-Length: 3"):
        ask(f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\nabc")
    with connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                client.sendall(b"fffff\r\n" + b"x" * 0xfffff + b"\r\n")
        except OSError:
            pass                # the sooner the better
    good()


def headers():
    for text in ("GET /" + "a" * 100000 + " HTTP/1.1\r\n\r\n",
                 "GET / HTTP/1.1\r\n" + "X: y\r\n" * 100000 + "\r\n",
                 "GET / HTTP/1.1\r\nX: " + "y" * 100000 + "\r\n\r\n"):
        try:
            status = ask(text)[0]
        except OSError:
            status = 0
        assert status in (0, 400, 413), status
    for junk in (b"\x00" * 100, b"\r\n" * 500, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
                 b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n: \r\n \r\n\r\n", b"\xff" * 5000):
        with connect() as client:
            client.sendall(junk)
            client.shutdown(socket.SHUT_WR)
            read_all(client)
    good()


def crowd():
    """Hundreds that say nothing, and one that does."""
    crowd = []
    for _ in range(300):
        crowd.append(connect())
        if len(crowd) % 50 == 0:
            good()
    # A connection that has ended keeps its descriptor until the next look, a second later.
    with Patience(1) as patience:
        while (n_fds := len(os.listdir(f"/proc/{PID}/fd"))) >= CONNECTIONS + 20:
            assert patience.seconds() < 10, n_fds
            time.sleep(0.1)
    for client in crowd:
        client.close()
    good()


def pipeline():
    """One connection, one answer."""
    with connect() as client:
        try:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        except OSError:
            pass
        assert read_all(client).count(b"HTTP/1.1 200 OK") <= 1
    good()


def deaf():
    """Those that ask for a lot and read nothing."""
    clients = [connect() for _ in range(40)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    good()
    for client in clients:
        client.close()


def drip():
    """A byte at a time never comes to an end, but its deadline does."""
    begin = time.monotonic()
    with connect() as client, Patience(DEADLINE) as patience:
        try:
            for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.2)
                if patience.seconds() > 2 * DEADLINE:
                    raise AssertionError("still open")
        except OSError:
            pass
    took = time.monotonic() - begin
    assert took > DEADLINE - 1, f"after {took} s already"
    good()


def flood():
    """As many requests as one client can make."""
    for _ in range(200):
        good()


globals()[sys.argv[3]]()
