# SPDX-License-Identifier: MIT
"""rooms.py - the rooms of this house, which of them may include which, and what is against that

A room is a folder, or one file. A file is in the smallest room around it: daemon/base is one,
and what it may include says nothing of daemon. Who includes a room may call it; what it has to
tell upwards goes through functions that were handed in.
"""
import os
import pathlib
import re

# room: the rooms that its files include, all of them.
ROOMS = {
    "include": "",
    "include/mempool.h": "",
    "include/mempool_frame.h": "",
    "include/mempool.hpp": "include/mempool.h",
    "shm": "include",
    "client": "include include/mempool.h shm",
    "python": "include/mempool.h",
    "daemon": "daemon/base daemon/config daemon/segments daemon/sessions include shm",
    "daemon/sessions": "daemon/base daemon/config daemon/segments include shm",
    "daemon/segments": "daemon/base daemon/config include shm",
    "daemon/config": "daemon/base daemon/config/yaml shm",
    "daemon/config/yaml": "",
    "daemon/base": "shm",
    "ctl": "daemon/base daemon/config daemon/config/yaml include include/mempool.h shm",

    # Programs of users: the library as it is installed.
    "examples": "include/mempool.h include/mempool_frame.h",
    "docs/man/examples": "include/mempool.h include/mempool.hpp include/mempool_frame.h",
    "tests/cli": "include/mempool.h",
    "tests/cpp": "include/mempool.hpp",
    "tests/languages": "include/mempool.h include/mempool.hpp include/mempool_frame.h",
    "tests/systemd": "include/mempool.h",
    "tests/subproject": "include/mempool.h",

    "bench": "include/mempool.h shm tests/support",
    "tests/support": "",
}
# These look inside: they may include whatever is above, and nothing above includes them.
INSIDE = ("tests/crash", "tests/explore", "tests/fuzz", "tests/guard", "tests/live", "tests/stress",
          "tests/unit")

ROOMS = {room: tuple(included.split()) for room, included in ROOMS.items()}
ROOMS.update({room: tuple(ROOMS) for room in INSIDE})

# In quotes, and not of this repository: made by meson, or of the library that bench/ measures.
ELSEWHERE = re.compile(r"build_config\.h$|iceoryx_")

SOURCES = (".c", ".cc", ".cpp", ".h", ".hpp")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[ \t]*(?:(\")(.+?)\"|<(.+?)>|(.*))", re.M)


def room_of(path):
    """None: in no room."""
    while path:
        if path in ROOMS:
            return path
        path = path.rpartition("/")[0]
    return None


def module_of(path):
    """word.c and word.h are one."""
    return path.rpartition(".")[0]


class Sources:
    """The C files of a tree, and what they include of each other."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.problems = []
        # What meson builds of. A folder of builds has no meson.build, nor has debian/.
        folders = [path.parent for path in self.root.glob("*/meson.build")]
        found = [path for path in self.root.iterdir() if path.is_file()]
        for folder in folders + [self.root / "include"]:
            found += [pathlib.Path(where) / name
                      for where, _, names in os.walk(folder) for name in names]
        self.files = sorted(path.relative_to(self.root).as_posix()
                            for path in found if path.suffix in SOURCES)
        known = set(self.files)
        self.includes = {path: sorted(set(self.read(path, known))) for path in self.files}

        # module: {module that it includes: a file of it that does}
        self.modules = {module_of(path): {} for path in self.files}
        for path, included in self.includes.items():
            for other in included:
                if module_of(other) != module_of(path):
                    self.modules[module_of(path)].setdefault(module_of(other), path)

    def read(self, path, known):
        text = (self.root / path).read_text(encoding="utf-8")
        for quoted, name, installed, other in INCLUDE.findall(text):
            if other:
                self.problems.append(f"{path}: cannot tell what it includes: {other}")
                continue
            name = name or installed
            # As the compiler looks: beside the file, then where meson says.
            places = [folder + name for folder in ("", "include/", "tests/")]
            if quoted:
                places.insert(0, os.path.normpath(os.path.join(os.path.dirname(path), name)))
            for place in places:
                if place in known:
                    yield place
                    break
            else:
                if quoted and not ELSEWHERE.search(name):
                    self.problems.append(f"{path}: includes no file of the tree: {name}")

    def reaches(self, module, other):
        """Whether a module includes another one, whatever is in between."""
        seen, ahead = set(), [module]
        while ahead:
            at = ahead.pop()
            if at == other:
                return True
            if at not in seen:
                seen.add(at)
                ahead += self.modules[at]
        return False


def circle_in(graph):
    """A way through {node: nodes} that ends where it begins, or None."""
    done, way = set(), []

    def visit(node):
        if node in way:
            return way[way.index(node):] + [node]
        if node in done:
            return None
        way.append(node)
        for other in sorted(graph[node]):
            found = visit(other)
            if found:
                return found
        done.add(way.pop())
        return None

    for node in sorted(graph):
        found = visit(node)
        if found:
            return found
    return None


def problems_of(sources):
    """What is against the table, a line each."""
    problems = list(sources.problems)
    used = {}
    for path, included in sources.includes.items():
        room = room_of(path)
        if room is None:
            problems.append(f"{path}: is in no room")
            continue
        reached = used.setdefault(room, set())
        for other in included:
            to = room_of(other)
            if to not in (None, room):
                reached.add(to)
                if to not in ROOMS[room]:
                    problems.append(f"{path}: {room} may not include {to}: {other}")

    for room, allowed in ROOMS.items():
        if room not in used:
            problems.append(f"the table has a room without files: {room}")
        problems += [f"the table says that {room} includes {to}, and no file does"
                     for to in allowed if room not in INSIDE and to not in used.get(room, ())]

    way = circle_in(ROOMS)
    if way:
        problems.append("rooms in a circle: " + " -> ".join(way))
    way = circle_in(sources.modules)
    if way:
        files = [sources.modules[one][other] for one, other in zip(way, way[1:])]
        problems.append(f"files in a circle: {' -> '.join(way)} (by {', '.join(files)})")
    return problems
