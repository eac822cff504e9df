"""What really happened at the joints, kept for whoever judges."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Truth:
    """Positions over time, and the goals as the servos took them over; steady clock [ns]."""

    joints: int
    _times: array[int] = field(default_factory=lambda: array("q"))
    _positions: array[float] = field(default_factory=lambda: array("d"))
    _goal_times: array[int] = field(default_factory=lambda: array("q"))
    _goals: array[float] = field(default_factory=lambda: array("d"))

    def moved(self, now_ns: int, positions: list[float]) -> None:
        """Note where the joints are [ticks after the homing offset]."""
        self._positions.extend(positions)
        self._times.append(now_ns)

    def told(self, now_ns: int, goals: list[int]) -> None:
        """Note where the servos are told to go."""
        self._goals.extend(goals)
        self._goal_times.append(now_ns)

    def positions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return times (N,) and positions (N, J)."""
        return self._table(self._times, self._positions)

    def goals(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return times (M,) and goals (M, J), a row for each change of any."""
        return self._table(self._goal_times, self._goals)

    def _table(
        self, times: array[int], values: array[float]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = len(times)
        table = np.array(values[: rows * self.joints]).reshape(rows, self.joints)
        return np.array(times[:rows], np.int64), table
