#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""read-python.py SEGMENT [SECONDS]: as read-c, by numpy views that copy nothing; so long at each picture"""
import sys
import time

import mempool
import numpy

client = mempool.Client(sys.argv[1])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0
pools = [(pool["base"], pool["base"] + pool["length"]) for pool in client.memory()]
rows = numpy.arange(1080, dtype="u8")[:, None]
subscriber = client.topic("camera").subscribe()
n_read = n_missed = n_wrong = n_copied = 0
print("ready", flush=True)
for message in subscriber:
    n_missed += message.missed
    if len(message) == 0:
        break
    picture = mempool.picture(message)
    sequence = int.from_bytes(memoryview(message)[24:32], sys.byteorder)
    at = picture.ctypes.data
    n_copied += picture.flags.owndata or not any(base <= at < end for base, end in pools)
    n_wrong += (picture.shape != (1080, 1920) or picture.flags.writeable or
                not (picture[:, ::113] == ((sequence * 7 + rows) & 255)).all())
    n_read += 1
    time.sleep(seconds)
print(f"read {n_read} missed {n_missed} wrong {n_wrong + n_copied}")
