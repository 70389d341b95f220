# SPDX-License-Identifier: MIT
"""Two messages wait in a queue, nobody is attached, and a reload changes the layout.

No attack, but what an admin does: the messages were gone, and the answer was "in force".
"""
import raw

SEGMENTS = """
  - name: NAMEa
    pools: [ { chunk_size: 64, chunk_count: COUNT } ]
    queues: [ { name: mail, capacity: 16 } ]
"""
MESSAGES = [b"the first message", b"the second one"]
QUEUE = 1                               # its place in the table, from 1
SENDER_SHIFT = 15


def send(segment, holder, i, text):
    """As a client: take a chunk, write, give it to the queue."""
    pool, ring = segment.pool(0), segment.ring(0)
    generation = (pool.claim(i, holder) >> 32) + 1
    segment.chunks[pool.chunk(i):pool.chunk(i) + len(text)] = text
    segment.put("I", pool.entry(i) + 8, len(text))
    pool.set_word(i, raw.word(generation, raw.SENT, QUEUE << SENDER_SHIFT | holder))
    segment.put("Q", ring.slots + 8 * i, generation << 32 | i)


def messages_of(segment):
    """What a receiver would get."""
    pool, ring, found = segment.pool(0), segment.ring(0), []
    head = segment.get("Q", ring.record + 64)
    for at in range(head, head + ring.capacity):
        slot = segment.get("Q", ring.slots + 8 * (at % ring.capacity))
        if (slot & 0xffffffff) >> 26 == raw.EMPTY_POOL:
            break
        i = slot & (1 << 26) - 1
        length = segment.get("I", pool.entry(i) + 8)
        if pool.word(i) >> 30 == (slot >> 32) << 2 | raw.SENT:
            found.append(bytes(segment.chunks[pool.chunk(i):pool.chunk(i) + length]))
    return found


def attack(mempoold):
    with raw.Daemon(mempoold, SEGMENTS.replace("COUNT", "100")) as daemon:
        daemon.start_or_fail()
        client, welcome = daemon.attach("a")
        segment = raw.Object(welcome.place.shm_name)
        for i, text in enumerate(MESSAGES):
            send(segment, welcome.holder, i, text)
        client.bye()
        assert messages_of(segment) == MESSAGES
        segment.close()
        daemon.configure(SEGMENTS.replace("COUNT", "200"))
        answer = daemon.reload()
        if answer.error != 0:
            raise RuntimeError(f"the reload failed: {answer.text}")

        def arrived():
            newer = raw.Object(daemon.current("a").shm_name)
            try:
                return messages_of(newer) == MESSAGES
            finally:
                newer.close()

        if not raw.soon(arrived):
            raw.succeeded("the reload is in force, and the messages are gone")
        raw.held_off("the messages are in the new generation, in their order")


raw.main(attack)
