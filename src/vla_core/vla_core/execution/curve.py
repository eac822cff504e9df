"""Plans as curves over time: between the rows of a chunk the robot follows a curve, not stairs.

A curve gives, per column, the value (a position, or for velocity columns a velocity) and its two
derivatives. All curves can be asked for any time: before its first row a curve rests there, after
its last row it comes to rest like a critically damped spring.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.execution.traits import traits
from vla_core.smoothstep import smooth_share, smoothstep

Array = NDArray[np.float64]
Times = NDArray[np.int64]
Points = tuple[Array, Array, Array]  # value, first and second derivative, each (K, A)

SETTLE_PER_S = 12.0  # how fast a curve settles after its last row [1/s]


class Curve(Protocol):
    """Values over time. Immutable."""

    def sample(self, times_ns: Times) -> Points:
        """Return value and derivatives at the times, each (K, A)."""
        ...

    def values(self, times_ns: Times) -> Array:
        """Return the very values of `sample` alone (K, A): half of the work."""
        ...


@dataclass(frozen=True, eq=False)
class Constant:
    """Rests at one value per column (velocity columns: at zero velocity)."""

    at: Array  # (A,)

    def sample(self, times_ns: Times) -> Points:
        """Return the constant and zeros."""
        zeros = np.zeros((len(times_ns), len(self.at)))
        return self.values(times_ns), zeros, zeros

    def values(self, times_ns: Times) -> Array:
        """Return the constant."""
        return np.broadcast_to(self.at, (len(times_ns), len(self.at)))


class Spline:
    """Rows as a curve: C2 cubic for positions, linear for velocities, held for grippers."""

    def __init__(
        self,
        rows: Array,
        start_ns: int,
        step_ns: int,
        columns: tuple[Column, ...],
        slopes: tuple[Array, Array] | None = None,
    ) -> None:
        """Take (T, A) rows, T at least 2; row i is due at ``start_ns + i * step_ns``.

        Args:
            slopes: first derivatives (A,) at the first and last row; None: estimated.
        """
        self._start_ns, self._step_ns, self._step_s = start_ns, step_ns, step_ns * 1e-9
        self._coefficients = _cubic(rows, self._step_s, slopes)  # (4, T - 1, A), rising powers
        self._length_ns = (len(rows) - 1) * step_ns
        self._last = rows[-1]
        its = traits(columns)
        held, linear = its.is_gripper, its.is_velocity
        self._coefficients[1:, :, held] = 0.0
        self._coefficients[1, :, linear] = (np.diff(rows, axis=0) / self._step_s).T[linear]
        self._coefficients[2:, :, linear] = 0.0
        self._linear, self._held = linear, held

    def values(self, times_ns: Times) -> Array:
        """Return the values at the times."""
        since_ns = times_ns - self._start_ns
        if since_ns.max() >= self._length_ns:
            return self.sample(times_ns)[0]
        (c0, c1, c2, c3), inner_s = self._pieces(since_ns)
        return np.asarray(c0 + inner_s * (c1 + inner_s * (c2 + inner_s * c3)))

    def sample(self, times_ns: Times) -> Points:
        """Return value and derivatives at the times."""
        since_ns = times_ns - self._start_ns
        (c0, c1, c2, c3), inner_s = self._pieces(since_ns)
        value = c0 + inner_s * (c1 + inner_s * (c2 + inner_s * c3))
        first = c1 + inner_s * (2 * c2 + inner_s * 3 * c3)
        second = 2 * c2 + 6 * c3 * inner_s
        early = since_ns < 0
        if early.any():
            first = np.where(early[:, None], 0.0, first)
            second = np.where(early[:, None], 0.0, second)
        over_ns = since_ns - self._length_ns
        if (over_ns >= 0).any():
            value = np.where((over_ns >= 0)[:, None] & self._held, self._last, value)
            return self._settle(np.maximum(over_ns, 0)[:, None] * 1e-9, value, first, second)
        return value, first, second

    def _pieces(self, since_ns: Times) -> tuple[Array, Array]:
        """Return coefficients (4, K, A) and the time within the piece (K, 1) [s]."""
        # Not np.clip: its way to the same result costs a quarter of `sample`.
        last = self._coefficients.shape[1] - 1
        index = np.minimum(np.maximum(since_ns // self._step_ns, 0), last)
        inner_s = np.minimum(np.maximum(since_ns * 1e-9 - index * self._step_s, 0.0), self._step_s)
        return self._coefficients[:, index], inner_s[:, None]

    def _settle(self, over_s: Array, value: Array, first: Array, second: Array) -> Points:
        """Continue past the last row to rest, without a step in the first two derivatives."""
        late = over_s > 0.0
        k, decay = SETTLE_PER_S, np.exp(-SETTLE_PER_S * over_s)
        push = second + k * first
        speed = (first + push * over_s) * decay
        rise = (push - k * (first + push * over_s)) * decay
        way = first * (1 - decay) / k + push * (1 - decay * (1 + k * over_s)) / k**2
        moved = np.where(self._linear, (value + (first + k * value) * over_s) * decay, value + way)
        slope = np.where(self._linear, (first - k * (first + k * value) * over_s) * decay, speed)
        bend = np.where(self._linear, 0.0, rise)
        return (
            np.where(late, moved, value),
            np.where(late, slope, first),
            np.where(late, bend, second),
        )


@dataclass(frozen=True, eq=False)
class Blend:
    """Goes from one curve to another without a step in value, velocity or acceleration.

    Grippers take the newest value at once: halfway between open and closed holds nothing.
    """

    old: Curve
    new: Curve
    start_ns: int
    duration_ns: int
    newest_wins: NDArray[np.bool_]  # (A,)

    @property
    def end_ns(self) -> int:
        """From here on the curve is the new one."""
        return self.start_ns + self.duration_ns

    def sample(self, times_ns: Times) -> Points:
        """Return value and derivatives at the times."""
        if len(times_ns) == 1:  # the control tick: no need to ask both
            if times_ns[0] >= self.end_ns:
                return self.new.sample(times_ns)
            if times_ns[0] <= self.start_ns and not self.newest_wins.any():
                return self.old.sample(times_ns)
        share, rate, bend = smoothstep((times_ns - self.start_ns) / self.duration_ns)
        length_s = self.duration_ns * 1e-9
        share, rate, bend = share[:, None], rate[:, None] / length_s, bend[:, None] / length_s**2
        old, new = self.old.sample(times_ns), self.new.sample(times_ns)
        gap, gap1, gap2 = (n - o for n, o in zip(new, old, strict=True))
        value = old[0] + share * gap
        first = old[1] + share * gap1 + rate * gap
        second = old[2] + share * gap2 + 2 * rate * gap1 + bend * gap
        newest = self.newest_wins & (times_ns > self.start_ns)[:, None]
        return (
            np.where(newest, new[0], value),
            np.where(newest, new[1], first),
            np.where(newest, new[2], second),
        )

    def values(self, times_ns: Times) -> Array:
        """Return the values at the times."""
        if len(times_ns) == 1:
            return self.sample(times_ns)[0]
        share = smooth_share((times_ns - self.start_ns) / self.duration_ns)[:, None]
        old, new = self.old.values(times_ns), self.new.values(times_ns)
        newest = self.newest_wins & (times_ns > self.start_ns)[:, None]
        return np.where(newest, new, old + share * (new - old))


def _cubic(rows: Array, step_s: float, slopes: tuple[Array, Array] | None) -> Array:
    """Return coefficients (4, T - 1, A) of the C2 cubic spline with given end slopes."""
    first, last = slopes if slopes is not None else _end_slopes(rows, step_s)
    m = np.empty_like(rows)
    m[0], m[-1] = first, last
    if len(rows) > 2:
        right = 3.0 * (rows[2:] - rows[:-2]) / step_s
        right[0] -= first
        right[-1] -= last
        m[1:-1] = _inverse(len(rows) - 2) @ right
    rise = np.diff(rows, axis=0) / step_s
    c2 = (3 * rise - 2 * m[:-1] - m[1:]) / step_s
    c3 = (m[:-1] + m[1:] - 2 * rise) / step_s**2
    return np.stack([rows[:-1], m[:-1], c2, c3])


def _end_slopes(rows: Array, step_s: float) -> tuple[Array, Array]:
    """Return slopes at both ends, exact for parabolas where there are three rows."""
    if len(rows) == 2:
        slope = (rows[1] - rows[0]) / step_s
        return slope, slope
    first = (-3 * rows[0] + 4 * rows[1] - rows[2]) / (2 * step_s)
    last = (3 * rows[-1] - 4 * rows[-2] + rows[-3]) / (2 * step_s)
    return first, last


@lru_cache(maxsize=32)
def _inverse(size: int) -> Array:
    """Return the inverse of the matrix with 4 on the diagonal and 1 beside it."""
    matrix = 4 * np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)
    return np.asarray(np.linalg.inv(matrix))
