"""A clock that a test moves by hand."""

from __future__ import annotations

from vla_core.types import NS_PER_S


class FakeClock:
    """Stands still until it is told to move; waiting moves it and takes no time."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def advance(self, seconds: float) -> int:
        """Move forward (or back) and return the new time [ns]."""
        self.now_ns += round(seconds * NS_PER_S)
        return self.now_ns

    def ns(self) -> int:
        """Return the time [ns]; in place of ``time.monotonic_ns``."""
        return self.now_ns

    def seconds(self) -> float:
        """Return the time [s]; in place of ``time.monotonic``."""
        return self.now_ns / NS_PER_S

    def sleep(self, seconds: float) -> None:
        """Move forward; in place of ``time.sleep``."""
        self.advance(seconds)
