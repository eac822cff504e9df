"""When the next slice of simulated time is due on the wall clock, and how well it follows."""

from __future__ import annotations

from collections import deque

from vla_core.types import NS_PER_S

# Farther behind than this, the lost time is given up: catching up in a burst would look to the
# robot's other nodes like a jump of the clock.
LONGEST_LAG_NS = NS_PER_S // 20
WINDOW_NS = NS_PER_S


class Pace:
    """Maps slices of simulated time onto the steady clock, at real-time speed or slower.

    Args:
        slice_ns: simulated time per slice.
        steady_ns: steady time now; the first slice is due one slice later.
    """

    def __init__(self, slice_ns: int, steady_ns: int) -> None:
        self._slice_ns = slice_ns
        self._due_ns = steady_ns + slice_ns
        self._done: deque[int] = deque([steady_ns])  # when each recent slice was done
        self.given_up_ns = 0

    def wait_ns(self, steady_ns: int) -> int:
        """Return how long to wait before the next slice, 0 if it is due."""
        return max(0, self._due_ns - steady_ns)

    def did_slice(self, steady_ns: int) -> None:
        """Count a slice as simulated."""
        self._done.append(steady_ns)
        while self._done[0] < steady_ns - WINDOW_NS and len(self._done) > 2:
            self._done.popleft()
        self._due_ns += self._slice_ns
        late = steady_ns - self._due_ns
        if late > LONGEST_LAG_NS:
            self._due_ns += late
            self.given_up_ns += late

    def real_time_factor(self) -> float:
        """Return simulated over real time within the newest second, NaN before the first slice."""
        real_ns = self._done[-1] - self._done[0]
        if real_ns <= 0:
            return float("nan")
        return (len(self._done) - 1) * self._slice_ns / real_ns
