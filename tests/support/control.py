# SPDX-License-Identifier: MIT
"""control.py - time bounds of Python tests; as control.h has it"""
import os
import signal
import time


class Patience:
    """A clock: by the wall for a moment, in which most waits end, then by a control.

    Where it is read only behind a call that may block, moment is 0.
    """

    def __init__(self, moment=1):
        self.begin = time.monotonic()
        self.moment = moment
        self.pid = None
        if moment == 0:
            self._start_control()

    def _start_control(self):
        self.pid = os.fork()
        if self.pid == 0:
            os.closerange(0, 1 << 16)
            parent = os.getppid()
            while os.getppid() == parent:
                pass
            os._exit(0)

    def seconds(self):
        if self.pid is None:
            passed = time.monotonic() - self.begin
            if passed < self.moment:
                return passed
            self._start_control()
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(") ")[2].split()
        return self.moment + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
