"""What must be true for the robot to move: a lease, a measured state, a robot that follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract
from vla_core.execution.kinds import apart

Array = NDArray[np.float64]


def _in_new_time(instant_ns: int, offset_ns: int, now_ns: int) -> int:
    """Return an instant after a jump of the clock, noted before the jump or already after it."""
    moved_ns = instant_ns + offset_ns
    possible = [known_ns for known_ns in (instant_ns, moved_ns) if known_ns <= now_ns]
    return max(possible, default=moved_ns)


class Lease:
    """The router's permission to move, for one task and a short time."""

    def __init__(self, duration_s: float) -> None:
        self._duration_ns = round(duration_s * 1e9)
        self._renewed_ns: int | None = None

    def renew(self, now_ns: int) -> None:
        """Start the time anew."""
        self._renewed_ns = now_ns

    def drop(self) -> None:
        """End the permission."""
        self._renewed_ns = None

    def is_valid(self, now_ns: int) -> bool:
        """Whether the permission is young enough."""
        return self._renewed_ns is not None and now_ns - self._renewed_ns <= self._duration_ns

    def shift(self, offset_ns: int, now_ns: int) -> None:
        """Follow a jump of the clock."""
        if self._renewed_ns is not None:
            self._renewed_ns = _in_new_time(self._renewed_ns, offset_ns, now_ns)


class MeasuredState:
    """The newest measured position of every position column."""

    def __init__(self, contract: Contract) -> None:
        self._columns = contract.action.columns
        self._of_entry = {
            entry: contract.columns.index(column)
            for column, (_, entry) in contract.measurements.items()
        }
        self._positions = np.full(len(self._columns), math.nan)
        self._stamps: list[int | None] = [None] * len(self._columns)

    def update(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int) -> None:
        """Take what a state stream says; other entries and older stamps are ignored."""
        for name, position in zip(names, positions, strict=True):
            index = self._of_entry.get(name)
            if index is None or not math.isfinite(position):
                continue
            known = self._stamps[index]
            if known is None or stamp_ns >= known:
                self._positions[index], self._stamps[index] = position, stamp_ns

    @property
    def missing(self) -> list[str]:
        """Names of position columns that nothing has measured yet."""
        return [self._columns[i].name for i in self._of_entry.values() if self._stamps[i] is None]

    def age_ns(self, now_ns: int) -> int | None:
        """Return the age of the oldest column's position; None: one is missing."""
        stamps = [self._stamps[i] for i in self._of_entry.values()]
        known = [stamp for stamp in stamps if stamp is not None]
        if len(known) < len(stamps):
            return None
        return now_ns - min(known, default=now_ns)

    def moved_since(self, positions: Array) -> float:
        """Return how far the robot has moved, largest share of a column's range."""
        way = np.abs(apart(self._columns, self._positions, positions))
        shares = [
            float(way[i]) / (column.position[1] - column.position[0])
            for i, column in enumerate(self._columns)
            if column.position is not None
        ]
        known = shares and not any(map(math.isnan, shares))
        return max(shares) if known else math.inf

    @property
    def positions(self) -> Array:
        """Positions (A,); NaN: missing, or a velocity column."""
        return self._positions

    def shift(self, offset_ns: int, now_ns: int) -> None:
        """Follow a jump of the clock."""
        self._stamps = [
            None if stamp is None else _in_new_time(stamp, offset_ns, now_ns)
            for stamp in self._stamps
        ]


@dataclass
class TrackingGuard:
    """Notices a robot that does not follow. Grippers are left out: they close on things."""

    contract: Contract
    _since_ns: int | None = None

    def trouble(self, commanded: Array, measured: Array, now_ns: int) -> str | None:
        """Return a sentence once the error has been too large for too long."""
        error = np.abs(apart(self.contract.action.columns, commanded, measured))
        for i, column in enumerate(self.contract.action.columns):
            if column.kind != "joint_position" or math.isnan(error[i]):
                error[i] = 0.0
        limit = self.contract.tracking_error
        worst = int(error.argmax())
        if error[worst] <= limit.limit:
            self._since_ns = None
            return None
        if self._since_ns is None or now_ns < self._since_ns:
            self._since_ns = now_ns
        if now_ns - self._since_ns < limit.duration_s * 1e9:
            return None
        column = self.contract.action.columns[worst]
        return (
            f"the robot does not follow: column '{column.name}' is {error[worst]:.3g} "
            f"{column.unit} away from its command for {limit.duration_s:g} s, "
            f"limit {limit.limit:g}"
        )

    def clear(self) -> None:
        """Forget the past."""
        self._since_ns = None


@dataclass(frozen=True)
class Advance:
    """How the clock moved since the last tick."""

    is_repeated: bool = False  # not at all, or a little back: nothing to do
    jumped_ns: int = 0  # the clock was set: what it says now minus what it should say
    missed_ns: int = 0  # no tick for so long


class TickClock:
    """Tells time that passes from a clock that is set."""

    def __init__(self, step_ns: int, jump_s: float) -> None:
        self._step_ns = step_ns
        self._jump_ns = round(jump_s * 1e9)
        self.last_ns: int | None = None
        self._last_steady_ns: int | None = None

    def advance(self, now_ns: int, steady_ns: int | None) -> Advance:
        """Note one tick.

        Without the steady clock a step back is a jump and a long step ahead counts as missed
        ticks: the robot has followed its last command to rest meanwhile.
        """
        last_ns, last_steady_ns = self.last_ns, self._last_steady_ns
        if last_ns is None:
            self.last_ns, self._last_steady_ns = now_ns, steady_ns
            return Advance()
        passed_ns = now_ns - last_ns
        expected_ns = self._step_ns if passed_ns < 0 else passed_ns
        if steady_ns is not None and last_steady_ns is not None:
            expected_ns = steady_ns - last_steady_ns
        jumped_ns = passed_ns - expected_ns
        if abs(jumped_ns) > self._jump_ns:
            self.last_ns, self._last_steady_ns = now_ns, steady_ns
            return Advance(jumped_ns=jumped_ns)
        if passed_ns <= 0:
            return Advance(is_repeated=True)
        self.last_ns, self._last_steady_ns = now_ns, steady_ns
        missed_ns = passed_ns - self._step_ns
        return Advance(missed_ns=missed_ns if missed_ns > self._jump_ns else 0)
