"""The motion that a receiver was told to make, put together from its commands.

A receiver plays the next point of each command; where the next command is late it goes on along
the braking tail. So the points that count are row 0 of each command and those rows of its tail
that were due before the following command took over. (Between two rows receivers differ: no point
there was ever told, so none is judged.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vla_data.records import NS, Command

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segment:
    """Commands of one receiver without a break, and the points it was to pass."""

    commands: Sequence[Command]
    times_ns: Times  # (N,), when each point was due
    values: Floats  # (N, A), positions
    first_point: NDArray[np.intp]  # (commands,), index of each command's row 0
    repeated_ns: Sequence[int]  # stamps of commands for a tick that had one, left out


def segments(commands: Sequence[Command]) -> list[Segment]:
    """Split at every break in which the receiver came to the end of its tail."""
    groups: list[list[Command]] = []
    for command in sorted(commands, key=lambda c: (c.stamp_ns, c.arrived_ns)):
        if not len(command.times_ns):
            continue
        last = groups[-1][-1] if groups else None
        if last is None or command.stamp_ns > last.stamp_ns + int(last.times_ns[-1]):
            groups.append([])
        groups[-1].append(command)
    return [_segment(group) for group in groups]


def differences(times_ns: Times, values: Floats) -> list[Floats]:
    """Return velocity, acceleration and jerk as divided differences, (N-1, A), (N-2, A), (N-3, A).

    The n-th divided difference times n! is a mean of the n-th derivative between its points: a
    motion inside its limits has differences inside them, however uneven the times.
    """
    t = (times_ns - times_ns[0]) / NS
    found, current = [], values
    for order in (1, 2, 3):
        span = (t[order:] - t[:-order])[:, None]
        current = order * (current[1:] - current[:-1]) / span
        found.append(current)
    return found


def _segment(group: Sequence[Command]) -> Segment:
    commands = [c for i, c in enumerate(group) if not i or c.stamp_ns > group[i - 1].stamp_ns]
    stamps = [command.stamp_ns for command in group]
    times: list[Times] = []
    rows: list[Floats] = []
    starts, count = [], 0
    for i, command in enumerate(commands):
        until = commands[i + 1].stamp_ns if i + 1 < len(commands) else None
        played = _played(command, until)
        starts.append(count)
        times.append(played[0])
        rows.append(played[1])
        count += len(played[0])
    return Segment(
        commands,
        np.concatenate(times),
        np.concatenate(rows),
        np.array(starts, np.intp),
        [b for a, b in pairwise(stamps) if a == b],
    )


def _played(command: Command, until_ns: int | None) -> tuple[Times, Floats]:
    """Return the points of a command that a receiver passed before the next one took over."""
    due = command.stamp_ns + command.times_ns
    count = 1 if until_ns is None else max(1, int(np.searchsorted(due, until_ns, side="right")))
    return due[:count], command.positions[:count]
