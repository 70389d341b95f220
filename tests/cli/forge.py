#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""forge.py - write into a segment what no operation writes, as any member may

    forge.py shape OBJECT FROM	the header and the tables of another object, which is no larger
    forge.py share OBJECT	each chunk of pool 0 is held by everybody
    forge.py module OBJECT OLD NEW
				the path of a module of the traces, with the key that goes with it
    forge.py garbage OBJECT PATH
				all traces, and the modules from that one on

Knows nothing of this tree's library: what stands where is in docs/layout.md.
"""
import mmap
import os
import random
import struct
import sys

SEGMENT_ID = 72			# struct mempool_header
N_HOLDERS, HOLDERS_OFF = 20, 32
N_POOLS, POOLS_OFF = 108, 120
POOL_BYTES, ENTRY_BYTES = 128, 16
SHARED = 3 << 30


def open_object(path, access):
    with open(path, "r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=access)


def number(data, kind, at):
    return struct.unpack_from(kind, data, at)[0]


def pool(data, i):
    """stride, where the chunks stand (those of data pools are in the other object), where the
    entries stand, how many"""
    at = number(data, "Q", POOLS_OFF) + i * POOL_BYTES
    _, stride, data_off, index_off, n_chunks = struct.unpack_from("QQQQI", data, at)
    leaves = (n_chunks + 63) // 64
    roots = (leaves + 63) // 64
    words = (leaves + 7) // 8 * 8 + (roots + 7) // 8 * 8
    return stride, data_off, index_off + words * 8, n_chunks


def forge_shape(path, source):
    segment, other = open_object(path, mmap.ACCESS_WRITE), open_object(source, mmap.ACCESS_READ)
    segment_id = segment[SEGMENT_ID:SEGMENT_ID + 8]
    assert len(other) <= len(segment), (len(other), len(segment))
    segment[:len(other)] = other[:]
    segment[SEGMENT_ID:SEGMENT_ID + 8] = segment_id


def forge_share(path):
    segment = open_object(path, mmap.ACCESS_WRITE)
    n_holders = number(segment, "I", N_HOLDERS)
    _, _, entries, n_chunks = pool(segment, 0)
    stride, managers, _, _ = pool(segment, number(segment, "I", N_POOLS))
    for i in range(n_chunks):
        generation = segment[entries + i * ENTRY_BYTES + 4:entries + i * ENTRY_BYTES + 8]
        segment[entries + i * ENTRY_BYTES:entries + i * ENTRY_BYTES + 8] = \
            struct.pack("I", SHARED | i) + generation
        bits = managers + i * stride + 8
        segment[bits:bits + n_holders // 8] = b"\xff" * (n_holders // 8)


MODULE_BYTES, MODULE_ID, MODULE_PATH = 512, 12, 48
MASK = 2 ** 64 - 1


def module_key(module):
    key = 0xcbf29ce484222325
    for byte in module[MODULE_ID:]:
        key = (key ^ byte) * 0x100000001b3 & MASK
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9 & MASK
    key = (key ^ key >> 27) * 0x94d049bb133111eb & MASK
    return key ^ key >> 31 | 1


def find_module(segment, path):
    return segment.find(os.fsencode(path) + b"\0") - MODULE_PATH


def forge_module(path, old, new):
    segment = open_object(path, mmap.ACCESS_WRITE)
    at = find_module(segment, old)
    module = segment[at:at + MODULE_BYTES]
    assert struct.unpack_from("Q", module)[0] == module_key(module)
    module = module[:MODULE_PATH] + os.fsencode(new).ljust(MODULE_BYTES - MODULE_PATH, b"\0")
    segment[at:at + MODULE_BYTES] = struct.pack("Q", module_key(module)) + module[8:]


def forge_garbage(path, first):
    segment = open_object(path, mmap.ACCESS_WRITE)
    at = find_module(segment, first)
    segment[at:] = random.Random(1).randbytes(len(segment) - at)


{"shape": forge_shape, "share": forge_share, "module": forge_module,
 "garbage": forge_garbage}[sys.argv[1]](*sys.argv[2:])
