"""Windows of the newest values: one spike is forgotten after as many values as the window has."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Window:
    """The newest ``size`` numbers and their quantiles; the first ``skip`` are left out."""

    def __init__(self, size: int, skip: int = 0) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self._skip = skip

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Add one value, unless it belongs to the warm-up."""
        if self._skip > 0:
            self._skip -= 1
        else:
            self._values.append(value)

    def newest(self, count: int) -> list[float]:
        """Return the newest ``count`` values, or as many as there are, oldest first."""
        return list(self._values)[-count:]

    def quantile(self, share: float) -> float:
        """Return the smallest value that at least ``share`` of the window do not exceed.

        NaN if the window is empty.
        """
        if not self._values:
            return math.nan
        ordered = sorted(self._values)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def quantiles(values: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """Return interpolated quantiles of values (K,); NaN: there are none."""
    if not len(values):
        return [math.nan] * len(shares)
    return [float(value) for value in np.quantile(values, shares)]


class JitterMeter:
    """Error of a periodic tick's period over the newest ``size`` ticks [s]."""

    def __init__(self, period_s: float, size: int) -> None:
        self._period_s = period_s
        self._errors = np.zeros(size)
        self._count = 0
        self._last_ns: int | None = None

    def tick(self, now_ns: int) -> None:
        """Note one tick."""
        if self._last_ns is not None:
            error = abs((now_ns - self._last_ns) * 1e-9 - self._period_s)
            self._errors[self._count % len(self._errors)] = error
            self._count += 1
        self._last_ns = now_ns

    def forget_last(self) -> None:
        """Do not compare the next tick with the one before, for example after a clock jump."""
        self._last_ns = None

    def quantile(self, share: float) -> float:
        """Return a quantile of the error [s]; NaN: fewer than two ticks."""
        return self.quantiles(share)[0]

    def quantiles(self, *shares: float) -> list[float]:
        """Return several quantiles at the cost of one."""
        return quantiles(self._errors[: min(self._count, len(self._errors))], shares)
