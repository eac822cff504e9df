"""A made-up task that can be judged: follow a fixed way through the joints. Numpy alone.

The policy is a deterministic function of the observation, like a network's: it finds where on the
way the robot is and answers with the rest at the way's own pace. Whoever stalls loses time,
whoever lags is behind for good, and no clock outside the observation helps. As with networks, two
answers never quite agree: each has an offset of its own that depends on the observation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TABLE_S = 0.002  # between the points among which a position is searched
RAMP_S = 0.5  # the way begins and ends at rest
FORGET_S = 0.4  # an answer begins where the robot is and goes over to its own opinion
FINISH_S = 0.15  # this close to the end counts as done
PARTS = 4  # of a tick, between which a moving target stands still
ASTRAY = 0.12  # farther from the way than this [rad, m] counts as failed
WAVES = (0.5, 1.0, 1.5, 0.75, 1.25)  # per way, of the columns that swing


@dataclass(frozen=True)
class Way:
    """A smooth way of a fixed duration: one column goes along, the others swing."""

    start: tuple[float, ...]
    span: tuple[float, ...]  # how far each column goes or swings; 0: it stays
    duration_s: float
    leader: int = 0  # the column that goes along: by it no two places on the way are alike

    @property
    def pace(self) -> float:
        """Length of the stretch that runs at full pace, as a time [s]."""
        return self.duration_s - RAMP_S

    def progress(self, at_s: Floats) -> Floats:
        """Return the share of the way at some times (N,), at rest before and after."""
        t = np.clip(at_s, 0.0, self.duration_s)
        back = self.duration_s - t
        share = (t - RAMP_S / 2) / self.pace
        share = np.where(t < RAMP_S, t**2 / (2 * RAMP_S * self.pace), share)
        return np.where(back < RAMP_S, 1 - back**2 / (2 * RAMP_S * self.pace), share)

    def at(self, at_s: Floats) -> Floats:
        """Return the positions at some times, (N, A)."""
        share = self.progress(np.asarray(at_s, np.float64))
        columns = []
        for i, (start, span) in enumerate(zip(self.start, self.span, strict=True)):
            swing = np.sin(2 * np.pi * waves_of(i) * share)
            columns.append(start + span * (share if i == self.leader else swing))
        return np.stack(columns, axis=-1)


def waves_of(column: int) -> float:
    """Return how many waves a column makes on its way."""
    return WAVES[(column - 1) % len(WAVES)]


class Follower:
    """The policy: where am I on the way, and how does it go on?"""

    def __init__(
        self, way: Way, rows: int, step_s: float, servo_s: float = 0.0, offset: float = 0.015
    ) -> None:
        """Take the way and the shape of the answers.

        Args:
            way: what is followed.
            rows: per answer, T.
            step_s: between rows.
            servo_s: how far the robot is behind what it was told; a network learns that as well.
            offset: largest disagreement of an answer with the way [unit of the column].
        """
        self.way, self.rows, self.step_s = way, rows, step_s
        self._servo_s, self._offset = servo_s, offset
        count = round(way.duration_s / TABLE_S) + 1
        self._times: Floats = np.linspace(0.0, way.duration_s, count, dtype=np.float64)
        self._table = way.at(self._times)
        self._mixing = np.random.default_rng(7).normal(0.0, 1.0, (len(way.start),) * 2)

    def locate(self, positions: Floats) -> tuple[float, float]:
        """Return where on the way the robot is [s], and how far from it (largest column)."""
        gaps = self._table - positions
        nearest = int(np.argmin(np.einsum("na,na->n", gaps, gaps)))
        return float(self._times[nearest]), float(np.abs(gaps[nearest]).max())

    def chunk(self, positions: Floats) -> Floats:
        """Return the rows (T, A) for measured positions (A,); row 0 is due now."""
        here_s, _ = self.locate(positions)
        ahead: Floats = np.arange(self.rows) * np.float64(self.step_s)
        stays = np.exp(-ahead / FORGET_S)[:, None]
        rows = self.way.at(ahead + (here_s + self._servo_s))
        astray = positions - self.way.at(np.array([here_s]))[0]
        found: Floats = rows + astray * stays + self._opinion(positions, here_s) * (1 - stays)
        return found

    def _opinion(self, positions: Floats, here_s: float) -> Floats:
        """Return this answer's own offset (A,): another one a few milliradians farther on."""
        rest = min(1.0, max(0.0, self.way.duration_s - here_s - 0.5))  # the end is beyond dispute
        opinion: Floats = self._offset * rest * np.sin(400.0 * self._mixing @ positions)
        return np.where(np.array(self.way.span) != 0.0, opinion, 0.0)

    def is_done(self, positions: Floats) -> bool:
        """Return whether the end of the way is reached."""
        return self.locate(positions)[0] >= self.way.duration_s - FINISH_S


class Servo:
    """Joints that follow their targets with a lag."""

    def __init__(self, positions: Floats, lag_s: float) -> None:
        self.positions = np.array(positions, np.float64)
        self.targets = self.positions.copy()
        self._lag_s = lag_s

    def advance(self, seconds: float) -> None:
        """Let time pass with the present targets."""
        share = 1.0 if self._lag_s <= 0 else 1.0 - float(np.exp(-seconds / self._lag_s))
        self.positions += (self.targets - self.positions) * share

    def go(self, targets: Floats, seconds: float) -> None:
        """Let time pass while the targets go evenly to new ones, as between points of a plan."""
        begin = self.targets.copy()
        for i in range(PARTS):
            self.targets[:] = begin + (targets - begin) * ((i + 0.5) / PARTS)
            self.advance(seconds / PARTS)
        self.targets[:] = targets
