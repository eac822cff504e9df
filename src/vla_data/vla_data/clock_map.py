"""Wall clock and ROS time of a recording."""

from __future__ import annotations

import numpy as np

from vla_data.records import Floats, Times


class ClockMap:
    """Wall clock to ROS time and back, by the recorded `/clock`; without it they are the same."""

    def __init__(self, wall_ns: Times, ros_ns: Times) -> None:
        # As differences to the first: float64 holds 104 days of nanoseconds exactly.
        self._origin = (int(wall_ns[0]), int(ros_ns[0])) if len(wall_ns) else (0, 0)
        self._wall = (wall_ns - self._origin[0]).astype(np.float64)
        self._ros = (ros_ns - self._origin[1]).astype(np.float64)

    def to_ros(self, wall_ns: int) -> int:
        """Return the ROS time at a wall time."""
        at = wall_ns - self._origin[0]
        return self._map(at, self._wall, self._ros) + self._origin[1]

    def to_wall(self, ros_ns: int) -> int:
        """Return the wall time at a ROS time."""
        at = ros_ns - self._origin[1]
        return self._map(at, self._ros, self._wall) + self._origin[0]

    def factor(self, start_ns: int, end_ns: int) -> float:
        """Return the real-time factor between two ROS times; NaN: time is not simulated."""
        if len(self._wall) < 2 or end_ns <= start_ns:
            return float("nan")
        wall = self.to_wall(end_ns) - self.to_wall(start_ns)
        return (end_ns - start_ns) / wall if wall > 0 else float("nan")

    def _map(self, at: int, source: Floats, target: Floats) -> int:
        if not len(source):
            return at
        for end in (0, -1):  # beyond the ends: as if the clock went on at full speed
            beyond = at - int(source[end])
            if (beyond > 0) if end else (beyond < 0):
                return int(target[end]) + beyond
        return round(float(np.interp(at, source, target)))
