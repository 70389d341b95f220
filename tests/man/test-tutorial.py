#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-tutorial.py - docs/tutorial.md: each file in it is written, each command is run, and says what it should

A block "```LANGUAGE NAME" is a file. Lines that begin with "$ " are commands, for one shell; what stands below
one is what it says. "..." is anything, in a line or of lines; 47 and two digits are any process id; how many
spaces there are makes no difference. A command that only looks (LOOKS) is run again until it says that, for what
it looks at goes on beside it. "```console root" needs root and namespaces, and is left out without them.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

LOOKS = ("mempoolctl ", "tail ", "cat ")
DEADLINE_SECONDS = 60
NAMESPACES = "unshare --mount --pid --ipc --uts --net --fork --mount-proc true"


def blocks(text):
    """Yield (file name or "$" or "$root", lines), in order."""
    info, lines = None, []
    for line in text.splitlines() + ["end"]:
        fence = re.match(r"```(\S*) ?(\S*)", line)
        if info is None and fence and fence.group(1):
            if lines:
                yield "$", lines
            lines = []
            info = "$" + fence.group(2) if fence.group(1) == "console" else fence.group(2)
        elif info is not None and line == "```":
            yield info, lines
            info, lines = None, []
        elif info is not None:
            lines.append(line)
        elif line.startswith("    "):
            lines.append(line[4:])
        elif lines and not line:
            lines.append(line)
        elif lines:
            yield "$", lines
            lines = []


def steps(lines):
    """Yield (command, expected lines)."""
    command, expected = None, []
    for line in lines + ["$ "]:
        if not line.startswith("$ "):
            expected.append(line)
            continue
        if command:
            yield command, expected
        command, expected = line[2:], []


def squeeze(lines):
    return [" ".join(line.split()) for line in lines if line.strip()]


def pattern(expected):
    text = ""
    for line in squeeze(expected):
        if line == "...":
            text += r"(?:.*\n)*"
            continue
        words = (".*".join(re.escape(part) for part in line.split("...")))
        text += re.sub(r"\b47\d\d\b", r"\\d+", words) + r"\n"
    return re.compile(text)


class Shell:
    """One bash, as a person has one."""

    def __init__(self, output):
        self.output = output
        self.reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        self.writer = writer
        # It stands in a group of its own, with all that it starts.
        self.bash = subprocess.Popen(["bash"], stdin=subprocess.PIPE, text=True,
                                     pass_fds=[writer], start_new_session=True)

    def run(self, command):
        """Return (status, lines)."""
        self.bash.stdin.write(f"{{ {command}\n}} >{self.output} 2>&1 </dev/null\n"
                              f"echo $? >&{self.writer}\n")
        self.bash.stdin.flush()
        status = b""
        while not status.endswith(b"\n"):
            status += os.read(self.reader, 16)
        return int(status), self.output.read_text(encoding="utf-8").splitlines()

    def end(self):
        self.bash.stdin.close()
        self.bash.wait()


def holds(shell, command, expected):
    wanted, deadline = pattern(expected), time.monotonic() + DEADLINE_SECONDS
    while True:
        status, found = shell.run(command)
        said = "".join(line + "\n" for line in squeeze(found))
        is_right = wanted.fullmatch(said) and (status == 0 or command.startswith("kill "))
        if is_right or not command.startswith(LOOKS) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if not is_right:
        print(f"# ended with {status}; expected:", *expected, "found:", *found, sep="\n# ")
    return is_right


def main():
    missing = [tool for tool in ("cc", "pkg-config") if not shutil.which(tool)]
    if missing:
        print("skipped: needs", *missing)
        return 77
    page = pathlib.Path(os.environ["SOURCE"], "docs/tutorial.md").read_text(encoding="utf-8")
    name = f"tutorial-{os.getpid()}"
    folder = pathlib.Path("/tmp", name)
    output = pathlib.Path(f"/tmp/{name}.said")
    has_namespaces = subprocess.run(NAMESPACES.split(), capture_output=True).returncode == 0
    for variable in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "JOURNAL_STREAM", "MEMPOOL_SOCKET"):
        os.environ.pop(variable, None)
    os.environ["PATH"] = os.environ["PROGRAMS"] + ":" + os.environ["PATH"]
    shell, n_failed, n_steps = Shell(output), 0, 0
    try:
        for info, lines in blocks(page.replace("tutorial", name)):
            if not info.startswith("$"):
                (folder / info).write_text("\n".join(lines) + "\n", encoding="utf-8")
                continue
            if info == "$root" and not has_namespaces:
                print("# left out: namespaces need root:", *lines)
                continue
            for command, expected in steps(lines):
                is_right = holds(shell, command, expected)
                print("ok -" if is_right else "not ok -", command)
                n_failed += not is_right
                n_steps += 1
    finally:
        shell.run("kill -KILL $hold $work $daemon; wait")
        shell.run(f"cd /; mempoold --config {folder}/mempool.yaml --remove; rm -rf {folder}")
        shell.end()
        output.unlink(missing_ok=True)
    return int(n_failed > 0 or n_steps < 30)


if __name__ == "__main__":
    sys.exit(main())
