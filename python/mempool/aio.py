# SPDX-License-Identifier: MIT
"""Messages for coroutines: by the client's descriptor, without a thread.

    chunk = await mempool.aio.receive(queue)
    await mempool.aio.send(queue, chunk)
    async for message in mempool.aio.messages(subscriber): ...
"""
import asyncio
import weakref

from . import WouldBlock

# loop: {descriptor: the futures of those who wait for its client}
_waiting = weakref.WeakKeyDictionary()


async def _news(loop, descriptor):
    """Until there may be something new at that client."""
    waiting = _waiting.setdefault(loop, {})
    futures = waiting.get(descriptor)
    if futures is None:
        futures = waiting[descriptor] = set()

        def tell():
            for future in futures:
                if not future.done():
                    future.set_result(None)

        loop.add_reader(descriptor, tell)
    future = loop.create_future()
    futures.add(future)
    try:
        await future
    finally:
        futures.discard(future)
        if not futures:
            loop.remove_reader(descriptor)
            del waiting[descriptor]


async def _until(client, attempt):
    loop = asyncio.get_running_loop()
    # Before the attempt, whose WouldBlock makes it tell the next time.
    descriptor = client.fileno()
    while True:
        try:
            return attempt()
        except WouldBlock:
            await _news(loop, descriptor)


async def send(queue, chunk):
    """Hand a chunk to one receiver, once there is room. Cancelled, it is still here."""
    await _until(queue.client, lambda: queue.send(chunk))


async def receive(queue):
    """The next message of a queue."""
    return await _until(queue.client, queue.receive)


async def next(subscriber):
    """The next message of a topic."""
    return await _until(subscriber.client, subscriber.next)


async def messages(subscriber):
    """All messages of a topic, one after the other."""
    while True:
        yield await next(subscriber)
