"""The newest samples of one stream, found again by time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Payload = Array | Callable[[], Array]  # a callable decodes only when an inference needs it


@dataclass(frozen=True, eq=False)
class Sample:
    """One message: when it was true, and what it says."""

    stamp_ns: int
    payload: Payload

    def decode(self) -> Array:
        """Return the array behind the payload."""
        return self.payload() if callable(self.payload) else self.payload


class Stream:
    """Keeps at most ``capacity`` samples in the order of their stamps."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._samples: list[Sample] = []
        self._arrivals_since_advance = 0
        self._newest_ns: int | None = None

    def add(self, sample: Sample) -> None:
        """Keep a sample; the oldest one leaves when the buffer is full."""
        if self._newest_ns is None or sample.stamp_ns > self._newest_ns:
            self._newest_ns = sample.stamp_ns
            self._arrivals_since_advance = 0
        else:
            self._arrivals_since_advance += 1
        at = bisect_right(self._samples, sample.stamp_ns, key=_stamp)
        if at and self._samples[at - 1].stamp_ns == sample.stamp_ns:
            self._samples[at - 1] = sample  # the same instant again: newest wins
            return
        self._samples.insert(at, sample)
        del self._samples[: -self._capacity]

    def at(self, now_ns: int) -> Sample | None:
        """Return the newest sample not later than ``now_ns``."""
        at = bisect_right(self._samples, now_ns, key=_stamp)
        return self._samples[at - 1] if at else None

    @property
    def newest_ns(self) -> int | None:
        """Newest stamp seen; None: nothing arrived."""
        return self._newest_ns

    @property
    def is_stuck(self) -> bool:
        """Whether samples keep arriving while their stamp stands still."""
        return self._arrivals_since_advance >= 2

    def clear(self) -> None:
        """Forget everything, for example after a jump of the clock."""
        self._samples.clear()
        self._newest_ns = None
        self._arrivals_since_advance = 0


def _stamp(sample: Sample) -> int:
    return sample.stamp_ns
