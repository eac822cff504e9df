"""How long silence may last."""

from __future__ import annotations


class Watchdog:
    """Expires when it is not fed for its deadline. Times of a steady clock [ns]."""

    def __init__(self, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns
        self._fed_ns: int | None = None

    def feed(self, now_ns: int) -> None:
        """Note a sign of life."""
        self._fed_ns = now_ns

    def age_ns(self, now_ns: int) -> int | None:
        """Return the time since the last sign of life; None: there was none."""
        return None if self._fed_ns is None else now_ns - self._fed_ns

    def is_expired(self, now_ns: int) -> bool:
        """Whether the silence is too long; never fed is expired."""
        return self._fed_ns is None or now_ns - self._fed_ns > self._deadline_ns

    def clear(self) -> None:
        """Expire at once."""
        self._fed_ns = None
