"""Takes the scatter out of a chunk's rows before they become a curve.

A network's rows scatter by some milliradians from one to the next. At 20 rows per second that asks
for hundreds of rad/s^3: the limits would work all the time and the robot would shake. What is
removed is shorter than the robot can follow anyway, and nothing is delayed: the whole chunk is
known at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.execution.traits import traits

Array = NDArray[np.float64]


def smoothed(rows: Array, columns: tuple[Column, ...], period_rows: float) -> Array:
    """Return (T, A) rows without wiggles; parabolas pass unchanged, grippers as well.

    Minimises the distance to the rows plus the third differences, weighed so that a wave of
    ``period_rows`` rows keeps half of its height. 0: no smoothing.

    Source: Whittaker, On a new method of graduation, 1923.
    """
    if period_rows <= 0.0 or len(rows) < 5:
        return rows
    return np.where(traits(columns).is_gripper, rows, _smoother(len(rows), period_rows) @ rows)


@lru_cache(maxsize=32)
def _smoother(count: int, period_rows: float) -> Array:
    """Return the matrix (T, T) that smooths a column of ``count`` rows."""
    weight = (2 * math.sin(math.pi / max(period_rows, 2.0))) ** -6
    third = np.diff(np.eye(count), n=3, axis=0)
    return np.asarray(np.linalg.inv(np.eye(count) + weight * third.T @ third))
