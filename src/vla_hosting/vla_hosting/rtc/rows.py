"""The executor's plan on the rows of a policy, so that the policy can continue it.

Only rows that exist: what the plan does not have stays NaN and weighs nothing, it is never filled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.errors import MismatchError
from vla_core.types import Prefix

Array = NDArray[np.float64]


def align(
    prefix: Prefix, start_ns: int, step_ns: int, horizon: int, columns: Sequence[Column]
) -> Prefix | None:
    """Return the plan at the rows ``start_ns + i * step_ns`` of a chunk; None: nowhere.

    Between its knots the plan is read as the executor plays it: positions along a cubic,
    velocities linearly, grippers held. Rows before the first knot do not exist either: the result
    may start some rows after ``start_ns``, always on the chunk's grid.

    Args:
        prefix: the plan as knots.
        start_ns: when the chunk's first row is due.
        step_ns: between the chunk's rows.
        horizon: rows of the chunk.
        columns: kinds of the prefix's columns.
    """
    end_ns = prefix.start_ns + (len(prefix.values) - 1) * prefix.step_ns
    first = max(0, -((start_ns - prefix.start_ns) // step_ns))
    last = min((end_ns - start_ns) // step_ns, horizon - 1)
    if last < first:
        return None
    due_ns = start_ns + step_ns * np.arange(first, last + 1, dtype=np.int64)
    values = _read(prefix, due_ns, columns)
    return Prefix(values, int(due_ns[0]), step_ns, prefix.committed_until_ns)


def _read(prefix: Prefix, due_ns: NDArray[np.int64], columns: Sequence[Column]) -> Array:
    since_ns = due_ns - prefix.start_ns
    index, rest_ns = np.divmod(since_ns, prefix.step_ns)
    share = (rest_ns / prefix.step_ns)[:, None]
    knots = prefix.values
    if not share.any():
        return np.asarray(knots[index])  # a copy
    after = np.minimum(index + 1, len(knots) - 1)  # the last knot is met exactly
    linear = knots[index] + share * (knots[after] - knots[index])
    held = np.array([column.is_gripper for column in columns])
    curved = np.array([column.is_position for column in columns]) & ~held
    values = np.where(curved, _cubic(knots, index, after, share), linear)
    return np.where(held, knots[index], values)


def _cubic(knots: Array, index: Array, after: Array, share: Array) -> Array:
    """Cubic through two knots with the slopes of their neighbours (Catmull and Rom, 1974)."""
    slopes = np.gradient(knots, axis=0) if len(knots) > 1 else np.zeros(knots.shape)
    way = knots[after] - knots[index]
    bend = slopes[index] - way
    unbend = way - slopes[after]
    return np.asarray(
        knots[index] + share * way + share * (1 - share) * ((1 - share) * bend + share * unbend)
    )


@dataclass(frozen=True, eq=False)
class PrefixRows:
    """A plan on all rows of one chunk; letters: ``H`` rows, ``A`` columns."""

    values: Array  # (H, A); NaN: the plan has no such row
    committed: int  # leading rows that are executed whatever the answer is, d

    @classmethod
    def of(cls, prefix: Prefix, start_ns: int, step_ns: int, horizon: int) -> PrefixRows:
        """Return an aligned prefix on the rows of a chunk.

        Raises:
            MismatchError: it is not on the chunk's grid; `align` puts it there.
        """
        first, off_ns = divmod(prefix.start_ns - start_ns, step_ns)
        if prefix.step_ns != step_ns or off_ns or first < 0:
            raise MismatchError(
                f"prefix: expected rows {step_ns} ns apart on the grid of a chunk that starts at "
                f"{start_ns} ns, got rows {prefix.step_ns} ns apart from {prefix.start_ns} ns"
            )
        values = np.full((horizon, prefix.values.shape[1]), np.nan)
        rows = prefix.values[: max(0, horizon - first)]
        values[first : first + len(rows)] = rows
        committed = -((start_ns - prefix.committed_until_ns) // step_ns)
        return cls(values, min(max(0, committed), horizon))

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Which rows the plan has (H,)."""
        return np.asarray(np.isfinite(self.values).any(axis=1))

    @property
    def end(self) -> int:
        """One after the last row that the plan has."""
        found = np.flatnonzero(self.exists)
        return int(found[-1]) + 1 if len(found) else 0

    @property
    def leading(self) -> int:
        """How many rows the plan has from row 0 on, without a gap."""
        return int(np.argmin(np.append(self.exists, False)))

    def encoded(self, encode: Callable[[Array], Array]) -> PrefixRows:
        """Return the rows in the space of the network, NaN where they were NaN.

        ``encode`` takes (H, A) to (H, M), like the normalisation of the policy's training data;
        columns that only pad the network's width must be NaN.
        """
        return replace(self, values=np.asarray(encode(self.values), np.float64))
