#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-errors.py - docs/errors.md has an entry for each message, and for no other

A message is the format of a call that logs, refuses a client or reports to the user of
mempoolctl. Conversions are … in the document, as are parts that the compiler puts in.
"""
import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ["SOURCE"])
CALL = re.compile(r"\b(?:log_(?:error|warning|notice|info|debug|at|limited|line)|session_refuse(?:_telling)?|space_fail|build_say|host_fail|ctl_error|writer_say)\(")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def arguments(text, start):
    """Of the call whose parenthesis ends at start: each with its line breaks."""
    depth, begin, at = 0, start, start
    while depth >= 0:
        string = STRING.match(text, at)
        if string:
            at = string.end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if (text[at] == "," and depth == 0) or depth < 0:
            yield text[begin:at].strip()
            begin = at + 1
        at += 1


def message(argument):
    """A format as the document writes it, or None: a declaration, or all of it a variable."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|\w+', argument)
    if not argument.startswith('"'):
        return None
    text = ""
    for part in parts:
        if part.startswith('"'):
            text += part[1:-1].replace('\\"', '"')
        elif part.startswith("PRI"):
            text += "u"
        else:
            text += "…"
    text = re.sub(r"%[-#0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]", "…", text)
    return re.sub("…+", "…", text)


def messages():
    for folder in ("daemon", "ctl"):
        for path in sorted((SOURCE / folder).rglob("*.c")):
            text = path.read_text(encoding="utf-8")
            for call in CALL.finditer(text):
                found = [message(part) for part in arguments(text, call.end())]
                found = [part for part in found if part]
                if found and found[0] != "…":
                    yield found[0], path.name


if sys.argv[1:] == ["list"]:
    for format_text, where in messages():
        print(where, format_text)
    sys.exit(0)

in_code = dict(messages())
document = (SOURCE / "docs/errors.md").read_text(encoding="utf-8")
entries = re.findall(r"^`([^`]+)`$", document, re.M)
problems = [f"{in_code[text]}: no entry for: {text}" for text in in_code if text not in entries]
problems += [f"nobody says: {text}" for text in entries if text not in in_code]
problems += [f"twice: {text}" for text in sorted(set(entries)) if entries.count(text) > 1]
print("\n".join(problems) or f"{len(entries)} messages")
sys.exit(bool(problems) or not entries)
