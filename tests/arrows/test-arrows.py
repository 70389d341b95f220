#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-arrows.py - who includes whom is as rooms.py says, and so are the drawing and README.md

What is wrong on purpose, in a copy of the tree, is found and named.
"""
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import draw  # noqa: E402
import rooms  # noqa: E402

SOURCE = pathlib.Path(os.environ["SOURCE"])
n_failed = 0


def check(what, problems):
    global n_failed
    problems = list(problems)
    print("not ok" if problems else "ok", "-", what)
    for problem in problems:
        print("#", problem)
    n_failed += bool(problems)


def unlike_drawing(sources):
    """Whether docs/rooms.svg is another drawing than would be made now."""
    try:
        drawn = draw.draw(sources)
    except SystemExit as error:
        yield str(error)
        return
    if (SOURCE / "docs/rooms.svg").read_text(encoding="utf-8") != drawn:
        yield "docs/rooms.svg is another one: tests/arrows/draw.py >docs/rooms.svg"


def without_row():
    """Rooms that README.md's table of folders forgets."""
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", readme[readme.index("## Folders"):], re.M)
    named = {folder.rstrip("/") for row in rows for folder in row.split(", ")}
    for room in rooms.ROOMS:
        top = room.partition("/")[0]
        folder = room if top == "daemon" else top
        if folder not in named and os.path.dirname(folder) not in named - {"daemon"}:
            yield f"README.md: no row for {folder}/"


def plant(root, path, line):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


# What is put in: a file, a line at its end, and what is to be said of it, all of that.
PLANTED = {
    "an arrow back": (
        "daemon/base/log.c", '#include "daemon/sessions/session.h"',
        [r"daemon/base/log\.c: daemon/base may not include daemon/sessions: "
         r"daemon/sessions/session\.h",
         r"files in a circle: .*daemon/base/log.*"]),
    "an arrow back that makes no circle of files": (
        "daemon/config/yaml/value.c", '#include "daemon/segments/peak.h"',
        [r"daemon/config/yaml/value\.c: daemon/config/yaml may not include daemon/segments: .*"]),
    "an arrow across": (
        "daemon/server.c", '#include "client/cache.h"',
        [r"daemon/server\.c: daemon may not include client: client/cache\.h"]),
    "the arrow of an installed header": (
        "shm/word.h", "#include <mempool.h>",
        [r"shm/word\.h: shm may not include include/mempool\.h: include/mempool\.h"]),
    "an arrow to a test": (
        "ctl/text.c", "#include <support/control.h>",
        [r"ctl/text\.c: ctl may not include tests/support: tests/support/control\.h"]),
    "a file without a room": (
        "tests/attic/new.c", "", [r"tests/attic/new\.c: is in no room"]),
    "a file without a folder": (
        "new.h", "", [r"new\.h: is in no room"]),
    "a circle of two files": (
        "shm/word.h", '#include "shm/pool.h"', [r"files in a circle: .*shm/pool.*"]),
    "a file that is not there": (
        "shm/word.h", '#include "shm/words.h"',
        [r"shm/word\.h: includes no file of the tree: shm/words\.h"]),
    "a name that only the compiler knows": (
        "shm/word.h", "# include WORD", [r"shm/word\.h: cannot tell what it includes: WORD"]),
}


def unseen(said, expected):
    """What was to be said and was not, or the other way round."""
    said = list(said)
    for pattern in expected:
        if not any(re.fullmatch(pattern, line) for line in said):
            yield f"nobody said: {pattern}"
    for line in said:
        if not any(re.fullmatch(pattern, line) for pattern in expected):
            yield f"said: {line}"


sources = rooms.Sources(SOURCE)
check(f"{len(sources.files)} files in {len(rooms.ROOMS)} rooms: each arrow is in the table",
      rooms.problems_of(sources))
check("docs/rooms.svg is of this table and these files", unlike_drawing(sources))
check("README.md has a row for each room", without_row())

with tempfile.TemporaryDirectory() as folder:
    for what, (path, line, expected) in PLANTED.items():
        root = pathlib.Path(folder) / what.replace(" ", "-")
        for copied in sources.files + [f.relative_to(SOURCE) for f in SOURCE.glob("*/meson.build")]:
            (root / copied).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SOURCE / copied, root / copied)
        plant(root, path, line)
        check(f"planted and found: {what}",
              unseen(rooms.problems_of(rooms.Sources(root)), expected))

# Wrong tables and flows, for the tree as it is.
ROOMS = rooms.ROOMS
rooms.ROOMS = {**ROOMS, "shm": ROOMS["shm"] + ("client",)}
check("planted and found: an arrow of the table that no file has, and a circle of rooms",
      unseen(rooms.problems_of(sources),
             ["the table says that shm includes client, and no file does",
              "rooms in a circle: shm -> client -> shm"]))
rooms.ROOMS = {**ROOMS, "daemon/attic": ()}
check("planted and found: a room without files",
      unseen(rooms.problems_of(sources), ["the table has a room without files: daemon/attic"]))
check("planted and found: a room that is not drawn",
      unseen(unlike_drawing(sources), ["draw.py: give each room a box: daemon/attic"]))
rooms.ROOMS = {**ROOMS, "ctl": ("include",)}
check("planted and found: a drawing of another table",
      unseen(unlike_drawing(sources), ["docs/rooms.svg is another one: .*"]))
rooms.ROOMS = ROOMS
modules = sources.modules
sources.modules = {**modules, "daemon/segments/host": {}}
check("planted and found: a flow that no include leads along",
      unseen(unlike_drawing(sources),
             ["draw.py: nothing leads from daemon/segments/host to .*/generation: mend the flow"]))
del sources.modules["daemon/segments/host"]
check("planted and found: a flow through a file that is gone",
      unseen(unlike_drawing(sources), ["draw.py: no daemon/segments/host.c or .h: .*"]))

sys.exit(n_failed > 0)
