#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""draw.py - print docs/rooms.svg: the rooms, who includes whom, and from socket to segment

The arrows are those of rooms.py, but for what a way of other arrows says already; that stands
in the box. Each step of a flow is looked for in the #include lines: a line where one file
includes the next, broken where it is told through a function that was handed in. What does
not fit any more ends in an error, not in a wrong drawing.
"""
import html
import pathlib
import sys
import textwrap

sys.dont_write_bytecode = True
import rooms  # noqa: E402

WIDTH, HEIGHT = 1120, 980
INK, PALE, ARROW = "#24292f", "#57606a", "#6e7781"

# room: left, top, right, bottom, colour, where its text begins in it, letters in a line, what it is
BOXES = {
    "client": (24, 112, 214, 440, "#dafbe1", (64, 216), 17, "libmempool-client"),
    "include/mempool.h": (104, 484, 214, 604, "#eaeef2", (10, 0), 13, "mempool.h, the API"),
    "include/mempool_frame.h": (104, 609, 214, 671, "#eaeef2", (10, 0), 15,
                                "mempool_frame.h, pictures"),
    "daemon": (260, 124, 820, 202, "#fff1e5", (112, 0), 60,
               "main; the server, with the loop; reload"),
    "daemon/sessions": (260, 242, 608, 386, "#ffe2cc", (80, 0), 36,
                        "who connects, and what they say"),
    "daemon/segments": (260, 426, 608, 570, "#ffd3b0", (12, 0), 36,
                        "objects, and who lives in them"),
    "daemon/config": (652, 242, 820, 466, "#fff1e5", (12, 0), 20, "mempool.yaml, read and checked"),
    "daemon/config/yaml": (668, 388, 804, 450, "#ffffff", (12, 0), 16, "any YAML"),
    "daemon/base": (652, 510, 820, 570, "#fff1e5", (12, 0), 20, "log, clock, worker"),
    "ctl": (896, 112, 1096, 610, "#ddf4ff", (12, 180), 18, "mempoolctl"),
    "shm": (24, 676, 820, 758, "#fff8c5", (80, 0), 40, "code that works on a segment"),
    "include": (896, 676, 1096, 758, "#eaeef2", (12, 0), 22, "layout and protocol, the contracts"),
}
FRAME = (244, 98, 836, 586, "mempoold")

# What is no room: left, top, right, bottom, text
OUTSIDE = {
    "program": (24, 24, 214, 66, "a program"),
    "socket": (260, 24, 820, 66, "the socket: /run/mempool/mempoold.sock"),
    "person": (896, 24, 1096, 66, "a person, Prometheus"),
    "state": (260, 606, 380, 648, "state file"),
    "segment": (24, 794, 820, 836, "the segment in /dev/shm: header, tables, words, chunks, rings"),
}

# module: where its middle is
CHIPS = {
    "client/connection": (162, 186), "client/alloc": (70, 186), "client/cache": (70, 262),
    "daemon/server": (320, 163),
    "daemon/sessions/listener": (320, 312), "daemon/sessions/session": (434, 312),
    "daemon/sessions/dispatch": (548, 312), "daemon/sessions/client": (548, 360),
    "daemon/segments/host": (548, 496), "daemon/segments/generation": (434, 496),
    "daemon/segments/state": (320, 544), "daemon/segments/tenant": (434, 544),
    "daemon/segments/reaper": (548, 544),
    "shm/pool": (70, 730), "shm/holder": (434, 730), "shm/reap": (548, 730),
    "shm/census": (780, 730),
    "ctl/gather": (1048, 186), "ctl/observer": (948, 186), "ctl/snapshot": (1048, 262),
}
HALF_HEIGHT, LETTER = 12, 7.3

# Where an arrow between two rooms crosses, if not in the middle of what they have in common.
CROSSES = {
    ("client", "shm"): 46,
    ("client", "include/mempool.h"): 160,
    ("ctl", "include/mempool.h"): 596,
    ("daemon", "daemon/sessions"): 434,
    ("daemon/sessions", "daemon/segments"): 434,
}

# colour, where its number stands, what it is, and ways: each a list of places, and of points that
# a line turns at
FLOWS = [
    ("#bc4c00", (162, 89), [
        "A program joins. Its hello makes a tenant: a record in the state file, then a copy in the"
        " segment.",
        "The welcome says where the segment is, and the library maps it."], [
            ["program|162", "client/connection", (232, 186), (232, 45), "socket"],
            ["socket|320", "daemon/server", "daemon/sessions/listener", "daemon/sessions/session",
             "daemon/sessions/dispatch", "daemon/sessions/client", "daemon/segments/host",
             "daemon/segments/generation", "daemon/segments/tenant", "daemon/segments/state",
             "state|320"],
            ["daemon/segments/tenant", "shm/holder", "segment|434"]]),
    ("#1a7f37", (70, 89), ["It takes, frees and sends chunks: no daemon is asked."], [
        ["program|70", "client/alloc", "client/cache", "shm/pool", "segment|70"]]),
    ("#cf222e", (232, 465), ["It dies. A pidfd says so, and all that it held is freed."], [
        [(214, 410), (232, 410), (232, 520), (414, 520), "daemon/segments/tenant|414"],
        ["daemon/segments/tenant", "daemon/segments/reaper", "shm/reap", "segment|548"]]),
    ("#0969da", (1048, 89), ["mempoolctl asks which segments there are, and reads them itself."], [
        ["person|1048", "ctl/gather", "ctl/observer", (866, 186), (866, 45), "socket"],
        ["ctl/gather", "ctl/snapshot", (1048, 626), (780, 626), "shm/census", "segment|780"]]),
]


class Drawing:
    def __init__(self):
        self.parts = []

    def put(self, text):
        self.parts.append(text)

    def text(self, x, y, text, size=13, colour=INK, more=""):
        self.put(f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{more}>'
                 f"{html.escape(text)}</text>")

    def box(self, left, top, right, bottom, fill, more=""):
        self.put(f'<rect x="{left:g}" y="{top:g}" width="{right - left:g}" '
                 f'height="{bottom - top:g}" fill="{fill}"{more}/>')

    def line(self, points, colour, more=""):
        steps = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.put(f'<polyline points="{steps}" fill="none" stroke="{colour}"{more}/>')

    def arrow(self, points, colour, width, more=""):
        """With its head at the last point."""
        (x, y), (to_x, to_y) = points[-2:]
        length = max(abs(to_x - x), abs(to_y - y))
        dx, dy = (to_x - x) / length, (to_y - y) / length
        size = 4 + 2 * width
        end = (to_x - dx * size, to_y - dy * size)
        self.line(points[:-1] + [end], colour, f' stroke-width="{width}"{more}')
        corners = [(to_x, to_y)] + [(end[0] - side * dy * size / 2, end[1] + side * dx * size / 2)
                                    for side in (1, -1)]
        self.put('<polygon points="' + " ".join(f"{x:g},{y:g}" for x, y in corners)
                 + f'" fill="{colour}"/>')


def short(room):
    return room.removeprefix("include/").rpartition("/")[2]


def drawn_rooms():
    """Those of the product, with what they include of each other; but for what other languages have, which
    stands on mempool.h alone, as programs do."""
    product = {room for room in rooms.ROOMS if room.split("/")[0] in
               ("client", "ctl", "daemon", "include", "shm")} - {"include/mempool.hpp"}
    if product != set(BOXES):
        sys.exit(f"draw.py: give each room a box: {', '.join(sorted(product ^ set(BOXES)))}")
    return {room: set(rooms.ROOMS[room]) for room in BOXES}


def arrows_of(graph):
    """The arrows that no way of others stands for."""
    below = {}

    def reach(room):
        if room not in below:
            below[room] = set().union(*({to} | reach(to) for to in graph[room]))
        return below[room]

    return [(room, to) for room in graph for to in sorted(graph[room])
            if not any(to in reach(between) for between in graph[room] - {to})]


def contains(outer, inner):
    return (outer[0] <= inner[0] and outer[1] <= inner[1] and
            outer[2] >= inner[2] and outer[3] >= inner[3])


def way_between(room, to):
    """A straight line between two boxes that crosses no third."""
    a, b = BOXES[room][:4], BOXES[to][:4]
    at = CROSSES.get((room, to))
    if contains(a, b):
        x = at or (b[0] + b[2]) / 2
        points = [(x, b[1] - 26), (x, b[1])]
    elif max(a[0], b[0]) < min(a[2], b[2]):
        x = at or (max(a[0], b[0]) + min(a[2], b[2])) / 2
        points = [(x, a[3]), (x, b[1])] if a[3] < b[1] else [(x, a[1]), (x, b[3])]
    elif max(a[1], b[1]) < min(a[3], b[3]):
        y = at or (max(a[1], b[1]) + min(a[3], b[3])) / 2
        points = [(a[2], y), (b[0], y)] if a[2] < b[0] else [(a[0], y), (b[2], y)]
    else:
        sys.exit(f"draw.py: no straight way from {room} to {to}: move a box")
    xs, ys = sorted(x for x, _ in points), sorted(y for _, y in points)
    for other, box in list(BOXES.items()) + list(OUTSIDE.items()):
        if (other not in (room, to) and not contains(box, a) and not contains(box, b) and
                box[0] < xs[1] + 1 and box[2] > xs[0] - 1 and
                box[1] < ys[1] + 1 and box[3] > ys[0] - 1):
            sys.exit(f"draw.py: the arrow from {room} to {to} crosses {other}: move a box")
    return points


def half_width(module):
    return 8 + LETTER * len(short(module)) / 2


def place(step):
    """What a step of a way is: its name, its rectangle, and where a line meets it."""
    name, _, at = step.partition("|")
    if name in OUTSIDE:
        rect = OUTSIDE[name][:4]
    else:
        x, y = CHIPS[name]
        rect = (x - half_width(name), y - HALF_HEIGHT, x + half_width(name), y + HALF_HEIGHT)
    return name, rect, float(at) if at else None


def middle(rect, at):
    return at or (rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2


def edge(rect, at, towards):
    """Where a line from the middle of a rectangle leaves it, upright or level."""
    x, y = middle(rect, at)
    if rect[0] < towards[0] < rect[2]:
        return (towards[0] if at is None else x), (rect[1] if towards[1] < y else rect[3])
    return (rect[0] if towards[0] < x else rect[2]), y


def is_told(sources, before, module, to):
    """Not called: through a function that it, or one before, who knows both, has handed in."""
    if sources.reaches(module, to):
        return False
    if not (sources.reaches(to, module) or
            any({module, to} <= set(sources.modules[one]) for one in before)):
        sys.exit(f"draw.py: nothing leads from {module} to {to}: mend the flow")
    return True


def draw_way(drawing, sources, way, colour):
    """From place to place; points in between are where the line turns."""
    begin, turns, passed = None, [], []
    for step in way:
        if isinstance(step, tuple):
            if begin is None:
                begin = (None, (step[0], step[1], step[0], step[1]), None)
            else:
                turns.append(step)
            continue
        end = place(step)
        if begin is not None:
            first = turns[0] if turns else middle(end[1], end[2])
            last = turns[-1] if turns else middle(begin[1], begin[2])
            start = begin[1][:2] if begin[0] is None else edge(begin[1], begin[2], first)
            more = ' stroke-linejoin="round"'
            if begin[0] in CHIPS and end[0] in CHIPS:
                if is_told(sources, passed, begin[0], end[0]):
                    more += ' stroke-dasharray="4 3"'
                passed.append(begin[0])
            drawing.arrow([start] + turns + [edge(end[1], end[2], last)], colour, 2, more)
        begin, turns = end, []


def draw_room(drawing, room, graph, arrows):
    left, top, right, bottom, colour, (dx, dy), letters, what = BOXES[room]
    x, y = left + dx, top + dy + 20
    drawing.box(left, top, right, bottom, colour, f' rx="6" stroke="{ARROW}"')
    name = "include" if room.startswith("include/") else room.replace("daemon/config/", "")
    drawing.text(x, y, name + "/", 14, INK, ' font-weight="bold"')
    implied = sorted(short(to) for to in graph[room] if (room, to) not in arrows)
    lines = [(line, "") for line in textwrap.wrap(what, letters)]
    if implied:
        lines += [(line, ' font-style="italic"')
                  for line in textwrap.wrap("also " + ", ".join(implied), letters)]
    for line, more in lines:
        y += 16
        drawing.text(x, y, line, 12, PALE, more)


def draw_number(drawing, number, x, y, colour):
    drawing.put(f'<circle cx="{x:g}" cy="{y:g}" r="9" fill="{colour}"/>')
    drawing.text(x, y + 4, str(number), 12, "#ffffff", ' text-anchor="middle" font-weight="bold"')


def draw_legend(drawing):
    y = 868
    for number, (colour, _, lines, _) in enumerate(FLOWS, 1):
        draw_number(drawing, number, 40, y, colour)
        for line in lines:
            drawing.text(60, y + 4, line)
            y += 20
    drawing.arrow([(730, 868), (770, 868)], ARROW, 4)
    drawing.text(784, 872, "includes, and may call")
    drawing.text(730, 892, "also", 13, PALE, ' font-style="italic"')
    drawing.text(784, 892, "includes too; arrows lead there already")
    drawing.arrow([(730, 908), (770, 908)], PALE, 2)
    drawing.text(784, 912, "calls on this flow")
    drawing.arrow([(730, 928), (770, 928)], PALE, 2, ' stroke-dasharray="4 3"')
    drawing.text(784, 932, "tells, through a function handed in")


def draw(sources):
    graph = drawn_rooms()
    arrows = arrows_of(graph)
    drawing = Drawing()
    drawing.put(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif">')
    drawing.put("<title>The rooms of mempoold, who includes whom, and how data flows</title>")
    drawing.box(0, 0, WIDTH, HEIGHT, "#ffffff")

    left, top, right, bottom, what = FRAME
    drawing.box(left, top, right, bottom, "none",
                f' rx="10" stroke="{ARROW}" stroke-dasharray="2 4"')
    drawing.text(right - 86, top + 18, what, 14, PALE, ' font-style="italic"')
    for left, top, right, bottom, what in OUTSIDE.values():
        drawing.box(left, top, right, bottom, "#ffffff", f' rx="20" stroke="{INK}"')
        drawing.text((left + right) / 2, (top + bottom) / 2 + 5, what, 13, INK,
                     ' text-anchor="middle"')
    for room in BOXES:
        draw_room(drawing, room, graph, arrows)
    for room, to in arrows:
        drawing.arrow(way_between(room, to), ARROW, 4)
    for module in CHIPS:
        if module not in sources.modules:
            sys.exit(f"draw.py: no {module}.c or .h: mend the flow")
    for number, (colour, at, _, ways) in enumerate(FLOWS, 1):
        for way in ways:
            draw_way(drawing, sources, way, colour)
        draw_number(drawing, number, *at, colour)
    for module, (x, y) in CHIPS.items():
        half = half_width(module)
        drawing.box(x - half, y - HALF_HEIGHT, x + half, y + HALF_HEIGHT, "#ffffff",
                    f' rx="4" stroke="{INK}"')
        drawing.text(x, y + 4, short(module), 12, INK,
                     ' text-anchor="middle" font-family="DejaVu Sans Mono, monospace"')
    draw_legend(drawing)
    drawing.put("</svg>")
    return "\n".join(drawing.parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(draw(rooms.Sources(pathlib.Path(__file__).resolve().parents[2])))
