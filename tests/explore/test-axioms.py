#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-axioms.py - random small programs: the explorer finds exactly what the axioms allow

	test-axioms.py EXPLORE [PROGRAMS [SEED]]

The explorer runs a program step by step, with histories and clocks. Here the same program is judged
as the standard does it: each choice of what the loads read, of the modification orders and of S is
tried, and kept if it breaks no axiom. Both must come to the same results.

The axioms: coherence and atomicity; sb and rf have no circle (no load buffering); there is an order S of
all seq_cst operations, which agrees with happens-before, and with what C++20 says of pairs that are
coherence-ordered, fences among them. A release sequence goes on with read-modify-writes alone. As the
explorer has it, what follows one of those in its modification order is executed later.

What the explorer sees and the axioms forbid is an error. The other way round there is a rest: S may go
against the order of execution where a value went through relaxed loads, which no processor does. That
is rare: more than one program of 200 is an error as well.
"""
import itertools
import random
import subprocess
import sys

ORDERS = {"W": "rls", "R": "ras", "A": "rqs", "F": "alqs"}


def draw(rng):
    """A program as text. Values are small, and each store of a location has its own."""
    n_threads = rng.choice((2, 2, 3))
    left = {2: 7, 3: 7}[n_threads]
    values = {"x": 0, "y": 0}
    n_writes = n_sc = 0
    threads = []
    for i in range(n_threads):
        n_ops = rng.randint(1, 3 if n_threads == 2 else 2)
        ops = []
        for _ in range(n_ops):
            kind = rng.choice("WWRRRAF")
            where = rng.choice("xy")
            order = rng.choice(ORDERS[kind] + ("s" if rng.random() < 0.5 else ""))
            if kind in "WA" and (n_writes == 4 or values[where] == 3):
                kind, order = "R", "r" if order in "rl" else order.replace("q", "a")
            if order == "s" and n_sc == 5:
                order = "r" if kind != "F" else "q"
            n_sc += order == "s"
            if kind == "W":
                values[where] += 1
                n_writes += 1
                ops.append(f"W{where}{values[where]}{order}")
            elif kind == "A":
                values[where] += 1
                n_writes += 1
                ops.append(f"A{where}2{order}")
            elif kind == "R":
                ops.append(f"R{where}{order}")
            else:
                ops.append(f"F{order}")
        threads.append(ops)
    return "|".join(";".join(ops) for ops in threads)


class Event:
    def __init__(self, number, thread, text):
        self.number, self.thread = number, thread
        self.kind, self.order = text[0], text[-1]
        self.where = text[1] if self.kind != "F" else None
        self.value = int(text[2]) if self.kind in "WA" else None
        self.reads, self.writes = self.kind in "RA", self.kind in "WA"
        self.acquires = self.order in "aqs" and self.kind != "W"
        self.releases = self.order in "lqs" and self.kind != "R"
        self.sc = self.order == "s"


def closure(n, edges):
    """Reachability as bit masks, or None if there is a circle."""
    reach = [0] * n
    for a, b in edges:
        reach[a] |= 1 << b
    for k in range(n):
        bit, row = 1 << k, reach[k]
        for i in range(n):
            if reach[i] & bit:
                reach[i] |= row
    if any(reach[i] >> i & 1 for i in range(n)):
        return None
    return reach


def results(text):
    """All that the axioms allow."""
    events = []
    threads = []
    for t, part in enumerate(text.split("|")):
        threads.append([Event(len(events) + i, t, op) for i, op in enumerate(part.split(";"))])
        events += threads[-1]
    n = len(events)
    sb = [(a.number, b.number) for ops in threads
          for i, a in enumerate(ops) for b in ops[i + 1:]]
    before = {(a, b) for a, b in sb}
    reads = [e for e in events if e.reads]
    wheres = ("x", "y", "z")
    writes = {w: [e for e in events if e.writes and e.where == w] for w in wheres}
    sources = [[None] + [w for w in writes[r.where] if w is not r] for r in reads]
    found = set()
    for orders in itertools.product(*(itertools.permutations(writes[w]) for w in wheres)):
        place = {}
        for order in orders:
            for i, w in enumerate(order):
                place[w] = i + 1
        # A read-modify-write reads what is just before it.
        choices = []
        for r, all_of in zip(reads, sources):
            if r.writes:
                all_of = [s for s in all_of if (place[s] if s else 0) == place[r] - 1]
            choices.append(all_of)
        for chosen in itertools.product(*choices):
            rf = dict(zip(reads, chosen))
            steps = sb + [(s.number, r.number) for r, s in rf.items() if s]
            steps += [(r.number, w.number) for r in reads if r.writes
                      for w in writes[r.where] if place[w] > place[r]]
            if closure(n, steps) is None:
                continue
            result = judge(events, threads, before, sb, rf, place, orders)
            if result:
                found.add(result)
    return found


def value_of(event, rf):
    if event is None:
        return 0
    if event.kind == "W":
        return event.value
    return value_of(rf[event], rf) + event.value


def synchronizes(events, threads, before, rf):
    """Pairs of a release and an acquire."""
    pairs = []
    for r, s in rf.items():
        # The heads of the release sequences that r reads from.
        heads = []
        while s is not None:
            heads.append(s)
            s = rf[s] if s.kind == "A" else None
        if r.acquires:
            ends = [r]
        else:
            ends = []
        ends += [f for f in threads[r.thread] if f.kind == "F" and f.acquires and
                 (r.number, f.number) in before]
        for head in heads:
            begins = [head] if head.releases else []
            begins += [f for f in threads[head.thread] if f.kind == "F" and f.releases and
                       (f.number, head.number) in before]
            pairs += [(b.number, e.number) for b in begins for e in ends if b is not e]
    return pairs


def judge(events, threads, before, sb, rf, place, orders):
    """The result, if no axiom is broken."""
    n = len(events)
    hb = closure(n, sb + synchronizes(events, threads, before, rf))
    if hb is None:
        return None
    # What each access stands for in the modification order of its location.
    at_read = {r: place[s] if s else 0 for r, s in rf.items()}
    accesses = [e for e in events if e.kind != "F"]
    for a in accesses:
        for b in accesses:
            if a is b or a.where != b.where or not hb[a.number] >> b.number & 1:
                continue
            newest = max(place.get(a, 0), at_read.get(a, 0))
            if b.reads and at_read[b] < newest:
                return None
            if b.writes and place[b] <= newest:
                return None
    # Coherence-ordered before, of one location.
    cob = []
    for a in accesses:
        for b in accesses:
            if a is b or a.where != b.where:
                continue
            if a.writes and (place[a] < place.get(b, 0) or place[a] <= at_read.get(b, -1)):
                cob.append((a, b))
            elif a.reads and b.writes and at_read[a] < place[b] and a is not b:
                cob.append((a, b))
            elif a.reads and b.reads and at_read[a] < at_read[b]:
                cob.append((a, b))
    sc = [e for e in events if e.sc]
    fences = [e for e in sc if e.kind == "F"]
    edges = [(a.number, b.number) for a in sc for b in sc
             if a is not b and hb[a.number] >> b.number & 1]
    for a, b in cob:
        froms = ([a] if a.sc else []) + [f for f in fences if hb[f.number] >> a.number & 1]
        tos = ([b] if b.sc else []) + [f for f in fences if hb[b.number] >> f.number & 1]
        edges += [(f.number, t.number) for f in froms for t in tos]
    # There is such an order if this has no circle.
    if any(a == b for a, b in edges) or closure(n, edges) is None:
        return None
    read = "".join(str(value_of(rf[e], rf)) for e in events if e.reads)
    last = "".join(str(value_of(order[-1], rf)) if order else "0" for order in orders)
    return f"{read} {last}"


class Explorer:
    def __init__(self, path):
        self.process = subprocess.Popen([path, "--programs"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def results(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        found = set()
        while (line := self.process.stdout.readline().rstrip("\n")) != "end":
            if not line:
                sys.exit(f"the explorer does not take {text}")
            found.add(line)
        return found


def main():
    path, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300
    rng = random.Random(sys.argv[3] if len(sys.argv) > 3 else "1")
    explorer = Explorer(path)
    n_forbidden = n_unseen = n_results = 0
    for _ in range(count):
        text = draw(rng)
        allowed, seen = results(text), explorer.results(text)
        n_results += len(allowed)
        n_forbidden += bool(seen - allowed)
        n_unseen += bool(allowed - seen)
        if allowed != seen:
            print(f"{text}\n  seen, and not allowed: {sorted(seen - allowed)}"
                  f"\n  allowed, and not seen: {sorted(allowed - seen)}")
    print(f"{count} programs, {n_results} results; of {n_forbidden} programs something forbidden was "
          f"seen, of {n_unseen} not all that is allowed")
    sys.exit(n_forbidden > 0 or n_unseen * 200 > count)


if __name__ == "__main__":
    main()
