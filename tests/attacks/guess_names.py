# SPDX-License-Identifier: MIT
"""A user without any right to a segment guesses its name: the answer to a hello told him whether
it was right, and to a hello without a name what the first segment is called."""
import os

import raw

SEGMENTS = """
  - name: NAMEa
    allow: { users: [ root ] }
    pools: [ { chunk_size: 64, chunk_count: 100 } ]
"""
ROOM = 4096


def guess(daemon, segment, pipe):
    with daemon.connect() as connection:
        try:
            connection.hello(segment)
            answer = "welcome"
        except raw.Refused as refused:
            answer = str(refused)
    os.write(pipe, answer.encode())


def answer_to(daemon, segment):
    """What it says to another user, in which NAME stands for what was asked for."""
    reader, writer = os.pipe()
    child = raw.in_child(guess, daemon, segment, writer, uid=raw.OTHER_UID)
    os.close(writer)
    answer = os.read(reader, ROOM).decode()
    os.close(reader)
    if not raw.wait_for(child):
        raise RuntimeError("the guess was not answered")
    return answer.replace(f"'{segment}'", "'NAME'")


def attack(mempoold):
    raw.needs_root()
    with raw.Daemon(mempoold, SEGMENTS) as daemon:
        daemon.start_or_fail()
        there, not_there = (answer_to(daemon, daemon.name + end) for end in "az")
        if there != not_there:
            raw.succeeded(f"one that is there: {there}; one that is not: {not_there}")
        if daemon.name in answer_to(daemon, ""):
            raw.succeeded("a user who may not attach is told what the first one is called")
        raw.held_off(f"the answer is the same: {there}")


raw.main(attack)
