"""The smooth way from one value to another: no step in velocity or acceleration, inside limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column

Array = NDArray[np.float64]

# The way may use this share of each limit; the rest is for the motion that goes on meanwhile.
SHARE = 0.5
# Peaks of the derivatives for a way of 1 within a time of 1.
PEAK_1, PEAK_2, PEAK_3 = 1.875, 5.774, 60.0


def smoothstep(u: Array) -> tuple[Array, Array, Array]:
    """Return 10 u^3 - 15 u^4 + 6 u^5 and its derivatives, constant outside 0 <= u <= 1."""
    u = np.clip(u, 0.0, 1.0)
    rest = u * (1 - u)
    return u**3 * (10 - 15 * u + 6 * u * u), 30 * rest**2, 60 * rest * (1 - 2 * u)


def smooth_seconds(column: Column, way: float) -> float:
    """Return how long a way along a smoothstep must take to keep to its share of the limits."""
    velocity, acceleration, jerk = (
        SHARE * limit for limit in (column.velocity, column.acceleration, column.jerk)
    )
    if not column.is_position:  # the value is a velocity already: one derivative less
        return float(max(PEAK_1 * way / acceleration, (PEAK_2 * way / jerk) ** 0.5))
    return float(
        max(
            PEAK_1 * way / velocity,
            (PEAK_2 * way / acceleration) ** 0.5,
            (PEAK_3 * way / jerk) ** (1 / 3),
        )
    )
