"""Keeps every command of a run and judges the whole sequence at its end.

Shares no code with the executor and reads none of its counters. One pass over all points, since a
hundred thousand ticks are judged in the fast suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.execution import Command

Array = NDArray[np.float64]
Times = NDArray[np.int64]

MORE = 1 + 1e-6
NEAR_START = 0.1  # a first command may go on from the last one if the robot is so near to it


@dataclass(frozen=True, eq=False)
class _Seen:
    command: Command
    clock_ns: int  # by how much the clock was set until then, all jumps together
    is_fresh: bool  # the robot was at rest, with nobody commanding
    positions: Array  # (A,), where the robot was


class Witness:
    """Sees each command as it leaves; takes the place of the rig's judge."""

    def __init__(self, contract: Contract, rig: Any) -> None:
        columns = contract.action.columns
        self._step_ns = contract.step_ns
        self._lower = np.array([(c.position or (-np.inf, np.inf))[0] for c in columns])
        self._upper = np.array([(c.position or (-np.inf, np.inf))[1] for c in columns])
        self._velocity = np.array([c.velocity for c in columns])
        self._acceleration = np.array([c.acceleration for c in columns])
        self._jerk = np.array([c.jerk for c in columns])
        self._is_position = np.array([c.is_position for c in columns])
        self._rig = rig
        self._seen: list[_Seen] = []
        self._is_fresh = True
        self.clock_ns = 0

    def forget(self) -> None:
        """Note a tick without a command; only at rest somebody else may move the robot."""
        self._is_fresh = self._is_fresh or self._rig.decisions[-1].at_rest

    def begin_anew(self) -> None:
        """Note that another executor takes over a robot at rest."""
        self._is_fresh = True

    def see(self, command: Command) -> None:
        """Keep one command."""
        self._seen.append(_Seen(command, self.clock_ns, self._is_fresh, self._rig.positions))
        self._is_fresh = False

    def judge(self) -> None:
        """Assert everything that must be true of the sequence."""
        if not self._seen:
            return
        self._check_order()
        times, states, owners, passed = self._points()
        q, v, a = states[:, 0], states[:, 1], states[:, 2]
        self._check_points(q, v, a)
        pairs = np.diff(owners) == 0
        self._check_jerk(times, a, pairs)
        self._check_agreement(times, q, v, a, pairs & passed[:-1])
        self._check_starts()

    def _check_order(self) -> None:
        """Executed target times rise, and every command ends at rest."""
        clocks = np.array([seen.clock_ns for seen in self._seen])
        due = np.array([_due_ns(seen.command) for seen in self._seen])
        assert (np.diff(due)[np.diff(clocks) == 0] > 0).all(), "executed target times must rise"
        for seen in self._seen:
            command = seen.command
            assert command.times_ns[0] == self._step_ns
            assert (np.diff(command.times_ns) > 0).all()
            assert not command.velocities[-1].any(), "a command ends at rest"
            assert not command.accelerations[-1].any(), "a command ends at rest"

    def _points(self) -> tuple[Times, Array, NDArray[np.int64], NDArray[np.bool_]]:
        """Return all points (N,), (N, 3, A), whose they are (N,), whether the robot passes them.

        Before the points of each command stands what was executed before it, where it goes on
        from there. A tick that comes early leaves the last command before its point: the robot
        never gets there, and the two points are apart by the way back and forth.
        """
        times, states, owners, passed = [], [], [], []
        for i, seen in enumerate(self._seen):
            command = seen.command
            stamp_ns = last_ns = command.stamp_ns - seen.clock_ns
            due = stamp_ns + command.times_ns
            state = np.stack([command.positions, command.velocities, command.accelerations], 1)
            if not seen.is_fresh:
                before = self._seen[i - 1]
                last_ns = _due_ns(before.command) - before.clock_ns
                way_ns = self._step_ns + abs(stamp_ns - last_ns)
                due = np.concatenate([[due[0] - way_ns], due])
                state = np.concatenate([_first(before.command)[None], state])
            times.append(due)
            states.append(state)
            owners.append(np.full(len(due), i))
            passed.append(np.full(len(due), True))
            passed[-1][0] = seen.is_fresh or last_ns <= stamp_ns
        return (
            np.concatenate(times),
            np.concatenate(states),
            np.concatenate(owners),
            np.concatenate(passed),
        )

    def _check_points(self, q: Array, v: Array, a: Array) -> None:
        """Position, velocity and acceleration, at ticks and in braking tails."""
        for name, part in (("position", q), ("velocity", v), ("acceleration", a)):
            assert np.isfinite(part).all(), f"{name} is not finite"
        assert (q >= self._lower - 1e-6).all() and (q <= self._upper + 1e-6).all(), "position"
        assert (np.abs(v) <= self._velocity * MORE).all(), "velocity"
        assert (np.abs(a) <= self._acceleration * MORE).all(), "acceleration"

    def _check_jerk(self, times: Times, a: Array, pairs: NDArray[np.bool_]) -> None:
        """Mean jerk from point to point."""
        dt = np.diff(times)[pairs, None] * 1e-9
        da = np.abs(np.diff(a, axis=0)[pairs])
        assert (da <= self._jerk * dt * MORE + 1e-6).all(), "jerk"

    def _check_agreement(
        self, times: Times, q: Array, v: Array, a: Array, pairs: NDArray[np.bool_]
    ) -> None:
        """Velocity and acceleration are what the positions say.

        No motion of bounded jerk makes the trapezoidal rule wrong by more than this.
        """
        dt = np.diff(times)[pairs, None] * 1e-9
        dv, dq = (np.diff(part, axis=0)[pairs] for part in (v, q))
        mean_a, mean_v = (((part[1:] + part[:-1]) / 2)[pairs] for part in (a, v))
        off_v = np.abs(dv - mean_a * dt) - self._jerk * dt**2 / 4
        off_q = np.abs(dq - mean_v * dt) - self._jerk * dt**3 / 12
        assert (off_v <= 1e-6).all(), "velocities do not agree with accelerations"
        assert (off_q[:, self._is_position] <= 1e-6).all(), "positions do not agree"

    def _check_starts(self) -> None:
        """A first command begins at rest, where the robot is."""
        h = self._step_ns * 1e-9
        for seen in self._seen:
            if seen.is_fresh:
                q, v, a = _first(seen.command)
                assert (np.abs(v) <= self._jerk * h**2 / 2 * MORE + 1e-9).all(), "start at speed"
                assert (np.abs(a) <= self._jerk * h * MORE + 1e-9).all(), "start in motion"
                away = np.abs(q - seen.positions)[self._is_position]
                assert (away <= NEAR_START + 0.01).all(), "start elsewhere"


def _due_ns(command: Command) -> int:
    return int(command.stamp_ns + command.times_ns[0])


def _first(command: Command) -> Array:
    return np.stack([command.positions[0], command.velocities[0], command.accelerations[0]])
