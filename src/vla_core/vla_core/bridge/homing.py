"""Ways to a pose at low speed, sent piece by piece so that each piece ends at rest by itself.

A way is a path over its own time; it is played at that pace, and braking means that the pace goes
down to zero along the same path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.errors import LimitError
from vla_core.smoothstep import PEAK_1, PEAK_2, PEAK_3, smoothstep

Array = NDArray[np.float64]
# Times (K,) [s] -> positions, velocities, accelerations (K, A) along the path.
Path = Callable[[Array], tuple[Array, Array, Array]]

AHEAD_S = 0.3  # of each piece at full pace; braking follows
STEP_S = 0.05  # between points of a piece


@dataclass(frozen=True)
class Way:
    """A path of A columns, at rest at both ends."""

    path: Path
    seconds: float
    brake_s: float

    def piece(self, now_s: float) -> tuple[NDArray[np.int64], Array, Array, Array]:
        """Return what to send at ``now_s`` after the start of the way.

        Returns:
            Times from now [ns] (K,), positions, velocities and accelerations (K, A): the next
            moments at full pace, then braking to rest, inside the path.
        """
        count = int((AHEAD_S + self.brake_s) / STEP_S) + 2
        times: Array = STEP_S * np.arange(1, count + 1, dtype=np.float64)
        along, pace, change = self._progress(times)
        positions, slopes, bends = self.path(np.clip(now_s + along, 0.0, self.seconds))
        velocities = slopes * pace[:, None]
        accelerations = bends * pace[:, None] ** 2 + slopes * change[:, None]
        velocities[-1] = accelerations[-1] = 0.0
        return np.round(times * 1e9).astype(np.int64), positions, velocities, accelerations

    def _progress(self, times: Array) -> tuple[Array, Array, Array]:
        """Return how far the way is by then [s], the pace and its derivative."""
        u = np.clip((times - AHEAD_S) / self.brake_s, 0.0, 1.0)
        done, rate, _ = smoothstep(u)
        # The integral of 1 - smoothstep(u), times the braking time.
        braked = self.brake_s * (u - (2.5 * u**4 - 3 * u**5 + u**6))
        return np.minimum(times, AHEAD_S) + braked, 1.0 - done, -rate / self.brake_s


def straight(start: Array, goal: Array, columns: Sequence[Column], share: float) -> Way:
    """Return the straight way (A,) to (A,), all columns together, within a share of each limit.

    Raises:
        LimitError: the goal is outside the limits of a position.
    """
    _check_positions(np.stack([goal]), columns)
    gap = goal - start
    seconds = max(0.5, *(_seconds(c, abs(g), share) for c, g in zip(columns, gap, strict=True)))

    def path(times: Array) -> tuple[Array, Array, Array]:
        done, rate, bend = smoothstep(times / seconds)
        return (
            start + done[:, None] * gap,
            rate[:, None] * gap / seconds,
            bend[:, None] * gap / seconds**2,
        )

    return Way(path, seconds, _brake_s(columns, share))


def planned(times: Array, points: Array, columns: Sequence[Column], share: float) -> Way:
    """Return the way along somebody's plan, slowed down until every column keeps to its share.

    Args:
        times: (K,) rising from 0 [s].
        points: (K, A) positions.
        columns: limits.
        share: of velocity and acceleration.

    Raises:
        LimitError: a point is outside the limits of a position, or there are too few points.
    """
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise LimitError(f"plan: expected at least two points with rising times, got {times}")
    _check_positions(points, columns)
    slopes = np.diff(points, axis=0) / np.diff(times)[:, None]
    fastest = np.abs(slopes).max(axis=0)
    slowdown = max(1.0, *(f / (share * c.velocity) for f, c in zip(fastest, columns, strict=True)))
    length = float(times[-1]) * slowdown * PEAK_1  # a smooth start and end on top of it

    def path(at: Array) -> tuple[Array, Array, Array]:
        done, _, _ = smoothstep(at / length)
        positions = _interpolate(times, points, done * times[-1])
        # The plan is a polyline: its bends are the receiver's to smooth.
        ahead, _, _ = smoothstep((at + 1e-3) / length)
        slope = (_interpolate(times, points, ahead * times[-1]) - positions) / 1e-3
        return positions, slope, np.zeros_like(slope)

    return Way(path, length, _brake_s(columns, share))


def _interpolate(times: Array, points: Array, at: Array) -> Array:
    return np.stack([np.interp(at, times, points[:, i]) for i in range(points.shape[1])], axis=1)


def _seconds(column: Column, way: float, share: float) -> float:
    return float(
        max(
            PEAK_1 * way / (share * column.velocity),
            (PEAK_2 * way / (share * column.acceleration)) ** 0.5,
            (PEAK_3 * way / (share * column.jerk)) ** (1 / 3),
        )
    )


def _brake_s(columns: Sequence[Column], share: float) -> float:
    """Return a braking time that keeps to the limits from the fastest pace of any column."""
    return max(
        0.2,
        *(PEAK_1 * share * c.velocity / (0.8 * c.acceleration) for c in columns),
        *(math.sqrt(PEAK_2 * share * c.velocity / (0.8 * c.jerk)) for c in columns),
    )


def _check_positions(points: Array, columns: Sequence[Column]) -> None:
    for i, column in enumerate(columns):
        lower, upper = column.position or (-np.inf, np.inf)
        worst = points[:, i][np.argmax(np.abs(points[:, i] - (lower + upper) / 2))]
        if not lower - 1e-6 <= worst <= upper + 1e-6:
            raise LimitError(
                f"way: '{column.name}' would be at {worst:.3g} {column.unit}, "
                f"limits {lower:g} to {upper:g}"
            )
