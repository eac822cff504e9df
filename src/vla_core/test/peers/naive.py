"""A small index-based action queue, written from what others publish about theirs, bugs included.

The tests beside it show each published bug on this queue first, so that they would notice it on
ours. Reference only: no code of theirs, and nothing of it is shipped. One joint is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Rows = list[float]
Policy = Callable[[int, float], Rows]  # step and state as sent -> actions from this step on


class IndexQueue:
    """Actions popped one per tick. A step is a number of pops, not a time."""

    def __init__(self) -> None:
        self._items: list[tuple[int, float]] = []
        self.latest = -1  # the step popped last

    def __len__(self) -> int:
        return len(self._items)

    def pop(self) -> float | None:
        """Return the action of this tick; None: starved."""
        if not self._items:
            return None
        self.latest, value = self._items.pop(0)
        return value

    def aggregate(self, first_step: int, rows: Rows, new_share: float = 1.0) -> None:
        """Mix a chunk into the queue, matching steps; what results replaces the queue."""
        old = dict(self._items)
        self._items = [
            (step, new_share * row + (1 - new_share) * old.get(step, row))
            for step, row in enumerate(rows, first_step)
            if step > self.latest
        ]

    def splice(self, rows: Rows, skipped: int) -> None:
        """Replace the queue by a chunk without its first rows."""
        self._items = list(enumerate(rows[skipped:], self.latest + 1))

    def left_over(self) -> Rows:
        """Return what has not been popped."""
        return [value for _, value in self._items]


def padded(rows: Rows, length: int) -> Rows:
    """Fill a prefix up to a length with zeros, in the network's normalised units."""
    return rows + [0.0] * (length - len(rows))


class PeakLatency:
    """A delay estimate that is the largest latency ever seen."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def add(self, latency_s: float) -> None:
        """Note one inference."""
        self._seen.append(latency_s)

    def estimate_s(self) -> float:
        """Return what the next inference is expected to take."""
        return max(self._seen)


def delay_rows(latency_s: float, rate_hz: float = 30.0) -> int:
    """Return the rows that pass during an inference; nobody tells it the rate."""
    return int(latency_s * rate_hz)


@dataclass
class NaiveServer:
    """Filters observations and answers after a while; an exception answers nothing."""

    policy: Policy
    latency_ticks: int
    similar: float = 1.0  # observations nearer than this, in raw units, are the same
    processed: list[bool] = field(default_factory=list)  # must_go of each inference
    _predicted: set[int] = field(default_factory=set)
    _last_state: float | None = None
    _busy: tuple[int, int, Rows] | None = None  # ticks left, first step, rows

    def observe(self, step: int, state: float, must_go: bool) -> None:
        """Take one observation, if it is worth an inference and none runs."""
        is_new = step not in self._predicted and (
            self._last_state is None or abs(state - self._last_state) >= self.similar
        )
        if self._busy is not None or not (must_go or is_new):
            return
        self._predicted.add(step)  # before it has succeeded
        self._last_state = state
        self.processed.append(must_go)
        try:
            self._busy = (self.latency_ticks, step, self.policy(step, state))
        except RuntimeError:
            self._busy = None

    def answer(self) -> tuple[int, Rows] | None:
        """Let a tick pass; return the first step and the rows when they are ready."""
        if self._busy is None:
            return None
        left, step, rows = self._busy
        self._busy = None if left <= 1 else (left - 1, step, rows)
        return (step, rows) if left <= 1 else None


@dataclass
class NaiveClient:
    """Pops by index, and sends observations while the queue is below a share of a chunk."""

    server: NaiveServer
    rows: int  # per chunk
    threshold: float
    queue: IndexQueue = field(default_factory=IndexQueue)
    starved: int = 0  # ticks without an action after the first chunk
    _must_go: bool = True

    def tick(self, state: float) -> float | None:
        """Do one control tick."""
        answer = self.server.answer()
        if answer is not None:
            self.queue.aggregate(*answer)
            self._must_go = True
        action = self.queue.pop()
        self.starved += action is None and self.queue.latest >= 0
        if len(self.queue) / self.rows <= self.threshold:
            must_go = self._must_go and not self.queue
            self.server.observe(max(self.queue.latest, 0), state, must_go)
            if must_go:
                self._must_go = False  # whatever became of it
        return action
