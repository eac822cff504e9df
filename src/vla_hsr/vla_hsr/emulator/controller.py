"""A joint trajectory controller: what it takes, what it refuses, where its joints have to be.

As joint_trajectory_controller 2.54 (Humble) with `open_loop_control`: a new trajectory replaces
the old one at once and starts from the last command; partial sets of joints are refused; a stamp
of zero means now; points in the past are dropped; the last point is held for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Row = Sequence[float]


@dataclass(frozen=True)
class Point:
    """One point; empty velocities or accelerations were not given."""

    seconds: float  # after the trajectory's start
    positions: Row
    velocities: Row = ()
    accelerations: Row = ()


class TrajectoryController:
    """Plays the newest trajectory by time, in the controller's own order of joints."""

    def __init__(self, joints: Sequence[str], positions: Row) -> None:
        self.joints = tuple(joints)
        self.command = [float(p) for p in positions]
        self._still = [0.0] * len(self.joints)
        self._velocity, self._acceleration = self._still, self._still
        self._points: list[Point] = []
        self._start_s = 0.0

    def refusal(self, names: Sequence[str], points: Sequence[Point]) -> str:
        """Say why a trajectory is refused; empty: it is taken."""
        if sorted(names) != sorted(self.joints):
            return f"joints {list(names)}, the controller has {list(self.joints)}"
        last = -math.inf
        for i, point in enumerate(points):
            rows = (point.positions, point.velocities, point.accelerations)
            sizes = [len(row) for row in rows]
            if sizes[0] != len(self.joints) or any(n not in (0, sizes[0]) for n in sizes[1:]):
                return f"point {i} has {sizes} values for {len(self.joints)} joints"
            if point.seconds <= last:
                return f"point {i} is not later than the one before"
            last = point.seconds
        return ""

    def load(
        self, names: Sequence[str], points: Sequence[Point], start_s: float, now_s: float
    ) -> str:
        """Take a trajectory over, or return why it is refused; without points: hold."""
        problem = self.refusal(names, points)
        if problem:
            return problem
        if points and start_s + points[-1].seconds < now_s:
            return "all points are in the past"
        order = [list(names).index(joint) for joint in self.joints]
        here = Point(0.0, tuple(self.command), self._velocity, self._acceleration)
        ahead = [_ordered(p, order) for p in points if start_s + p.seconds > now_s]
        shift = now_s - start_s
        self._points = [here, *(_earlier(point, shift) for point in ahead)] if ahead else []
        self._start_s = now_s
        return ""

    def update(self, now_s: float) -> None:
        """Move the command along to ``now_s``."""
        if not self._points:
            self._velocity, self._acceleration = self._still, self._still
            return
        seconds = now_s - self._start_s
        if seconds >= self._points[-1].seconds:
            self.command = list(self._points[-1].positions)
            self._velocity, self._acceleration = self._still, self._still
            self._points = []
            return
        after = next(i for i, point in enumerate(self._points) if point.seconds > seconds)
        before, then = self._points[after - 1], self._points[after]
        states = [_between(before, then, i, seconds) for i in range(len(self.joints))]
        self.command = [state[0] for state in states]
        self._velocity = [state[1] for state in states]
        self._acceleration = [state[2] for state in states]

    @property
    def is_done(self) -> bool:
        """Whether the last point has been reached by the command."""
        return not self._points


def _ordered(point: Point, order: Sequence[int]) -> Point:
    def pick(row: Row) -> Row:
        return tuple(row[i] for i in order) if len(row) else ()

    return Point(
        point.seconds, pick(point.positions), pick(point.velocities), pick(point.accelerations)
    )


def _earlier(point: Point, seconds: float) -> Point:
    return Point(point.seconds - seconds, point.positions, point.velocities, point.accelerations)


def _between(before: Point, then: Point, i: int, seconds: float) -> tuple[float, float, float]:
    """Interpolate one joint: linear, cubic or quintic, as the points allow.

    Returns:
        Position, velocity and, for a quintic, acceleration.
    """
    length, t = then.seconds - before.seconds, seconds - before.seconds
    p0, p1 = before.positions[i], then.positions[i]
    if not before.velocities or not then.velocities:
        return p0 + (p1 - p0) * t / length, (p1 - p0) / length, 0.0
    v0, v1 = before.velocities[i], then.velocities[i]
    u = t / length
    if not then.accelerations:
        # Hermite form of the cubic.
        a, b = (v0 * length - (p1 - p0)), (-v1 * length + (p1 - p0))
        position = (1 - u) * p0 + u * p1 + u * (1 - u) * ((1 - u) * a + u * b)
        slope = (p1 - p0) + (1 - 2 * u) * (a * (1 - u) + b * u) + u * (1 - u) * (b - a)
        return position, slope / length, 0.0
    a0 = before.accelerations[i] if before.accelerations else 0.0
    a1 = then.accelerations[i]
    # Coefficients of the quintic in u, from position, velocity and acceleration at both ends.
    d, e, f = p1 - p0, length, length * length
    c = (
        p0,
        v0 * e,
        a0 * f / 2,
        10 * d - 6 * v0 * e - 4 * v1 * e - (3 * a0 - a1) * f / 2,
        -15 * d + 8 * v0 * e + 7 * v1 * e + (3 * a0 - 2 * a1) * f / 2,
        6 * d - 3 * (v0 + v1) * e - (a0 - a1) * f / 2,
    )
    position = sum(k * u**n for n, k in enumerate(c))
    slope = sum(n * k * u ** (n - 1) for n, k in enumerate(c) if n)
    bend = sum(n * (n - 1) * k * u ** (n - 2) for n, k in enumerate(c) if n > 1)
    return position, slope / length, bend / (length * length)
