"""Starts and keeps the processes of a graph: the front end that needs no ``ros2 launch``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from vla_bringup import dds, paths
from vla_bringup.child import Child, end_all
from vla_bringup.executables import command
from vla_bringup.graph import Graph, Process

# A process that ran this long did not fail at start: its next restart is immediate again.
SETTLED_S = 30.0
LONGEST_DELAY_S = 30.0
Say = Callable[[str], None]


@dataclass
class _Slot:
    """One process of the graph, and the child that runs it at the moment."""

    process: Process
    command: list[str]
    child: Child | None = None
    failures: int = 0
    restart_at_s: float | None = None


class Runner:
    """The processes of one graph, from start to the last one gone. Use as a context manager.

    Everything runs in the caller's thread: `poll` must be called a few times a second. The thread
    must be the main thread, because the kernel kills the children when the starting thread ends.

    Args:
        folder: receives one log and one parameter file per process.
        say: told of every start, end and restart, one sentence each.
        show: nodes whose output is also said line by line, each with the node's name; None: all.
        command_of: from a process and a folder for its parameters to a command line.
    """

    def __init__(
        self,
        graph: Graph,
        folder: Path,
        say: Say = print,
        show: Collection[str] | None = (),
        command_of: Callable[[Process, Path], list[str]] = command,
    ) -> None:
        self.graph = graph
        self.folder = folder
        self._say = say
        self._show = show
        # All commands first: what is not installed is a refusal before anything starts.
        self._slots = [_Slot(p, command_of(p, folder / "parameters")) for p in graph.processes]
        (folder / "log").mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start all processes."""
        for slot in self._slots:
            self._start(slot)

    def poll(self) -> None:
        """Notice what has ended and start again what shall run."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.child is not None and (code := slot.child.exit_code()) is not None:
                self._ended(slot, code, now)
            if slot.restart_at_s is not None and now >= slot.restart_at_s:
                self._start(slot)

    def stop(self) -> None:
        """End all processes and what they started; returns when none is left.

        A second Ctrl-C changes nothing: the ending has its own deadlines.
        """
        with _signals_ignored():
            self._end()

    def _end(self) -> None:
        children = [slot.child for slot in self._slots if slot.child is not None]
        # Who moves the robot ends last, so that it hears the others' last commands.
        movers = {s.child for s in self._slots if s.child and s.process.name == "bridge"}
        end_all([child for child in children if child not in movers])
        end_all(list(movers))
        for slot in self._slots:
            slot.child, slot.restart_at_s = None, None

    def pid(self, name: str) -> int | None:
        """Return the process id of a node, None if it does not run."""
        for slot in self._slots:
            if slot.process.name == name and slot.child is not None:
                return slot.child.pid
        return None

    def ended(self) -> str:
        """Return a node whose process has ended at least once, empty if none has."""
        return next((slot.process.name for slot in self._slots if slot.failures), "")

    def tail(self, name: str, lines: int = 12) -> str:
        """Return the newest lines of a node's output."""
        log = self.log(name)
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def log(self, name: str) -> Path:
        """Return the file that has a node's output."""
        return self.folder / "log" / f"{name}.log"

    def __enter__(self) -> Runner:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, slot: _Slot) -> None:
        name = slot.process.name
        slot.restart_at_s = None
        prefix = f"[{name}] "
        shown = self._show is None or name in self._show
        slot.child = Child(
            slot.command,
            self.log(name),
            _environment(),
            (lambda line: self._say(prefix + line)) if shown else None,
            slot.process.nice,
        )

    def _ended(self, slot: _Slot, code: int, now: float) -> None:
        assert slot.child is not None
        slot.child.signal_group(signal.SIGKILL)  # what it started must not outlive it
        settled = now - slot.child.started_s > SETTLED_S
        slot.failures = 1 if settled else slot.failures + 1
        slot.child = None
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        text = f"{slot.process.name} {how}; its output is in {self.log(slot.process.name)}"
        if slot.process.respawn:
            delay = restart_delay_s(slot.process.respawn_delay_s, slot.failures)
            slot.restart_at_s = now + delay
            text += f"; starting it again in {delay:.1f} s"
        self._say(text)


def restart_delay_s(first_s: float, failures: int) -> float:
    """Return how long to wait before a restart: doubles with each failure in a row."""
    return min(first_s * 2.0 ** (failures - 1), LONGEST_DELAY_S)


def _environment() -> dict[str, str]:
    """Return the environment of all nodes: lines appear when written, one thread per library."""
    defaults = {
        "PYTHONUNBUFFERED": "1",
        "RCUTILS_LOGGING_BUFFERED_STREAM": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return {**defaults, **dds.settings(os.environ, paths.root()), **os.environ}


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
