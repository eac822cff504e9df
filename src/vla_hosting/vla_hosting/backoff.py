"""When something that failed may be tried again."""

from __future__ import annotations

from vla_core.errors import NotReadyError


class Backoff:
    """Waits twice as long after each failure, up to a limit. Times are handed in [s]."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._wait_s, self._most_s = first_s, most_s
        self._next_s, self._reason = float("-inf"), ""

    def failed(self, now_s: float, reason: str) -> None:
        """Take note of a failure."""
        self._next_s, self._reason = now_s + self._wait_s, reason
        self._wait_s = min(2 * self._wait_s, self._most_s)

    def check(self, now_s: float) -> None:
        """Return if it may be tried now.

        Raises:
            NotReadyError: too early, with the reason of the last failure.
        """
        if now_s < self._next_s:
            raise NotReadyError(f"{self._reason} (next attempt in {self._next_s - now_s:.1f} s)")
