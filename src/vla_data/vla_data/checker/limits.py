"""Every limit of the contract, judged at every tick and inside every braking tail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vla_data.checker.reference import Segment, differences, segments
from vla_data.recording import Recording
from vla_data.records import DEGRADED, RUNNING, Command, Series
from vla_data.robot import Receiver, Robot

Floats = NDArray[np.float64]

TOLERANCE = 1e-4  # share of a limit, for the rounding of decimals and of nanoseconds
REST = 1e-3  # share of a limit below which a tail's end counts as rest
START = 0.1  # a first point may differ by this from the measured state [rad, m]
DERIVATIVES = ("velocity", "acceleration", "jerk")


@dataclass(frozen=True)
class Violation:
    """One number that a receiver should never have got."""

    kind: str  # position, velocity, acceleration, jerk, rest, finite, start, gap, order
    stamp_ns: int  # of the command
    column: str  # or the receiver, where all columns are meant
    value: float
    limit: float
    where: str  # "tick" or "tail"

    def __str__(self) -> str:
        return (
            f"{self.kind} of '{self.column}' in the {self.where} of the command at "
            f"{self.stamp_ns / 1e9:.3f} s: {self.value:.6g}, limit {self.limit:.6g}"
        )


def check_limits(recording: Recording) -> list[Violation]:
    """Return every violation of the contract in the recorded commands, oldest first."""
    found: list[Violation] = []
    for name, receiver in recording.robot.receivers.items():
        commands = recording.commands[name]
        judge = _Judge(recording.robot, receiver)
        if receiver.msgtype == "trajectory_msgs/msg/JointTrajectory":
            before: Segment | None = None
            for segment in segments(commands):
                found += judge.segment(segment)
                unheard_ns = _unheard_ns(recording, segment, before)
                if not unheard_ns:
                    found += judge.start(segment, before, recording.series)
                elif unheard_ns > receiver.deadline_ns:
                    found.append(_gap(name, receiver, segment.commands[0].stamp_ns, unheard_ns))
                before = segment
        else:
            found += judge.plain(commands)
        known = {violation.stamp_ns for violation in found if violation.kind == "gap"}
        gaps = _gaps(recording, name, receiver, commands)
        found += [gap for gap in gaps if gap.stamp_ns not in known]
    return sorted(found, key=lambda violation: violation.stamp_ns)


class _Judge:
    """The limits of one receiver's columns."""

    def __init__(self, robot: Robot, receiver: Receiver) -> None:
        self.columns = receiver.columns
        self._step_ns = robot.step_ns
        self._lower = robot.limits("lower", self.columns)
        self._upper = robot.limits("upper", self.columns)
        self._limits = {name: robot.limits(name, self.columns) for name in DERIVATIVES}

    def segment(self, segment: Segment) -> Iterator[Violation]:
        """Judge a stretch of trajectories: each point told, and the way between them."""
        stamps = np.array([command.stamp_ns for command in segment.commands])
        owner = np.searchsorted(segment.first_point, np.arange(len(segment.times_ns)), "right") - 1
        yield from self._derivatives(segment.times_ns, segment.values, stamps[owner], "tick")
        for stamp in segment.repeated_ns:
            yield Violation("order", stamp, "all columns", 0.0, 0.0, "tick")
        for i, command in enumerate(segment.commands):
            if not command.is_finite:
                yield Violation("finite", command.stamp_ns, "all columns", np.nan, 0.0, "tick")
                continue
            yield from self._points(command)
            yield from self._tail(segment, i, command)

    def start(
        self, segment: Segment, before: Segment | None, series: dict[str, Series]
    ) -> Iterator[Violation]:
        """Judge a first point: out of rest, and from where the robot is or was told to be."""
        command, h = segment.commands[0], self._step_ns / 1e9
        if not command.is_finite:
            return
        stamp = [command.stamp_ns]
        for given, reach in (
            (command.velocities[0], self._limits["jerk"] * h * h / 2),
            (command.accelerations[0], self._limits["jerk"] * h),
        ):
            yield from self._over("start", np.abs(given)[None], reach, stamp)
        away = np.abs(command.positions[0] - _measured(series, self.columns, command.stamp_ns))
        if before is not None:
            rest = before.commands[-1].positions[-1]
            onward = np.abs(command.positions[0] - rest) <= self._limits["jerk"] * h**3
            away = np.where(onward, 0.0, away)  # it goes on from the last command
        yield from self._over("start", away[None], np.full(len(away), START), stamp)

    def plain(self, commands: Sequence[Command]) -> Iterator[Violation]:
        """Judge commands of one row: velocities, whose derivatives are acceleration and jerk."""
        if not commands:
            return
        # Arrivals jitter, ticks do not: no two commands are closer than a step.
        times = [commands[0].stamp_ns]
        for command in commands[1:]:
            times.append(max(times[-1] + self._step_ns, command.stamp_ns))
        stamps = np.array([command.stamp_ns for command in commands])
        values = np.concatenate([command.velocities for command in commands])
        bad = ~np.isfinite(values).all(axis=1)
        for stamp in stamps[bad]:
            yield Violation("finite", int(stamp), "all columns", np.nan, 0.0, "tick")
        rates = differences(np.array(times), values) if len(times) > 3 else []
        for name, value in zip(DERIVATIVES, [values, *rates[:2]], strict=False):
            at = stamps[len(stamps) - len(value) :]
            yield from self._over(name, np.abs(value), self._limits[name], at)

    def _points(self, command: Command) -> Iterator[Violation]:
        """Judge what each row says of itself."""
        stamps = [command.stamp_ns] * len(command.times_ns)
        if (np.diff(command.times_ns) <= 0).any() or command.times_ns[0] < 0:
            yield Violation("order", command.stamp_ns, "all columns", 0.0, 0.0, "tail")
        slack = TOLERANCE * (self._upper - self._lower)
        for limit, beyond in (
            (self._upper, command.positions > self._upper + slack),
            (self._lower, command.positions < self._lower - slack),
        ):
            for row, column in np.argwhere(beyond):
                yield Violation(
                    "position",
                    command.stamp_ns,
                    self.columns[column],
                    float(command.positions[row, column]),
                    float(limit[column]),
                    "tick" if row == 0 else "tail",
                )
        for name, value in (
            ("velocity", command.velocities),
            ("acceleration", command.accelerations),
        ):
            yield from self._over(name, np.abs(value[:1]), self._limits[name], stamps, "tick")
            yield from self._over(name, np.abs(value[1:]), self._limits[name], stamps, "tail")
            rest = np.abs(value[-1:]) if len(value) > 1 else value[:0]
            yield from self._over("rest", rest, REST * self._limits[name], stamps, "tail")

    def _tail(self, segment: Segment, i: int, command: Command) -> Iterator[Violation]:
        """Judge the way from the points before, through row 0, along the whole tail."""
        if len(command.times_ns) < 2:  # one row is its own tail, if it is at rest
            if not _is_at_rest(command):
                yield Violation("rest", command.stamp_ns, "all columns", np.nan, 0.0, "tail")
            return
        at = segment.first_point[i]
        before = slice(max(0, at - 2), at)
        times = np.concatenate([segment.times_ns[before], command.stamp_ns + command.times_ns])
        values = np.concatenate([segment.values[before], command.positions])
        stamps = np.full(len(times), command.stamp_ns)
        # Differences that end before the tail begins are judged with the ticks.
        yield from self._derivatives(
            times, values, stamps, "tail", skip=before.stop - before.start
        )

    def _derivatives(
        self, times: NDArray[np.int64], values: Floats, stamps: Floats, where: str, skip: int = -1
    ) -> Iterator[Violation]:
        if len(times) < 4 or (np.diff(times) <= 0).any():  # reported as order
            return
        for order, value in enumerate(differences(times, values), start=1):
            first = max(0, skip + 1 - order)  # ends after row `skip`
            name = DERIVATIVES[order - 1]
            yield from self._over(
                name, np.abs(value[first:]), self._limits[name], stamps[order:][first:], where
            )

    def _over(
        self,
        kind: str,
        values: Floats,  # (N, A), not negative
        limit: Floats,  # (A,)
        stamps: Sequence[int] | Floats,
        where: str = "tick",
    ) -> Iterator[Violation]:
        with np.errstate(invalid="ignore"):
            beyond = np.argwhere(values > limit * (1 + TOLERANCE))  # NaN: not given, judged else
        for row, column in beyond:
            yield Violation(
                kind,
                int(stamps[row]),
                self.columns[column],
                float(values[row, column]),
                float(limit[column]),
                where,
            )


def _is_at_rest(command: Command) -> bool:
    return not command.velocities[-1].any() and not command.accelerations[-1].any()


def _measured(series: dict[str, Series], columns: Sequence[str], at_ns: int) -> Floats:
    """Return what was measured of each column just before a time, NaN where nothing was."""
    found = np.full(len(columns), np.nan)
    for each in series.values():
        row = int(np.searchsorted(each.stamps_ns, at_ns, side="right")) - 1
        if row < 0:
            continue
        for i, name in enumerate(columns):
            if name in each.entries and np.isnan(found[i]):
                found[i] = each.values[row, each.entries.index(name)]
    return found


def _unheard_ns(recording: Recording, segment: Segment, before: Segment | None) -> int:
    """Return for how long an executor had moved the robot before its first recorded command.

    A recorder that is started in the middle of a motion, or that meets the commands of a new
    executor later than the robot does, cannot show how the motion began.
    """
    first_ns = segment.commands[0].stamp_ns
    state = recording.state_at(first_ns)
    if state is None:
        return 1 if before is None else 0  # began unheard, nobody knows when
    later = next((s for s in recording.states if s.stamp_ns >= first_ns), state)
    if later.epoch[0] != state.epoch[0]:
        # It tells its state ten times a second from its start on: the recorder met it late.
        return first_ns - state.stamp_ns
    moving = [
        other.stamp_ns
        for other in recording.states
        if other.epoch[0] == state.epoch[0] and other.mode in (RUNNING, DEGRADED)
    ]
    begun_ns = min(moving, default=first_ns)
    was_heard = before is not None and before.commands[-1].stamp_ns >= begun_ns
    late_ns = first_ns - begun_ns
    return late_ns if not was_heard and late_ns > 2 * recording.robot.step_ns else 0


def _gap(name: str, receiver: Receiver, stamp_ns: int, silence_ns: int) -> Violation:
    return Violation("gap", stamp_ns, name, silence_ns / 1e9, receiver.deadline_ns / 1e9, "tick")


def _gaps(
    recording: Recording, name: str, receiver: Receiver, commands: Sequence[Command]
) -> Iterator[Violation]:
    """Yield each silence longer than the deadline while one executor said that it was running."""
    for before, after in pairwise(commands):
        silence = max(after.stamp_ns - before.stamp_ns, after.arrived_ns - before.arrived_ns)
        if silence <= receiver.deadline_ns:
            continue
        between = [
            state
            for state in recording.states
            if before.stamp_ns < state.stamp_ns < after.stamp_ns
            or before.arrived_ns < state.arrived_ns < after.arrived_ns
        ]
        edges = [recording.state_at(c.stamp_ns) for c in (before, after)]
        states = [state for state in (*edges, *between) if state is not None]
        same = len({(state.epoch[0], state.task_id) for state in states}) == 1
        if same and all(state.mode in (RUNNING, DEGRADED) for state in states):
            yield _gap(name, receiver, after.stamp_ns, silence)
