# SPDX-License-Identifier: MIT
"""terminal.py - a program on a terminal of a known size, and what stands on its screen"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

import pyte

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from control import Patience  # noqa: E402

WAIT_SECONDS = 20


class Terminal:
    def __init__(self, command, columns=80, lines=24, **environment):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # The size before the program looks at it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", **environment})
        self.status = None

    def read(self, seconds=0.05):
        """What it has written by now; False: it closed the terminal."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def shows(self, found):
        """Whether found(text) holds soon."""
        with Patience() as patience:
            while patience.seconds() < WAIT_SECONDS:
                if found(self.text()):
                    return True
                if not self.read():
                    break
        return found(self.text())

    def press(self, keys):
        os.write(self.fd, keys)

    def resize(self, columns, lines):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        os.kill(self.pid, signal.SIGWINCH)

    def is_cooked(self):
        """Whether lines are edited and echoed, as a shell wants them."""
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def ends(self):
        """How: the exit status, or minus the signal. None: not soon."""
        with Patience() as patience:
            while patience.seconds() < WAIT_SECONDS:
                self.read()
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
                    while self.read(0) and select.select([self.fd], [], [], 0)[0]:
                        pass
                    return self.status
        return None

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
