"""The smooth way from one value to another: no step in velocity or acceleration, inside limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column

Array = NDArray[np.float64]

# The way may use this share of each limit; the rest is for the motion that goes on meanwhile.
SHARE = 0.5
# Peaks of the derivatives for a way of 1 within a time of 1.
PEAK_1, PEAK_2, PEAK_3 = PEAKS = 1.875, 5.774, 60.0


def smooth_share(u: Array) -> Array:
    """Return 10 u^3 - 15 u^4 + 6 u^5, constant outside 0 <= u <= 1."""
    u = np.minimum(np.maximum(u, 0.0), 1.0)
    return np.asarray(u**3 * (10 - 15 * u + 6 * u * u))


def smoothstep(u: Array) -> tuple[Array, Array, Array]:
    """Return 10 u^3 - 15 u^4 + 6 u^5 and its derivatives, constant outside 0 <= u <= 1."""
    u = np.minimum(np.maximum(u, 0.0), 1.0)
    rest = u * (1 - u)
    return smooth_share(u), 30 * rest**2, 60 * rest * (1 - 2 * u)


def smooth_limits(column: Column) -> tuple[float, float, float]:
    """Return the shares of the limits that a way may use, by the derivative of the value.

    A velocity column has one derivative less than a position: nothing limits its third.
    """
    limits = SHARE * column.velocity, SHARE * column.acceleration, SHARE * column.jerk
    return limits if column.is_position else (limits[1], limits[2], np.inf)


def smooth_seconds(column: Column, way: float) -> float:
    """Return how long a way along a smoothstep must take to keep to its share of the limits."""
    peaks = zip(PEAKS, smooth_limits(column), strict=True)
    return slowed_seconds(*(peak * way / limit for peak, limit in peaks))


def slowed_seconds(first: float, second: float, third: float) -> float:
    """Return how much slower than within 1 s a way must be taken.

    Args:
        first: how much faster than allowed its first derivative would be; 1: just as allowed.
        second: the same of the second derivative.
        third: the same of the third.
    """
    return float(max(first, second**0.5, third ** (1 / 3)))
