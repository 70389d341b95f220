# SPDX-License-Identifier: MIT
"""Chunks of shared memory, from pools that mempoold lays out, handed from process to process without a copy.

    import mempool, numpy

    client = mempool.Client("default")
    for message in client.topic("camera").subscribe():
        picture = mempool.picture(message)      # a numpy view: read-only, nothing is copied
        ...                                     # freed when message and picture are gone

A chunk is a buffer: memoryview(chunk) and numpy.asarray(chunk) are views of the segment, and keep it alive.
It can be handed over (send, publish, give) when it has no views. Timeouts are in seconds: 0 tries once, and
is the default; None waits for ever. Waits release the interpreter's lock, and end with signals' handlers.

A forked child has no segment: all calls there raise Error (ECHILD), and a view that was made before the fork
must not be touched. Clients, queues and topics that are pickled, as multiprocessing does it by spawn, open their
client again where they are unpickled; what is inherited by fork does so by here(). give() and share() make
handles of chunks for both ways.

Errors are OSErrors: Error with an errno of mempool(7), and of these WouldBlock and Closed.
"""
import copyreg as _copyreg
import errno as _errno
import os as _os
import pickle as _pickle
import struct as _struct
import threading as _threading

from ._mempool import (MEMPOOL_CLIENT_DEBUG as DEBUG, MEMPOOL_CLIENT_DEBUG_ABORT as DEBUG_ABORT,
                       MEMPOOL_CLIENT_READ_ONLY as READ_ONLY, Chunk, Client, Closed, Error, Peek, Queue,
                       Subscriber, Topic, WouldBlock, stamp_realtime, version)

__all__ = ["DEBUG", "DEBUG_ABORT", "READ_ONLY", "Chunk", "Client", "Closed", "Error", "Handle", "Peek", "Queue",
           "Subscriber", "Topic", "WouldBlock", "give", "here", "picture", "share", "stamp_realtime", "version"]
__version__ = version()

# ---- pickling ----

_lock = _threading.Lock()
_opened = {}        # arguments: the client that all unpickled objects of this process share


def _after_fork():
    """Another thread may have had the lock, and those clients are the parent's."""
    global _lock
    _lock = _threading.Lock()
    _opened.clear()


_os.register_at_fork(after_in_child=_after_fork)


def _reopen(*arguments):
    """The client of this process that was opened so, or a new one."""
    with _lock:
        client = _opened.get(arguments)
        if client is None or client.closed or client.is_stale:
            client = _opened[arguments] = Client(*arguments)
        return client


def _reopen_queue(client, name, flags):
    return client.queue(name, bool(flags & 1), bool(flags & 2), bool(flags & 4))


def _reopen_topic(client, name):
    return client.topic(name)


_copyreg.pickle(Client, lambda client: (_reopen, client._arguments))
_copyreg.pickle(Queue, lambda queue: (_reopen_queue, (queue.client, queue.name, queue._flags)))
_copyreg.pickle(Topic, lambda topic: (_reopen_topic, (topic.client, topic.name)))


def here(opened):
    """A client, queue or topic that was opened before a fork, opened again in the child; else itself."""
    client = opened if isinstance(opened, Client) else opened.client
    try:
        client.role
    except Error as error:
        if error.errno != _errno.ECHILD:
            raise
        return _pickle.loads(_pickle.dumps(opened))
    return opened


class Handle:
    """Of a chunk, for another process: pickled, it brings its client with it.

    open() takes the chunk that give() let go of (one caller gets it), or acquires the one that share()
    shares.
    """

    __slots__ = ("client", "number", "is_shared")

    def __init__(self, client, number, is_shared):
        self.client = client
        self.number = number
        self.is_shared = is_shared

    def open(self):
        client = here(self.client)
        return client.acquire(self.number) if self.is_shared else client.take(self.number)

    def __reduce__(self):
        return Handle, (self.client, self.number, self.is_shared)


def give(chunk):
    """Let go of a chunk for whoever opens the handle. Until then it is counted to this client."""
    client = chunk.client
    return Handle(client, chunk.give(), False)


def share(chunk):
    """A handle for any number of readers, who open it while the chunk is held."""
    return Handle(chunk.client, chunk.share(), True)


# ---- pictures: mempool_frame(5) ----

_FRAME = _struct.Struct("=IIIIIIQqQ16x")
_FRAME_MAGIC = 0x7266504d
# Of a format: values in a pixel, and the type of one.
_FORMATS = {b"GREY": (1, "u1"), b"Y16 ": (1, "u2"), b"RGB3": (3, "u1"), b"BGR3": (3, "u1"),
            b"AB24": (4, "u1"), b"AR24": (4, "u1"), b"S16 ": (1, "i2"), b"S32 ": (1, "i4"),
            b"F32 ": (1, "f4")}


def picture(chunk):
    """A numpy view of a picture, or of samples, that has a header of mempool_frame.h.

    Of shape (height, width), or (height, width, values) where a pixel has several. ValueError: it is no
    such message, or not whole, or of a format whose rows are no values.
    """
    import numpy

    view = memoryview(chunk)
    if len(view) < _FRAME.size:
        raise ValueError("no frame: too short")
    magic, header, code, width, height, stride, _, _, data = _FRAME.unpack_from(view)
    if (magic != _FRAME_MAGIC or header < _FRAME.size or header > len(view) or
            data > len(view) - header or height * stride > data):
        raise ValueError("no frame, or not whole")
    form = _FORMATS.get(code.to_bytes(4, "little"))
    if form is None:
        raise ValueError(f"frames of format {code:#x} have no rows of values")
    values, kind = form
    item = numpy.dtype(kind).itemsize
    if width * values * item > stride:
        raise ValueError("rows overlap")
    shape, strides = (height, width, values), (stride, values * item, item)
    if values == 1:
        shape, strides = shape[:2], strides[:2]
    return numpy.ndarray(shape, kind, buffer=chunk, offset=header, strides=strides)
