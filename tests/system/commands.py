"""The command line as a child process, and whether it left any process behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = "VLA_TEST_FAMILY"


class Family:
    """A program, its output so far, and every process that descends from it."""

    def __init__(self, program: list[str], domain: int) -> None:
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: self.mark, "ROS_DOMAIN_ID": str(domain)}
        self.process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,  # no terminal, whose Ctrl-C would reach all at once
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            # A program that a test starts must hear Ctrl-C, even if the tests' shell does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.output = ""
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for a condition; the deadline shows the output."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} within {within_s} s\n{self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        """Return all output so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.output += self._lines.get_nowait()
        return self.output

    def members(self) -> list[str]:
        """Return the command lines of all living processes that carry the mark."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                if alive and self.mark.encode() in (folder / "environ").read_bytes():
                    words = (folder / "cmdline").read_bytes().decode().split("\0")
                    found.append(f"{folder.name} {' '.join(words)}")
        return found

    def end(
        self, number: int = signal.SIGINT, within_s: float = 20.0, others_s: float = 5.0
    ) -> int:
        """Send a signal, wait for the end and then for the others', and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(within_s)
        self.until(lambda: not self.members(), others_s, f"left behind: {self.members()}")
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@contextlib.contextmanager
def command(*arguments: str, domain: int) -> Iterator[Family]:
    """Run a command of the script `vla`; whatever is left of it at the end is killed."""
    with program(sys.executable, "-m", "vla_bringup.cli", *arguments, domain=domain) as family:
        yield family


@contextlib.contextmanager
def program(*words: str, domain: int) -> Iterator[Family]:
    """Run a program; whatever is left of it at the end is killed."""
    family = Family(list(words), domain)
    try:
        yield family
    finally:
        for line in family.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        family.process.wait()
