"""What happened at each fault, taken from the recording alone, and the table of it in the docs."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vla_data.checker import time_to_rest
from vla_data.checker.limits import Violation, check_limits
from vla_data.recording import Recording
from vla_data.records import MODES, NS, RUNNING, Command

HEAD = (
    "Fault",
    "Reaction [s]",
    "Mode, reason",
    "At rest [s]",
    "Largest step [rad]",
    "Violations",
    "Ended at rest",
    "Work resumed",
)
JUMP_NS = 100_000_000  # as the executor's: a larger step of the stamps is a clock that was set


@dataclass
class Fault:
    """One fault: when it was made, and what the test saw of its end. Times in simulated ns."""

    name: str
    at_ns: int
    rest_ns: int = 0  # at rest since a while, as seen by the test; 0: it had no reason to stop
    until_ns: int = 0
    resumed: str = "no"


@dataclass(frozen=True)
class Row:
    """What the recording says of one fault."""

    fault: Fault
    reaction_s: float  # until the executor said that something is wrong; NaN: it did not
    said: str
    rest_s: float  # until the arm itself stood still; NaN: it did not
    step: float  # largest change of a commanded position from tick to tick [rad]
    violations: Sequence[Violation]

    def cells(self) -> list[str]:
        """Return the row of the table."""
        at_rest = "not needed" if not self.fault.rest_ns else "no" if _nan(self.rest_s) else "yes"
        return [
            self.fault.name,
            _text(self.reaction_s),
            self.said,
            _text(self.rest_s) if self.fault.rest_ns else "–",
            f"{self.step:.4f}",
            str(len(self.violations)),
            at_rest,
            self.fault.resumed,
        ]


def rows_of(recording: Recording, faults: Sequence[Fault]) -> list[Row]:
    """Return what the recording says of each fault."""
    violations = [v for v in limits_kept(recording) if v.kind != "gap"]
    return [_row(recording, fault, violations) for fault in faults]


def limits_kept(recording: Recording) -> list[Violation]:
    """Judge every command as its receiver got it; a clock that is set begins a new sequence."""
    found: list[Violation] = []
    pieces = {name: _by_clock(c) for name, c in recording.commands.items()}
    for number in range(max(map(len, pieces.values()))):
        part = copy.copy(recording)
        part.commands = {n: p[number] if number < len(p) else [] for n, p in pieces.items()}
        found += check_limits(part)
    return found


def _by_clock(commands: Sequence[Command]) -> list[list[Command]]:
    """Split commands, in the order of arrival, where their stamps jump against the arrivals."""
    groups: list[list[Command]] = [[]]
    for command in sorted(commands, key=lambda c: c.arrived_ns):
        if groups[-1]:
            last = groups[-1][-1]
            stamps = command.stamp_ns - last.stamp_ns
            arrivals = command.arrived_ns - last.arrived_ns
            if stamps < -JUMP_NS or stamps > 3 * arrivals + 3 * JUMP_NS:
                groups.append([])
        groups[-1].append(command)
    return groups


def _row(recording: Recording, fault: Fault, violations: Sequence[Violation]) -> Row:
    states = [s for s in recording.states if fault.at_ns <= s.stamp_ns <= fault.until_ns]
    wrong = next((s for s in states if s.mode != RUNNING), None)
    # Modes rise with their gravity: running, degraded, holding, stopped.
    worst = max((s for s in states if s.mode > RUNNING), key=lambda s: s.mode, default=wrong)
    said = "running" if worst is None else f"{MODES[worst.mode]}: {worst.reason}"
    joints = recording.series["joints"]
    kept = joints.stamps_ns <= (fault.rest_ns or fault.until_ns)
    seen = replace(
        joints,
        stamps_ns=joints.stamps_ns[kept],
        arrived_ns=joints.arrived_ns[kept],
        values=joints.values[kept],
    )
    return Row(
        fault,
        math.nan if wrong is None else (wrong.stamp_ns - fault.at_ns) / NS,
        said,
        time_to_rest(seen, fault.at_ns) if fault.rest_ns else math.nan,
        _largest_step(recording, fault),
        [v for v in violations if fault.at_ns <= v.stamp_ns <= fault.until_ns],
    )


def _largest_step(recording: Recording, fault: Fault) -> float:
    """Return the largest change of a commanded position between ticks that follow each other."""
    largest = 0.0
    for commands in recording.commands.values():
        for group in _by_clock(commands):
            inside = [c for c in group if fault.at_ns <= c.stamp_ns <= fault.until_ns]
            rows = np.array([c.positions[0] for c in inside])
            stamps = np.array([c.stamp_ns for c in inside])
            if len(rows) > 1:
                onward = np.diff(stamps) <= 2 * recording.robot.step_ns
                steps = np.abs(np.diff(rows, axis=0)).max(axis=1)[onward]
                largest = max([largest, *steps.tolist()])
    return largest


def _nan(value: float) -> bool:
    return math.isnan(value)


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
