"""Deadlines of futures: rclpy has none."""

from __future__ import annotations

import time

from rclpy.task import Future


class Deadlines:
    """Gives futures the result None when their time is up."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Future]] = []

    def add(self, seconds: float, future: Future) -> None:
        """Give a future its deadline, from now [s]."""
        self._waiting.append((time.monotonic() + seconds, future))

    def enforce(self) -> None:
        """End what is too late; call it regularly."""
        now = time.monotonic()
        for end, future in self._waiting:
            if end < now and not future.done():
                future.set_result(None)
        self._waiting = [(end, future) for end, future in self._waiting if not future.done()]
