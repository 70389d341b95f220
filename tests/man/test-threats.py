#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-threats.py - each role and attack in docs/threat-model.md names tests, and they are there

In the last column of the tables stand test-NAME, fuzz-NAME, attack NAME, or scribble; a `name`
behind one of them is a case of it, an input of its corpus, or a word in it; * stands for
anything.
"""
import fnmatch
import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ["SOURCE"])
TESTS = SOURCE / "tests"
ATTACKS = set(re.findall(r"^  '(\w+)',", (TESTS / "attacks/meson.build").read_text(encoding="utf-8"),
                         re.M))
WORD = re.compile(r"attack (\w+)|`?((?:test|fuzz)-\w+|scribble)\b`?|`([^`]+)`")


def test_files(name):
    return [path for path in TESTS.glob(f"*/{name}.*") if path.suffix in (".c", ".py", ".sh")]


def names_in(path):
    """What a name behind the test may be."""
    text = path.read_text(encoding="utf-8")
    yield from re.findall(r"START_TEST\(test_(\w+)\)", text)
    yield from re.findall(r"\w+", text)
    if path.name.startswith("fuzz-"):
        yield from (file.name for file in (TESTS / "fuzz/corpus" / path.stem[5:]).iterdir())


def is_in(pattern, files):
    """A case has the name of its object before it."""
    return any(fnmatch.fnmatchcase(name, part)
               for path in files for name in names_in(path)
               for part in (pattern, "*_" + pattern))


def mistakes(cell):
    files = []
    for attack, test, name in WORD.findall(cell):
        if not name:
            files = test_files(test) if test else [TESTS / f"attacks/{attack}.py"]
            if attack and attack not in ATTACKS or not files:
                yield f"there is no {attack or test}"
        elif name.endswith("()"):
            continue
        elif not is_in(name, files):
            yield f"nothing in {' or '.join(path.name for path in files)} is called {name}"
    if not files:
        yield "no test"


rows = re.findall(r"^\| (.*?) \| .* \| (.*?) \|$",
                  (SOURCE / "docs/threat-model.md").read_text(encoding="utf-8"), re.M)
rows = [row for row in rows if not row[1].endswith("shown by")]
problems = [f"{attack}: {mistake}" for attack, cell in rows for mistake in mistakes(cell)]
told = {name for _, cell in rows for name in re.findall(r"attack (\w+)", cell)}
problems += [f"attack {name} stands in no row" for name in sorted(ATTACKS - told)]
print("\n".join(problems) or f"{len(rows)} roles and attacks")
sys.exit(bool(problems) or not rows)
