#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-metrics.py - standard input is text for Prometheus, and says it well

Stricter than who reads it: the format (version 0.0.4), each family in one piece behind its
HELP and TYPE, no series twice, the same labels throughout a family, counters that end in
_total and nothing else that does, base units, counts that are whole.

check-metrics.py FAMILY... - also, these are there
"""
import re
import sys

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
# Only \\ \" and \n are escapes; a quote or a line feed ends what is none.
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\[\\"n])*)"')
UNITS = ("_bytes", "_chunks", "_messages", "_clients", "_seconds", "_info", "_up", "_retired", "_claims", "_lanes",
         "_counted", "_total", "_senders", "_receivers", "_subscribers")
problems = []


def labels_of(text, where):
    found, at = {}, 0
    while at < len(text):
        label = LABEL.match(text, at)
        if not label:
            problems.append(f"{where}: no label: {text[at:]}")
            return found
        if label[1] in found or label[1].startswith("__"):
            problems.append(f"{where}: label {label[1]}")
        found[label[1]] = label[2]
        at = label.end()
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                problems.append(f"{where}: not between labels: {text[at:]}")
                return found
            at += 1
    return found


def check_family(name, kind):
    if kind not in ("counter", "gauge"):
        problems.append(f"{name}: type {kind}")
    if name.endswith("_total") != (kind == "counter"):
        problems.append(f"{name}: is a {kind}")
    if not name.startswith(("mempool_", "mempoolctl_")) or not name.endswith(UNITS):
        if not re.fullmatch(r"mempool_(pool_chunks|queue_messages|topic_messages)", name):
            problems.append(f"{name}: not one of our units")


data = sys.stdin.buffer.read()
text = data.decode("utf-8")
if not text.endswith("\n"):
    problems.append("the last line has no end")
families, series, labels_in, helped = {}, set(), {}, None
for i, line in enumerate(text.split("\n")[:-1], 1):
    meta = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
    if meta and meta[1] == "HELP":
        helped = meta[2]
        if re.search(r"\\(?![\\n])", meta[3]):
            problems.append(f"line {i}: escape in HELP")
        continue
    if meta:
        if meta[2] != helped or meta[2] in families:
            problems.append(f"line {i}: TYPE of {meta[2]} out of place")
        families[meta[2]] = meta[3]
        check_family(meta[2], meta[3])
        continue
    sample = re.fullmatch(rf"({NAME})(?:\{{(.+)\}})? ([0-9]+(?:\.[0-9]+)?)", line)
    if not sample:
        problems.append(f"line {i}: no sample: {line}")
        continue
    name = sample[1]
    if name != helped or name not in families:
        problems.append(f"line {i}: {name} out of place")
    labels = labels_of(sample[2] or "", f"line {i}")
    identity = (name, *sorted(labels.items()))
    if identity in series:
        problems.append(f"line {i}: twice: {line}")
    series.add(identity)
    if labels.get("holder") != "others" and \
            labels_in.setdefault(name, set(labels)) != set(labels):
        problems.append(f"line {i}: other labels than before: {line}")

problems += [f"no {name}" for name in sys.argv[1:] if name not in {s[0] for s in series}]
print("\n".join(problems) or f"{len(families)} families, {len(series)} series")
sys.exit(bool(problems) or not series)
