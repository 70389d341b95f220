#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""expand.py PAGE EXAMPLES_DIR - print a manual page with its example programs in it

A line `.\\" @include FILE` becomes a literal display of that file, so that what a reader
sees is what the tests compile and run. The licence line of a program is left out.

expand.py --link SECTION/PAGE - print a page that shows another one
"""
import pathlib
import sys

MARK = '.\\" @include '

# As groff_man_style(7) wants code: ASCII that stays ASCII when it is copied.
ESCAPES = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha",
                         "~": "\\(ti", '"': "\\(dq"})


def display(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines and "SPDX-License-Identifier" in lines[0]:
        lines = lines[1:]
    yield ".Bd -literal"
    for line in lines:
        text = line.expandtabs(8).translate(ESCAPES)
        yield "\\&" + text if text.startswith(".") else text
    yield ".Ed"


def expand(page, examples):
    lines = page.read_text(encoding="utf-8").splitlines()
    for line, after in zip(lines, [*lines[1:], ""]):
        if not line.startswith(MARK):
            yield line
            continue
        yield from display(examples / line[len(MARK):])
        if not after.startswith((".S", ".Pp", MARK)):
            yield ".Pp"


if len(sys.argv) != 3:
    sys.exit("usage: expand.py PAGE EXAMPLES_DIR | --link SECTION/PAGE")
if sys.argv[1] == "--link":
    print(".so " + sys.argv[2])
else:
    for output in expand(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])):
        print(output)
