"""Where one plan takes over from another: what every join is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.execution.curve import Curve
from vla_core.execution.traits import traits

Array = NDArray[np.float64]

SAMPLES = 12
_NUMBERS = np.arange(SAMPLES, dtype=np.float64)
AGREEMENT_NS = 200_000_000  # plans are compared over this time before they are joined


@dataclass(frozen=True, eq=False)
class Seam:
    """Where one plan takes over from another. Times are plan times (see `pace.Pace`)."""

    old: Curve  # what is being played
    old_own: Curve  # the older plan alone: where it wanted to be, whatever join led to it
    new: Curve
    at_ns: int  # the newest point already sent: both the old curve and the robot are there
    end_ns: int  # end of the new plan
    step_ns: int  # the executor's tick
    columns: tuple[Column, ...]
    old_end_ns: int | None = None  # when the old plan's last row is due; None: there was none
    row_ns: int = 0  # between the rows of the new plan
    rows: int = 0  # of the new plan

    def gaps(self, until_ns: int) -> Array:
        """Return how far the new plan is from what is played (SAMPLES, A), from here on."""
        return self._apart(self.old, until_ns)

    def disagreement(self, until_ns: int) -> Array:
        """Return how far the two plans are apart (SAMPLES, A): the policy's doing."""
        return self._apart(self.old_own, until_ns)

    def _apart(self, old: Curve, until_ns: int) -> Array:
        # What np.linspace does, at a tenth of its cost.
        first, last = float(self.at_ns), float(until_ns)
        instants = first + _NUMBERS * ((last - first) / (SAMPLES - 1))
        instants[-1] = last
        times = instants.astype(np.int64)
        return np.abs(self.new.values(times) - old.values(times))

    def quarrel(self, limit: float) -> str | None:
        """Return a sentence if the plans are too far apart to go from one to the other."""
        gaps = self.disagreement(self.at_ns + AGREEMENT_NS).max(axis=0)
        apart = traits(self.columns).is_joint & (gaps > limit)
        if not apart.any():
            return None
        first = int(apart.argmax())
        return (
            f"old and new plan are {gaps[first]:.3g} {self.columns[first].unit} apart on "
            f"'{self.columns[first].name}' (limit {limit:g}): stopping instead of blending"
        )

    @property
    def newest_wins(self) -> NDArray[np.bool_]:
        """Columns (A,) that are never averaged: halfway between open and closed holds nothing."""
        return traits(self.columns).is_gripper

    @property
    def row_times(self) -> NDArray[np.int64]:
        """Target times of the new plan's rows (rows,)."""
        return self.end_ns - np.arange(self.rows - 1, -1, -1, dtype=np.int64) * self.row_ns


Join = Callable[[Seam], Curve]
