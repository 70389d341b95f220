#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""recording.py FILE [stamps] - a recording as mempool_recording(5) describes it, read by nothing of ours

A line for each message: topic, tag, bytes, CRC-32 of the content. With `stamps`: topic, tag, and when it
was published, or recorded. Whatever is not as the page says ends it.
"""
import struct
import sys
import zlib

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc


def checksum(data):
    data += bytes(-len(data) % 32)
    lanes = [b"".join(data[i + lane:i + lane + 8] for i in range(0, len(data), 32))
             for lane in range(0, 32, 8)]
    return crc32c(struct.pack("<4I", *map(crc32c, lanes)))


def records(data):
    magic, version, begin, number, _, _ = struct.unpack_from("<8sIIQQQ", data)
    assert (magic, version, begin) == (b"MPrecord", 1, 64)
    assert struct.unpack_from("<I", data, 60)[0] == checksum(data[:60])
    at = begin
    while at < len(data):
        (magic, head_sum, of, place, kind, channel, n, taken, sent, missed, tag, content_sum,
         _) = struct.unpack_from("<4sIQQIIQQQQIIQ", data, at)
        assert (magic, of, place) == (b"MPrd", number, at), at
        assert head_sum == checksum(data[at + 8:at + 80]), at
        content = data[at + 80:at + 80 + n]
        # Long ones are slow here; publish.c says what they are.
        assert n > 4096 or content_sum == checksum(content), at
        yield at, kind, channel, content, sent or taken, missed, tag
        at += 80 + n + -n % 8
    assert at == len(data)


def main(path, what="content"):
    with open(path, "rb") as file:
        data = file.read()
    names, seen, indexes = {}, [], []
    total = [0, 0, 0]
    for at, kind, channel, content, moment, missed, tag in records(data):
        assert not indexes or kind in (5, 6)
        if kind in (1, 2):
            assert channel not in names and not seen
            names[channel] = content.decode()
        elif kind == 3:
            seen.append(at)
            total = [total[0] + 1, total[1] + len(content), total[2] + missed]
            if what == "stamps":
                print(names[channel], tag, moment)
            else:
                print(names[channel], tag, len(content), f"{zlib.crc32(content):08x}")
        elif kind == 5:
            before, *entries = struct.unpack(f"<{len(content) // 8}Q", content)
            assert before == 0 and set(entries[1::2]) <= set(seen)
            assert not seen or entries[1] == seen[0]
            indexes.append(at)
        elif kind == 6:
            assert [indexes[-1], *total] == list(struct.unpack("<4Q", content))
            assert at + 112 == len(data)


main(*sys.argv[1:])
