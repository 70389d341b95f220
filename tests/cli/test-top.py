#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test-top.py SEGMENT SEGMENT WORKER - mempoolctl top on a terminal, for test-top.sh

The first segment has two pools, a queue and a topic, and WORKER is the pid of a client that
holds 7 of 10 chunks of its first pool; the second has one pool that nobody uses.
"""
import os
import re
import signal
import sys
import time

try:
    from terminal import Terminal
except ModuleNotFoundError as missing:
    print("skipped:", missing, "(python3-pyte)")
    sys.exit(77)

FIRST, SECOND, WORKER = sys.argv[1:4]
TOP = [os.environ["MEMPOOLCTL"], "top"]
os.environ["TSAN_OPTIONS"] = (os.environ.get("TSAN_OPTIONS", "") + ":suppressions=" +
                              os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                           "tsan-ncurses.supp"))
n_failed = 0


def check(what, is_so):
    global n_failed
    print("ok" if is_so else "not ok", "-", what)
    n_failed += not is_so
    return is_so


def shows(terminal, what, *patterns):
    """Each pattern matches a line."""
    def found(text):
        return all(re.search(pattern, text, re.M) for pattern in patterns)
    if not check(what, terminal.shows(found)):
        print(*("# " + line for line in terminal.text().split("\n")), sep="\n")


def lines(terminal):
    return terminal.text().split("\n")


def ends(terminal, what, expected):
    found = terminal.ends()
    if not check(what, found == expected):
        print(f"# ended with {found}, not {expected}")
    check(f"{what}: the terminal is as it was", terminal.is_cooked())
    # The cursor is back, and the other screen.
    check(f"{what}: nothing is left of it", b"\x1b[?1049l" in terminal.raw and
          re.search(rb"\x1b\[\?(12;|12l\x1b\[\?)?25h", terminal.raw[terminal.raw.rfind(b"1049h"):]))
    terminal.close()


top = Terminal([*TOP, "-n", "0.2"])
shows(top, "the title", r"^mempoolctl top  \d\d:\d\d:\d\d  every 0.2 s  segment 1 of 2$")
shows(top, "the segment", rf"^{FIRST}: /mempool-{FIRST}.1, generation 1, \S+ KiB, ready$")
shows(top, "the sums", r"^8 of 15 chunks used: 7 alone, 0 in flight, 1 shared$")
shows(top, "pools, with a bar", r"POOL  SIZE  TOTAL  USED  PEAK  EXHAUSTED  LARGER  MOVES/S",
      r"^ +0 +100 +10 +7 +7 +0 +0 +0  █+░+  70%$")
shows(top, "queue and topic", r"^  queue  frames +8 +0 +0 +0  ░+   0%$",
      r"^  topic  camera +4 +1 +0 +-  █+░+  25%$")
shows(top, "who holds the chunks, and how it grows",
      rf"^ +{WORKER}  \S+ +worker +\d\d:\d\d:\d\d +7 +700 B +0 +\+0$")
shows(top, "the keys", r"^q quit  s sort: bytes  p pause  Tab segment")
check("bars are coloured", b"\x1b[32m" in top.raw or b"\x1b[38;5;2m" in top.raw)
check("24 lines, none longer than 80", len(lines(top)) == 24 and all(len(l) <= 80 for l in lines(top)))

for key in ("shared", "growth", "id", "bytes"):
    top.press(b"s")
    shows(top, f"s sorts by {key}", rf"s sort: {key}")

top.press(b"\t")
shows(top, "Tab shows the next segment", rf"^{SECOND}: ", r"segment 2 of 2")
top.press(b"\t")
shows(top, "and then the first again", rf"^{FIRST}: ", r"segment 1 of 2")

top.press(b"p")
shows(top, "p pauses", r"PAUSED$")
before, n = -1, len(top.raw)
while n > before:
    # Until it has drawn that.
    top.read(0.3)
    before, n = n, len(top.raw)
before = len(top.raw)
time.sleep(0.7)
top.read(0)
check("and nothing moves", len(top.raw) == before)
top.press(b"p")
check("until p is pressed again", top.shows(lambda text: "PAUSED" not in text))

top.resize(120, 40)
shows(top, "a larger terminal is used", r"^ +0 +100 +10 +7 .*█{10,}░+  70%$")
check("to its last line", top.shows(lambda text: text.split("\n")[39].startswith("q quit")))
top.resize(60, 8)
check("a small one is enough", top.shows(lambda text: text.split("\n")[7].startswith("q quit")))
check("and scrolls", "PID" not in top.text())
top.press(b"\x1bOB" * 12)
shows(top, "down to the holders", r"\bworker\b")
top.press(b"\x1b[5~" * 9)
shows(top, "and up again", r"^  POOL")
top.resize(9, 2)
top.resize(80, 24)
shows(top, "from hardly anything back to all", rf"^ +{WORKER} ", r"^q quit")
os.kill(top.pid, signal.SIGTSTP)
time.sleep(0.3)
os.kill(top.pid, signal.SIGCONT)
shows(top, "stopped and continued", rf"^ +{WORKER} ", r"^q quit")
top.press(b"q")
ends(top, "q quits", 0)

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    top = Terminal(TOP)
    shows(top, f"before {number.name}", rf"^{FIRST}: ")
    os.kill(top.pid, number)
    ends(top, f"{number.name} ends it as it ends others", -number)

top = Terminal(TOP)
shows(top, "before Ctrl-C", rf"^{FIRST}: ")
top.press(b"\x03")
ends(top, "so does Ctrl-C", -signal.SIGINT)

top = Terminal([*TOP, "--count", "2", "-n", "0.1", "--segment", SECOND])
ends(top, "--count ends it", 0)
check("--segment shows that one", SECOND.encode() in top.raw and b"segment 1 of 1" in top.raw)

top = Terminal([*TOP, "--shm", f"mempool-{FIRST}.1"], NO_COLOR="1", LC_ALL="C")
shows(top, "an object without a daemon, in ASCII", r"  #+\.+  70%$")
check("no colour with NO_COLOR", not re.search(rb"\x1b\[3[0-9]m|\x1b\[38;", top.raw))
top.press(b"q")
ends(top, "and quits", 0)

for term, what in (("dumb", "a dumb terminal is drawn on as far as it goes, or refused"),
                   ("no-such-terminal", "an unknown terminal is refused")):
    top = Terminal(TOP, TERM=term)
    top.shows(lambda text: "mempoolctl" in text)
    top.press(b"q")
    check(what, top.ends() in ((0, 1) if term == "dumb" else (1,)))
    top.close()

sys.exit(n_failed > 0)
