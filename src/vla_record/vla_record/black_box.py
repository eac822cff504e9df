"""The newest seconds of everything, in memory, for the minute after something went wrong."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from vla_core.types import NS_PER_S


class Entry(NamedTuple):
    """One raw message."""

    topic: str
    data: bytes
    time_ns: int  # wall clock


class BlackBox:
    """Keeps what came in the newest ``before_s``; gives it out ``after_s`` after a trigger.

    Bounded in bytes too: the oldest leave first. Latched topics are kept apart, so that each box
    says which contract, policy and route it belongs to.
    """

    def __init__(self, before_s: float, after_s: float, latched: frozenset[str], limit_mb: int):
        self._before_ns, self._after_ns = int(before_s * NS_PER_S), int(after_s * NS_PER_S)
        self._latched, self._limit = latched, limit_mb * 1024 * 1024
        self._standing: dict[str, list[Entry]] = {}
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._due_ns: int | None = None

    def add(self, entry: Entry) -> None:
        """Keep one message and let go of the old ones."""
        if entry.topic in self._latched:
            self._standing.setdefault(entry.topic, []).append(entry)
            del self._standing[entry.topic][:-4]  # a contract may come in several files
            return
        self._entries.append(entry)
        self._size += len(entry.data)
        # While a trigger waits, what led to it must not run out of the buffer.
        span = self._before_ns + (self._after_ns if self._due_ns is not None else 0)
        while self._size > self._limit or self._entries[0].time_ns < entry.time_ns - span:
            self._size -= len(self._entries.popleft().data)

    def trigger(self, now_ns: int) -> bool:
        """Note that something went wrong; False if that is noted already."""
        if self._due_ns is not None or self._before_ns <= 0:
            return False
        self._due_ns = now_ns + self._after_ns
        return True

    def take(self, now_ns: int) -> list[Entry]:
        """Return the box's content once the seconds after the trigger are over, else nothing."""
        if self._due_ns is None or now_ns < self._due_ns:
            return []
        self._due_ns = None
        standing = [entry for entries in self._standing.values() for entry in entries]
        return [*standing, *self._entries]
