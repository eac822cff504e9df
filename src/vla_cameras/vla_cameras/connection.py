"""When to open a camera, when to give it up, how long to wait: decided here, done by the node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vla_core.observation.skew import furthest
from vla_core.types import NS_PER_S

# A camera that held for so long was well: its next loss is tried again at once.
STABLE_NS = 10 * NS_PER_S


class State(Enum):
    """Where a stream is."""

    WAITING = "waiting"  # for the next try
    OPENING = "opening"  # no picture yet
    RUNNING = "running"
    ENDED = "ended"  # a file came to its end; nothing follows


class Action(Enum):
    """What the node has to do now."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True)
class Settings:
    """Deadlines of one stream."""

    stall_ns: int = NS_PER_S  # silence after which a running stream counts as lost
    open_within_ns: int = 5 * NS_PER_S  # for the first picture
    retry_first_ns: int = NS_PER_S // 2
    retry_most_ns: int = 10 * NS_PER_S  # the pause doubles up to this


class Connection:
    """The state of one stream. The caller hands in the steady clock and serialises calls."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        self.state = State.WAITING
        self.trouble = ""  # why there are no pictures; empty: there are
        self.lost = 0  # times a running stream was lost
        self.doubled = 0  # pictures that came a second time
        self._news: list[str] = []
        self._tries = 0  # failed in a row
        self._due_ns = 0  # of the next try
        self._since_ns = 0  # opening or running since
        self._lost_ns: int | None = None
        self._taken_ns = self._heard_ns = -1

    def tick(self, now_ns: int) -> Action | None:
        """Return what to do now: open, or close what has stalled."""
        if self.state is State.WAITING and now_ns >= self._due_ns:
            self.state, self._since_ns = State.OPENING, now_ns
            return Action.OPEN
        limit_s = self._settings.open_within_ns / NS_PER_S
        if self.state is State.OPENING and now_ns - self._since_ns > self._settings.open_within_ns:
            self.failed(now_ns, f"no picture within {limit_s:g} s of opening")
            return Action.CLOSE
        if self.state is State.RUNNING and now_ns - self._heard_ns > self._settings.stall_ns:
            silent_s = (now_ns - self._heard_ns) / NS_PER_S
            self.failed(now_ns, f"stalled: no new picture for {silent_s:.1f} s")
            return Action.CLOSE
        return None

    def picture(self, now_ns: int, taken_ns: int) -> bool:
        """Take note of a picture; return whether it is a new one, to be published.

        A driver that hands out its last buffer again and again is silent, not alive.
        """
        if self.state not in (State.OPENING, State.RUNNING):
            return False
        if taken_ns <= self._taken_ns:
            self.doubled += 1
            return False
        self._taken_ns = taken_ns
        self._heard_ns = now_ns
        if self.state is State.OPENING:
            self._begin(now_ns)
        elif now_ns - self._since_ns > STABLE_NS:
            self._tries = 0
        return True

    def failed(self, now_ns: int, why: str) -> None:
        """Give the stream up until the next try."""
        if self.state is State.RUNNING:
            self.lost += 1
            self._lost_ns = now_ns
        # Neither a start without a camera nor a loss is told at each try.
        if self.state is State.RUNNING or not self.trouble:
            self._news.append(f"{self._name} lost: {why}" if self.lost else f"{self._name}: {why}")
        pause_ns = self._settings.retry_first_ns << min(self._tries, 20)
        self._due_ns = now_ns + min(pause_ns, self._settings.retry_most_ns)
        self._tries += 1
        self.state, self.trouble = State.WAITING, why

    def ended(self) -> None:
        """Take note that a file has no more pictures."""
        self.state, self.trouble = State.ENDED, "the file has ended"
        self._news.append(f"{self._name}: the file has ended")

    def news(self) -> list[str]:
        """Return what has changed since the last call, as sentences for the log."""
        news, self._news = self._news, []
        return news

    def _begin(self, now_ns: int) -> None:
        self.state, self.trouble, self._since_ns = State.RUNNING, "", now_ns
        if self._lost_ns is not None:
            away_s = (now_ns - self._lost_ns) / NS_PER_S
            self._news.append(f"{self._name} back after {away_s:.1f} s")
        else:
            self._news.append(f"{self._name}: first picture")


class Skew:
    """How far apart the newest stamps of a contract's image streams are."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def seen(self, stream: str, stamp_ns: int) -> None:
        """Take note of a stamp."""
        self._newest[stream] = stamp_ns

    def of(self, stream: str) -> tuple[int, str] | None:
        """Return the largest distance of this stream to another [ns] and which; None: alone."""
        return furthest(stream, self._newest)
