#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-python.py SEGMENT [--kills N] - the module mempool on a segment

Pools of 32 chunks of 128 and 1024 bytes and 8 of 8 KiB, queues "work" (16 messages) and "back", a topic
"news" that keeps 4, with stamps. Each case leaves nothing held but what the topic keeps.
"""
import argparse
import asyncio
import errno
import gc
import multiprocessing
import os
import pickle
import random
import signal
import struct
import sys
import threading
import time
import unittest
import weakref

import mempool
import mempool.aio

try:
    import numpy
except ImportError:
    numpy = None

SEGMENT = None
N_KILLS = 30


def used(client):
    return sum(pool["used"] for pool in client.pools())


class Case(unittest.TestCase):
    def setUp(self):
        self.client = mempool.Client(SEGMENT, timeout=10)
        self.n_kept = self.client.topic("news").info()["length"]

    def tearDown(self):
        gc.collect()
        self.assertEqual(self.held(), 0)
        self.client.close()

    def held(self):
        return used(self.client) - self.client.topic("news").info()["length"]

    def chunk(self, data):
        chunk = self.client.alloc(len(data))
        memoryview(chunk)[:] = data
        return chunk

    def refused(self, code, function, *args, **kwargs):
        with self.assertRaises(mempool.Error) as caught:
            function(*args, **kwargs)
        self.assertEqual(caught.exception.errno, code)
        return caught.exception


class Chunks(Case):
    def test_a_chunk_is_a_buffer_and_goes_with_its_last_view(self):
        chunk = self.client.alloc(100, zeroed=True)
        self.assertEqual((len(chunk), chunk.capacity, bytes(chunk)), (100, 128, bytes(100)))
        view = memoryview(chunk)
        view[:5] = b"hello"
        part = view[1:4]
        del chunk, view
        self.assertEqual((self.held(), bytes(part)), (1, b"ell"))
        del part
        self.assertEqual(self.held(), 0)

    def test_a_chunk_with_views_is_not_handed_over(self):
        chunk = self.chunk(b"text")
        queue = self.client.queue("work")
        view = memoryview(chunk)
        for call in (chunk.give, chunk.free, chunk.share, lambda: queue.send(chunk),
                     lambda: chunk.resize(1), lambda: self.client.topic("news").publish(chunk)):
            self.assertRaises(BufferError, call)
        view.release()
        handle = chunk.give()
        self.assertTrue(chunk.closed)
        self.refused(errno.ENOTCONN, memoryview, chunk)
        self.refused(errno.ENOTCONN, chunk.give)
        taken = self.client.take(handle)
        self.assertEqual(bytes(taken), b"text")
        self.refused(errno.ESTALE, self.client.take, handle)

    def test_shared_is_read_only(self):
        chunk = self.chunk(b"shared")
        other = self.client.acquire(chunk.share())
        self.assertTrue(other.readonly and chunk.readonly and memoryview(other).readonly)
        with self.assertRaises(TypeError):
            memoryview(other)[0] = 1
        self.assertFalse(other.is_exclusive)
        self.refused(errno.EBUSY, chunk.unshare)
        other.free()
        chunk.unshare()
        memoryview(chunk)[0:1] = b"S"
        self.assertEqual(bytes(chunk), b"Shared")

    def test_tag_size_and_errors(self):
        chunk = self.client.alloc(10)
        chunk.tag = 7
        self.assertEqual((chunk.tag, chunk.stamp, chunk.missed), (7, None, 0))
        chunk.resize(128)
        self.refused(errno.EMSGSIZE, chunk.resize, 129)
        with self.assertRaises(ValueError):
            chunk.tag = 1 << 32
        self.refused(errno.EMSGSIZE, self.client.alloc, 100000)
        self.refused(errno.EINVAL, self.client.alloc, 0)
        self.assertEqual(self.client.alloc(10, alignment=128).address % 128, 0)
        self.assertRaises(ValueError, self.client.alloc, 1, timeout=-1)
        self.assertRaises(ValueError, self.client.alloc, -1)
        self.assertRaises(TypeError, self.client.queue("work").send, b"no chunk")

    def test_all_are_held(self):
        chunks = [self.client.alloc(8000) for _ in range(8)]
        begin = time.monotonic()
        with self.assertRaises(mempool.WouldBlock):
            self.client.alloc(8000, timeout=0.05)
        self.assertGreaterEqual(time.monotonic() - begin, 0.05)
        threading.Timer(0.05, chunks.pop).start()
        self.assertIsNotNone(self.client.alloc(8000, timeout=None))

    def test_reason_of_the_daemon(self):
        refused = self.refused(errno.ENOENT, mempool.Client, SEGMENT + "x")
        self.assertIn("there is no segment", refused.strerror)
        self.assertIsInstance(refused, OSError)

    @unittest.skipUnless(numpy, "no numpy")
    def test_numpy_copies_nothing(self):
        chunk = self.chunk(bytes(range(100)))
        array = numpy.asarray(chunk)
        self.assertFalse(array.flags.owndata)
        self.assertEqual((array.ctypes.data, array.dtype, array.shape), (chunk.address, "uint8", (100,)))
        array[3] = 200
        self.assertEqual(bytes(chunk)[3], 200)
        del array
        chunk.share()
        array = numpy.asarray(chunk)
        self.assertFalse(array.flags.writeable)
        with self.assertRaises(ValueError):
            array[0] = 1


class Closing(Case):
    def test_use_after_close_is_an_exception(self):
        client = mempool.Client(SEGMENT)
        chunk, queue, topic = client.alloc(10), client.queue("work"), client.topic("news")
        subscriber = topic.subscribe()
        client.close()
        client.close()
        calls = (lambda: client.alloc(1), client.pools, client.fileno, client.wake, lambda: client.role,
                 lambda: client.queue("work"), lambda: memoryview(chunk), chunk.give, chunk.free,
                 lambda: chunk.tag, lambda: chunk.capacity, queue.receive, queue.info,
                 topic.info, topic.subscribe, subscriber.next, subscriber.copy)
        for call in calls:
            self.assertRaises(mempool.Closed, call)
        self.assertTrue(client.closed and chunk.closed)
        for ring in (queue, topic, subscriber):
            ring.close()
            self.assertTrue(ring.closed)
        self.assertEqual(self.held(), 0)

    def test_a_view_outlives_the_close(self):
        client = mempool.Client(SEGMENT)
        chunk = client.alloc(10)
        view = memoryview(chunk)
        view[:] = b"0123456789"
        client.close()
        self.assertRaises(mempool.Closed, memoryview, chunk)
        del client, chunk
        gc.collect()
        self.assertEqual((bytes(view), self.held()), (b"0123456789", 1))
        view.release()
        self.assertEqual(self.held(), 0)

    def test_a_close_ends_waits(self):
        client = mempool.Client(SEGMENT)
        queue, subscriber = client.queue("work"), client.topic("news").subscribe()
        found = []

        def wait(call):
            try:
                call(timeout=None)
            except mempool.Error as error:
                found.append(type(error))

        threads = [threading.Thread(target=wait, args=(call,)) for call in (queue.receive, subscriber.next)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        client.close()
        for thread in threads:
            thread.join(30)
        self.assertEqual(found, [mempool.Closed] * 2)

    def test_references_come_out_even(self):
        def work():
            client = mempool.Client(SEGMENT)
            queue, topic = client.queue("work"), client.topic("news")
            subscriber = topic.subscribe()
            for i in range(20):
                queue.send(client.alloc(50))
                message = queue.receive()
                views = [memoryview(message), memoryview(message)[1:2]]
                cycle = [views, message]
                cycle.append(cycle)
                if i % 3 == 0:
                    topic.publish(client.alloc(50))
                    views.append(memoryview(subscriber.next()))
            client.queues(), client.topics()
            return weakref.WeakSet()

        # What each object has of its client goes with it.
        client = mempool.Client(SEGMENT)
        before = sys.getrefcount(client)
        for _ in range(10):
            queue, topic = client.queue("work"), client.topic("news")
            subscriber = topic.subscribe()
            queue.send(client.alloc(50))
            view = memoryview(queue.receive())
            self.assertRaises(mempool.WouldBlock, subscriber.next)
            self.assertRaises(mempool.Error, client.queue, "nowhere")
            self.assertIs(queue.client, client)
            del queue, topic, subscriber, view
        self.assertEqual(sys.getrefcount(client), before)
        del client
        n_descriptors = len(os.listdir("/proc/self/fd"))

        threshold = gc.get_threshold()
        work()
        gc.collect()
        try:
            gc.set_threshold(1)
            before = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
            n_blocks = []
            for _ in range(6):
                work()
                gc.collect()
                n_blocks.append(sys.getallocatedblocks())
        finally:
            gc.set_threshold(*threshold)
        if before:
            self.assertLess(sys.gettotalrefcount() - before, 200)
        self.assertEqual(len(os.listdir("/proc/self/fd")), n_descriptors)
        # What leaks does so at each turn: more than 20 objects.
        self.assertLess(n_blocks[-1] - n_blocks[2], 20)


class Rings(Case):
    def test_a_queue(self):
        queue = self.client.queue("work")
        for i in range(16):
            queue.send(self.chunk(b"%d" % i))
        late = self.chunk(b"16")
        self.assertRaises(mempool.WouldBlock, queue.send, late)
        self.assertRaises(BlockingIOError, queue.send, late, timeout=0.01)
        self.assertEqual(bytes(queue.send_evict(late)), b"0")
        self.assertEqual(queue.info()["length"], 16)
        self.assertEqual([bytes(queue.receive()) for _ in range(16)], [b"%d" % i for i in range(1, 17)])
        self.assertRaises(mempool.WouldBlock, queue.receive)
        threading.Timer(0.05, lambda: queue.send(self.chunk(b"later"))).start()
        self.assertEqual(bytes(queue.receive(timeout=None)), b"later")
        self.refused(errno.ENOENT, self.client.queue, "nowhere")

    def test_many_at_once(self):
        queue = self.client.queue("work")
        chunks = self.client.alloc_many(3, 20)
        self.assertEqual([len(chunk) for chunk in chunks], [3] * 20)
        for i, chunk in enumerate(chunks):
            memoryview(chunk)[:] = b"%03d" % i
        # What is sent is gone, what found no room is here.
        self.assertEqual(queue.send_many(chunks), 16)
        self.assertEqual([chunk.closed for chunk in chunks], [True] * 16 + [False] * 4)
        self.assertRaises(mempool.WouldBlock, queue.send_many, chunks[16:])
        self.assertRaises(mempool.Closed, queue.send_many, chunks[15:])
        received = queue.receive_many(10)
        self.assertEqual([bytes(chunk) for chunk in received], [b"%03d" % i for i in range(10)])
        self.assertEqual(len(queue.receive_many(10, timeout=None)), 6)
        self.assertRaises(mempool.WouldBlock, queue.receive_many, 1)
        # All, or none; and nothing with a view, or twice, is freed.
        # The topic may keep one of the eight for its newest message.
        most = len(self.client.alloc_many(8000, 9))
        self.assertIn(most, (7, 8))
        self.assertEqual(len(self.client.alloc_many(8000, most, all=True)), most)
        self.refused(errno.EAGAIN, self.client.alloc_many, 8000, most + 1, all=True)
        with memoryview(received[5]):
            self.assertRaises(BufferError, self.client.free_many, received)
        self.assertRaises(BufferError, self.client.free_many, [received[0], received[0]])
        self.assertRaises(TypeError, self.client.free_many, [received[0], b"no chunk"])
        self.assertEqual(self.client.free_many(received), 10)
        self.assertEqual((self.client.free_many([]), queue.send_many(()), self.client.alloc_many(1, 0)), (0, 0, []))
        self.assertTrue(all(chunk.closed for chunk in received))
        self.assertRaises(ValueError, queue.receive_many, 0)
        self.assertRaises(ValueError, self.client.alloc_many, 1, -1)
        self.assertRaises(OverflowError, self.client.alloc_many, 1, 2**80)

    def test_a_wait_lets_others_run_and_heeds_signals(self):
        queue = self.client.queue("work")

        class Enough(Exception):
            pass

        def handler(*_):
            handled.append(1)
            if len(handled) > 1:
                raise Enough

        handled = []
        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            self.assertRaises(Enough, queue.receive, timeout=None)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertEqual(len(handled), 2)

    def test_a_topic(self):
        topic = self.client.topic("news")
        subscriber = topic.subscribe()
        for i in range(6):
            topic.publish(self.chunk(b"%d" % i))
        message = subscriber.next()
        self.assertEqual((bytes(message), message.missed, message.readonly), (b"2", 2, True))
        self.assertLess(abs(time.monotonic_ns() - message.stamp), 60 * 10**9)
        self.assertLess(abs(mempool.stamp_realtime(message.stamp) - time.time_ns()), 60 * 10**9)
        self.assertEqual([bytes(next(subscriber)) for _ in range(3)], [b"3", b"4", b"5"])
        self.assertRaises(mempool.WouldBlock, subscriber.next)
        self.assertEqual(bytes(topic.subscribe(last=1).next()), b"5")
        self.assertEqual(topic.subscribe(oldest=True).copy(), (b"2", 0, 0))
        large = self.client.alloc(8000, zeroed=True)
        large.tag = 9
        topic.publish(large)
        self.assertEqual(subscriber.copy(), (bytes(8000), 9, 0))

    def test_a_peek_is_verified(self):
        topic = self.client.topic("news")
        subscriber = topic.subscribe()
        before = self.held()
        self.assertRaises(mempool.WouldBlock, subscriber.peek)
        chunk = self.chunk(b"first")
        chunk.tag = 7
        topic.publish(chunk)
        peek = subscriber.peek()
        view = memoryview(peek)
        self.assertEqual((bytes(view), peek.tag, peek.missed, view.readonly, len(peek)),
                         (b"first", 7, 0, True, 5))
        self.assertEqual((peek.verify(), peek.verify(), self.held()), (True, True, before))
        # Four later ones, and it is out of the topic; its chunk is another message's, sooner or later.
        for i in range(4):
            topic.publish(self.chunk(b"%d" % i))
        self.assertFalse(peek.verify())
        bytes(view)
        later = subscriber.peek()
        self.assertEqual((bytes(later), later.missed, later.verify()), (b"0", 1, True))
        self.assertRaises(ValueError, peek.verify)
        # Views keep the memory; verify is refused.
        subscriber.close()
        self.assertRaises(mempool.Closed, later.verify)
        other = mempool.Client(SEGMENT)
        peek = other.topic("news").subscribe(oldest=True).peek()
        view = memoryview(peek)
        other.close()
        bytes(view)
        self.assertRaises(mempool.Closed, memoryview, peek)

    @unittest.skipUnless(numpy, "no numpy")
    def test_a_picture(self):
        topic = self.client.topic("news")
        subscriber = topic.subscribe()
        chunk = self.client.alloc(64 + 3 * 40)
        with memoryview(chunk) as view:
            view[:64] = struct.pack("=IIIIIIQqQ16x", 0x7266504d, 64, 0x33424752, 10, 3, 40, 1, 0, 120)
            view[64:] = bytes(range(120))
        topic.publish(chunk)
        message = subscriber.next()
        picture = mempool.picture(message)
        self.assertEqual((picture.shape, picture.flags.owndata, picture.flags.writeable),
                         ((3, 10, 3), False, False))
        self.assertEqual((picture.ctypes.data, list(picture[1, 2])), (message.address + 64, [46, 47, 48]))
        del message
        self.assertEqual(picture[2, 9, 2], 80 + 29)
        for wrong in (struct.pack("=I", 1), struct.pack("=IIIIIIQqQ16x", 0x7266504d, 64, 0x33424752, 10, 3,
                                                        40, 1, 0, 121) + bytes(120)):
            self.assertRaises(ValueError, mempool.picture, self.chunk(wrong))

    def test_coroutines(self):
        queue, topic = self.client.queue("work"), self.client.topic("news")
        subscriber = topic.subscribe()

        async def work():
            first = asyncio.create_task(mempool.aio.receive(queue))
            second = asyncio.create_task(mempool.aio.next(subscriber))
            await asyncio.sleep(0.05)
            other = mempool.Client(SEGMENT)
            chunk = other.alloc(3)
            memoryview(chunk)[:] = b"one"
            other.queue("work").send(chunk)
            got = bytes(await asyncio.wait_for(first, 30))
            other.topic("news").publish(other.alloc(5))
            got = got, len(await asyncio.wait_for(second, 30))
            cancelled = asyncio.create_task(mempool.aio.receive(queue))
            await asyncio.sleep(0.01)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            return got, cancelled.cancelled(), dict(mempool.aio._waiting[asyncio.get_running_loop()])

        self.assertEqual(asyncio.run(work()), ((b"one", 5), True, {}))

    def test_a_coroutine_sends_when_there_is_room(self):
        queue = self.client.queue("work")
        self.assertEqual(queue.send_many(self.client.alloc_many(1, 16)), 16)

        async def work():
            late = asyncio.create_task(mempool.aio.send(queue, self.chunk(b"late")))
            kept = self.chunk(b"kept")
            cancelled = asyncio.create_task(mempool.aio.send(queue, kept))
            await asyncio.sleep(0.05)
            waiting = late.done(), cancelled.done()
            cancelled.cancel()
            await asyncio.wait([cancelled])
            mempool.Client(SEGMENT).queue("work").receive()
            await asyncio.wait_for(late, 60)
            return waiting, kept.closed

        self.assertEqual(asyncio.run(work()), ((False, False), False))
        self.assertEqual(bytes(queue.receive_many(16)[-1]), b"late")


# ---- other processes ----


def answer(queue, back, handle):
    """Read what the handle names, and answer with it."""
    queue, back = mempool.here(queue), mempool.here(back)
    data = bytes(handle.open()) + bytes(queue.receive(timeout=30))
    reply = back.client.alloc(len(data))
    memoryview(reply)[:] = data
    back.send(reply)


def child_of_fork(client, chunk, view, pipe):
    try:
        client.alloc(1)
    except mempool.Error as error:
        code = error.errno
    try:
        memoryview(chunk)
    except mempool.Error as error:
        code = code, error.errno
    pipe.send(code)


def move(work, back):
    """Until it is killed: what comes goes back, sometimes with views that are left behind."""
    work, back = mempool.here(work), mempool.here(back)
    while True:
        message = work.receive(timeout=None)
        number = bytes(message)
        views = [memoryview(message), memoryview(message)[1:]]
        if numpy is not None:
            numpy.asarray(message).sum()
        # So that some are killed here.
        time.sleep(0.0002)
        del views, message
        reply = back.client.alloc(8)
        memoryview(reply)[:] = number
        back.send(reply, timeout=None)


class Processes(Case):
    def exchange(self, method):
        context = multiprocessing.get_context(method)
        for hand_over in (mempool.give, mempool.share):
            queue, back = self.client.queue("work"), self.client.queue("back")
            chunk = self.chunk(b"by handle, ")
            process = context.Process(target=answer, args=(queue, back, hand_over(chunk)))
            process.start()
            queue.send(self.chunk(b"by queue"))
            got = bytes(back.receive(timeout=60))
            process.join()
            self.assertEqual((process.exitcode, got), (0, b"by handle, by queue"))

    def test_fork(self):
        self.exchange("fork")

    def test_spawn(self):
        self.exchange("spawn")

    def test_what_is_unpickled_shares_a_client(self):
        one = pickle.loads(pickle.dumps(self.client.queue("work", pipe=True)))
        other = pickle.loads(pickle.dumps(self.client.topic("news")))
        self.assertIs(one.client, other.client)
        self.assertEqual((one.name, one._flags, other.name), ("work", 4, "news"))

    def test_a_forked_child_is_refused(self):
        chunk = self.chunk(b"parent's")
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=child_of_fork, args=(self.client, chunk, memoryview(chunk), theirs))
        process.start()
        process.join()
        self.assertEqual((process.exitcode, ours.recv()), (0, (errno.ECHILD, errno.ECHILD)))
        self.assertEqual((bytes(chunk), self.held()), (b"parent's", 1))

    def test_kills(self):
        """Of what a killed worker held nothing is lost, but the message that it was at; none is doubled."""
        context = multiprocessing.get_context("fork")
        work, back = self.client.queue("work"), self.client.queue("back")
        n_sent, n_killed, seen, workers = 0, 0, [], []

        def start():
            worker = context.Process(target=move, args=(work, back))
            worker.start()
            workers.append(worker)

        seed = random.randrange(1 << 32)
        print(f"# seed of kills: {seed}")
        chance = random.Random(seed)
        for _ in range(3):
            start()
        deadline = time.monotonic() + 60 + N_KILLS
        while time.monotonic() < deadline and (n_killed < N_KILLS or work.info()["length"]):
            if n_killed < N_KILLS:
                try:
                    for _ in range(8):
                        work.send(self.chunk(struct.pack("q", n_sent)), timeout=0.002)
                        n_sent += 1
                except mempool.WouldBlock:
                    pass
            # While they are at what was sent.
            if n_killed < N_KILLS and chance.random() < 0.3:
                time.sleep(chance.random() * 0.001)
                victim = workers.pop(chance.randrange(len(workers)))
                victim.kill()
                victim.join()
                n_killed += 1
                start()
            try:
                while True:
                    seen.append(struct.unpack("q", bytes(back.receive(timeout=0.001)))[0])
            except mempool.WouldBlock:
                pass
        self.assertEqual(n_killed, N_KILLS)
        # What the last ones are at; and the daemon has seen the others die.
        deadline = time.monotonic() + 60
        while self.held() and time.monotonic() < deadline:
            try:
                seen.append(struct.unpack("q", bytes(back.receive(timeout=0.01)))[0])
            except mempool.WouldBlock:
                pass
        self.assertEqual(self.held(), 0)
        for worker in workers:
            worker.kill()
            worker.join()
        self.assertEqual(len(set(seen)), len(seen))
        self.assertLessEqual(n_sent - len(seen), n_killed)
        self.assertGreater(len(seen), 0)
        print(f"# {n_killed} killed, {n_sent} sent, {len(seen)} came")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("segment")
    parser.add_argument("--kills", type=int, default=N_KILLS)
    options, rest = parser.parse_known_args()
    SEGMENT, N_KILLS = options.segment, options.kills
    unittest.main(argv=sys.argv[:1] + rest)
