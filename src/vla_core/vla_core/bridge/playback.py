"""A received trajectory played by time, to its end at rest.

This is the last safeguard: whatever happens to the processes above, the newest trajectory already
says how to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.errors import ChunkError, NonFiniteError, ShapeError
from vla_core.smoothstep import smooth_seconds, smoothstep

Array = NDArray[np.float64]
Times = NDArray[np.int64]
State = tuple[Array, Array, Array]

# A first point may be this much farther away than the velocity limit allows: a robot sags below
# its command, and a new task may start from where it was measured [rad, m].
JUMP_TOLERANCE = 0.15
# A first point farther away than this multiple of the velocity limit is a handover.
REACH = 1.5
NEGLIGIBLE = 1e-3  # [rad, m]
# A trajectory older than the newest by more than this comes from a clock that was set back.
CLOCK_SET_NS = 500_000_000
# A last velocity below this counts as rest [rad/s, m/s].
REST = 1e-3


@dataclass(frozen=True, eq=False)
class _Played:
    """Absolute times (K,) and states (K, A); the first one is where playing began."""

    times_ns: Times
    positions: Array
    velocities: Array
    accelerations: Array


@dataclass(frozen=True, eq=False)
class _Shift:
    """What a handover still owes: an offset (A,) on the played positions that fades away."""

    offset: Array
    begin_ns: int
    duration_ns: int

    def at(self, now_ns: int) -> tuple[Array, Array]:
        """Return the offset in position and velocity."""
        share, rate, _ = smoothstep(np.array((now_ns - self.begin_ns) / self.duration_ns))
        return self.offset * (1 - share), -self.offset * rate / (self.duration_ns * 1e-9)


class TrajectoryPlayer:
    """Interpolates the newest trajectory with quintics; holds its last point after the end.

    With limits, a first point that is farther away than the velocity limit allows is a handover,
    for example from an executor that was restarted while the gripper held something: it is
    approached along a smoothstep inside the limits. Farther than a robot can sag is refused.
    """

    def __init__(self, columns: int, limits: Sequence[Column] | None = None) -> None:
        """Take the number of columns and, to smooth or refuse jumps, their limits."""
        self._count = columns
        self._limits = tuple(limits) if limits is not None else ()
        self._shift: _Shift | None = None
        self._played: _Played | None = None
        self._stamp_ns: int | None = None
        self._asked_ns: int | None = None

    def load(
        self,
        stamp_ns: int,
        times_ns: Times,
        positions: Array,
        velocities: Array,
        accelerations: Array,
        measured: Array | None = None,
    ) -> None:
        """Play another trajectory, from the state in which the present one is at its stamp.

        Args:
            stamp_ns: when the trajectory begins.
            times_ns: (K,) after the stamp.
            positions: (K, A).
            velocities: (K, A).
            accelerations: (K, A).
            measured: positions (A,) where the robot is, for the first trajectory.

        Raises:
            ShapeError: the arrays do not fit.
            NonFiniteError: NaN or infinity among them.
            ChunkError: times that do not rise, points that are all past, a jump, an end in motion.
        """
        points = (positions, velocities, accelerations)
        self._check_form(times_ns, points)
        self._check_time(stamp_ns, times_ns)
        start = self._start(stamp_ns, positions[0], measured)
        start = self._hand_over(start, positions[0], stamp_ns, int(times_ns[0]))
        # A point due at once replaces the start: there is no time to go anywhere in between.
        first = 1 if times_ns[0] > 0 else 0
        self._played = _Played(
            np.concatenate([[stamp_ns][:first], stamp_ns + times_ns]).astype(np.int64),
            *(
                np.concatenate([begin[None][:first], part])
                for begin, part in zip(start, points, strict=True)
            ),
        )
        self._stamp_ns = stamp_ns

    def at(self, now_ns: int) -> tuple[Array, Array] | None:
        """Return positions and velocities (A,) at a time; None: nothing was loaded."""
        self._asked_ns = now_ns
        if self._played is None:
            return None
        position, velocity, _ = self._state(self._played, now_ns)
        if self._shift is None or now_ns >= self._shift.begin_ns + self._shift.duration_ns:
            return position, velocity
        offset, rate = self._shift.at(now_ns)
        return position + offset, velocity + rate

    def is_at_rest(self, now_ns: int) -> bool:
        """Whether nothing moves from here on."""
        shift = self._shift
        is_shifted = shift is not None and now_ns < shift.begin_ns + shift.duration_ns
        return self._played is None or (now_ns >= self._played.times_ns[-1] and not is_shifted)

    def clear(self) -> None:
        """Forget everything."""
        self._played = self._stamp_ns = self._asked_ns = self._shift = None

    def _check_form(self, times_ns: Times, points: tuple[Array, Array, Array]) -> None:
        expected = (len(times_ns), self._count)
        if len(times_ns) == 0 or any(part.shape != expected for part in points):
            shapes = [part.shape for part in points]
            raise ShapeError(f"trajectory: expected points of shape {expected}, got {shapes}")
        if not all(np.isfinite(part).all() for part in points):
            raise NonFiniteError("trajectory: NaN or infinity among its points")
        if times_ns[0] < 0 or (np.diff(times_ns) <= 0).any():
            raise ChunkError(f"trajectory: expected rising times, got {times_ns.tolist()} ns")
        fastest = int(np.abs(points[1][-1]).argmax())
        if abs(points[1][-1, fastest]) > REST:
            raise ChunkError(
                f"trajectory: expected an end at rest, '{self._name(fastest)}' ends with a "
                f"velocity of {points[1][-1, fastest]:.3g}"
            )

    def _check_time(self, stamp_ns: int, times_ns: Times) -> None:
        if self._stamp_ns is not None:
            back_ns = self._stamp_ns - stamp_ns
            if 0 < back_ns <= CLOCK_SET_NS:
                raise ChunkError(f"trajectory: {back_ns / 1e9:.3f} s older than the newest one")
            if back_ns > CLOCK_SET_NS:
                return  # the clock was set back: what was asked before says nothing
        end_ns = stamp_ns + int(times_ns[-1])
        if self._asked_ns is not None and end_ns < self._asked_ns:
            raise ChunkError(
                f"trajectory: all points are past, the last by "
                f"{(self._asked_ns - end_ns) / 1e9:.3f} s"
            )

    def _start(self, stamp_ns: int, first: Array, measured: Array | None) -> State:
        if self._played is not None:
            if self._stamp_ns is not None and stamp_ns < self._stamp_ns - CLOCK_SET_NS:
                return self._state(self._played, self._asked_ns or self._stamp_ns)
            return self._state(self._played, stamp_ns)
        start = first if measured is None else measured
        return start, np.zeros(self._count), np.zeros(self._count)

    def _hand_over(self, start: State, first: Array, stamp_ns: int, due_ns: int) -> State:
        """Let columns that cannot reach the first point in time begin there, and owe the gap."""
        gap = start[0] - first
        possible = np.array([REACH * c.velocity * due_ns * 1e-9 for c in self._limits])
        if not self._limits or (np.abs(gap) <= possible + NEGLIGIBLE).all():
            return start
        self._check_jump(gap, possible, due_ns)
        is_far = np.abs(gap) > possible + NEGLIGIBLE
        owed = self._shift.at(stamp_ns)[0] if self._shift is not None else np.zeros(self._count)
        offset = owed + np.where(is_far, gap, 0.0)
        duration_s = max(map(smooth_seconds, self._limits, np.abs(offset).tolist()))
        self._shift = _Shift(offset, stamp_ns, round(duration_s * 1e9))
        position, velocity, acceleration = start
        return (
            np.where(is_far, first, position),
            np.where(is_far, 0.0, velocity),
            np.where(is_far, 0.0, acceleration),
        )

    def _check_jump(self, gap: Array, possible: Array, due_ns: int) -> None:
        for i, column in enumerate(self._limits):
            if column.is_gripper:
                continue  # it closes on things: measured and commanded may be far apart
            allowed = JUMP_TOLERANCE + possible[i]
            if abs(gap[i]) > allowed:
                raise ChunkError(
                    f"trajectory: first point of '{column.name}' is {abs(gap[i]):.3g} "
                    f"{column.unit} away, at most {allowed:.3g} is possible in "
                    f"{due_ns / 1e6:g} ms"
                )

    def _name(self, index: int) -> str:
        return self._limits[index].name if self._limits else f"column {index}"

    @staticmethod
    def _state(played: _Played, now_ns: int) -> State:
        times = played.times_ns
        zeros = np.zeros(played.positions.shape[1])
        if now_ns >= times[-1]:
            return played.positions[-1], zeros, zeros
        if now_ns <= times[0]:
            return played.positions[0], played.velocities[0], played.accelerations[0]
        after = int(np.searchsorted(times, now_ns, side="right"))
        before = after - 1
        return quintic(
            (played.positions[before], played.velocities[before], played.accelerations[before]),
            (played.positions[after], played.velocities[after], played.accelerations[after]),
            float(times[after] - times[before]) * 1e-9,
            float(now_ns - times[before]) * 1e-9,
        )


def quintic(begin: State, end: State, length_s: float, s: float) -> State:
    """Return the state after ``s`` of the fifth-order polynomial between two states.

    ros2_control's joint trajectory controller interpolates the same way where positions,
    velocities and accelerations are given.
    """
    h, (p0, v0, a0), (p1, v1, a1) = length_s, begin, end
    gap = p1 - p0 - v0 * h - a0 * h * h / 2
    turn = (v1 - v0 - a0 * h) * h
    bend = (a1 - a0) * h * h
    c3 = (10 * gap - 4 * turn + bend / 2) / h**3
    c4 = (-15 * gap + 7 * turn - bend) / h**4
    c5 = (6 * gap - 3 * turn + bend / 2) / h**5
    position = p0 + s * (v0 + s * (a0 / 2 + s * (c3 + s * (c4 + s * c5))))
    velocity = v0 + s * (a0 + s * (3 * c3 + s * (4 * c4 + s * 5 * c5)))
    acceleration = a0 + s * (6 * c3 + s * (12 * c4 + s * 20 * c5))
    return position, velocity, acceleration
