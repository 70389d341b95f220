#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""python.py SEGMENT [--rounds N] - what a receive costs in Python, ours and with what Python has

Each of them receives an array of bytes and looks at 16 of them. Ours is a message of a queue,
as a numpy view of the segment. multiprocessing's is a slot of a SharedMemory, whose index comes through a
multiprocessing.Queue; it is copied, so that the slot can be used again. A Queue alone has the bytes pickled, and is
left out where they do not fit into its pipe. All messages wait when the receives begin, and one process sends and
receives, so nothing but the receive is measured. The rounds of all take turns, and the middle one counts.

SEGMENT has a queue "bench" for 16 messages, and 17 chunks of 2 MiB.
"""
import argparse
import multiprocessing
import statistics
import time
from multiprocessing import shared_memory

import mempool
import numpy

N = 16
SIZES = {"1 KiB": 1 << 10, "64 KiB": 1 << 16, "1080p, grey": 1920 * 1080}


class Ours:
    def __init__(self, segment, size):
        self.client = mempool.Client(segment)
        self.queue = self.client.queue("bench")
        self.size = size

    def send(self):
        for i in range(N):
            chunk = self.client.alloc(self.size)
            numpy.asarray(chunk)[:] = i
            self.queue.send(chunk)

    def receive(self):
        return int(numpy.asarray(self.queue.receive())[::self.size // 16].sum())

    def close(self):
        self.client.close()


class Slots:
    """A SharedMemory and a Queue."""

    def __init__(self, size):
        self.memory = shared_memory.SharedMemory(create=True, size=N * size)
        self.queue = multiprocessing.Queue()
        self.size = size

    def slot(self, i):
        return numpy.ndarray(self.size, "u1", buffer=self.memory.buf, offset=i * self.size)

    def send(self):
        for i in range(N):
            self.slot(i)[:] = i
            self.queue.put(i)
        while self.queue.qsize() < N or not self.queue._reader.poll():
            time.sleep(0.001)
        time.sleep(0.005)       # of the thread that writes to its pipe

    def receive(self):
        return int(self.slot(self.queue.get()).copy()[::self.size // 16].sum())

    def close(self):
        self.queue.close()
        self.queue.join_thread()
        self.memory.close()
        self.memory.unlink()


class Pickled:
    """A Queue alone."""

    def __init__(self, size):
        self.queue = multiprocessing.Queue()
        self.size = size

    def send(self):
        for i in range(N):
            self.queue.put(numpy.full(self.size, i, "u1"))
        while self.queue.qsize() < N:
            time.sleep(0.001)
        time.sleep(0.005)

    def receive(self):
        return int(self.queue.get()[::self.size // 16].sum())

    def close(self):
        self.queue.close()
        self.queue.join_thread()


def measure(systems, size, n_rounds):
    """Microseconds for a receive of each, by rounds."""
    expected = sum(i * len(range(0, size, size // 16)) for i in range(N))
    times = {name: [] for name in systems}
    for _ in range(n_rounds):
        for name, system in systems.items():
            system.send()
            begin = time.perf_counter()
            found = sum(system.receive() for _ in range(N))
            times[name].append((time.perf_counter() - begin) / N * 1e6)
            assert found == expected, (name, found, expected)
    return {name: statistics.median(of) for name, of in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("segment")
    parser.add_argument("--rounds", type=int, default=101)
    options = parser.parse_args()
    print("| a receive, in us | a view of ours | copied from a SharedMemory, by a Queue | pickled, by a Queue |\n"
          "|---|---:|---:|---:|")
    for title, size in SIZES.items():
        systems = {"ours": Ours(options.segment, size), "slots": Slots(size)}
        if N * size < 1 << 15:
            systems["pickled"] = Pickled(size)
        found = measure(systems, size, options.rounds)
        for system in systems.values():
            system.close()
        print(f"| {title} | " + " | ".join(f"{found[name]:.1f}" if name in found else "-"
                                           for name in ("ours", "slots", "pickled")) + " |")


if __name__ == "__main__":
    main()
