"""One child process: in a group of its own, dies with its parent, output into a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A running program.

    Its group is its own, so that Ctrl-C in the terminal reaches only the parent, which then ends
    all children in order; and the kernel kills it when the parent dies for whatever reason.

    Args:
        nice: priority, below 0 comes first; ignored where that is not permitted.
        on_line: called with each line of output, from a thread; None: only the file gets them.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        nice: int = 0,
    ) -> None:
        self.log = log
        self.started_s = time.monotonic()
        parent = os.getpid()
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else file,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                start_new_session=True,
                preexec_fn=lambda: _prepare(parent, nice),
            )
        if on_line:
            threading.Thread(target=self._copy, args=(on_line,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by which signal), None while it runs."""
        return self._process.poll()

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def group_is_empty(self) -> bool:
        """Return whether neither the process nor any process that it started is left."""
        return self._process.poll() is not None and not _living(self.pid)

    def tail(self, lines: int = 12) -> str:
        """Return the newest lines of its output."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _copy(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self.log.open("ab", buffering=0) as file:
            for line in self._process.stdout:
                file.write(line)
                on_line(line.decode(errors="replace").rstrip())


def end_all(children: Sequence[Child], patience_s: float = 5.0) -> None:
    """End all groups: interrupt, after ``patience_s`` terminate, then kill."""
    for number, wait_s in (
        (signal.SIGINT, patience_s),
        (signal.SIGTERM, 2.0),
        (signal.SIGKILL, 2.0),
    ):
        left = [child for child in children if not child.group_is_empty()]
        for child in left:
            child.signal_group(number)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if all(child.group_is_empty() for child in left):
                return
            time.sleep(0.02)


def _prepare(parent: int, nice: int) -> None:
    """In the new process: ask the kernel to kill it when the thread that started it ends."""
    with contextlib.suppress(OSError):
        os.nice(nice)
    if sys.platform.startswith("linux"):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died in between
            os._exit(1)


def _living(group: int) -> list[int]:
    """Return the processes of a group that are not zombies: those wait for someone to read them.

    In a container nobody may ever do, so asking ``killpg`` alone would see them for ever.
    """
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name with spaces) state parent group ..."
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return found
