"""What a receiver sees of a run: jerk, steps at seams, time lost. Numpy alone.

The same functions judge every system, so that a join cannot win by being measured differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_data.tuning.reference import Follower

Floats = NDArray[np.float64]

SEAM_S = 0.1  # a join shows within this time
USUAL = 0.95


@dataclass(frozen=True, eq=False)
class Track:
    """Commanded positions as they arrived, and when a newer chunk began to be played."""

    times_s: Floats  # (N,)
    positions: Floats  # (N, A)
    seams_s: Floats  # (M,)
    step_s: float  # nominal, between commands


def filled(track: Track) -> Track:
    """Return the track on its nominal ticks: where commands are missing the robot holds."""
    gaps = np.diff(track.times_s, prepend=track.times_s[:1] - track.step_s)
    repeats = np.ones(len(gaps), np.int64)
    # The command before a gap is repeated once for each tick that is missing.
    repeats[:-1] += np.maximum(0, np.round(gaps[1:] / track.step_s).astype(np.int64) - 1)
    positions = np.repeat(track.positions, repeats, axis=0)
    inside = np.concatenate([np.arange(count) for count in repeats]) * track.step_s
    times = np.repeat(track.times_s, repeats) + inside
    return Track(times, positions, track.seams_s, track.step_s)


def jerk_rms(track: Track) -> float:
    """Return the RMS jerk, largest over the columns."""
    if len(track.positions) < 5:
        return float("nan")
    jerk = np.diff(track.positions, 3, axis=0) / track.step_s**3
    return float(np.sqrt(np.mean(jerk**2, axis=0)).max())


def seam_steps(track: Track) -> Floats:
    """Return what each seam changes beyond what is usual within chunks, (M, 2).

    Velocity and acceleration from one tick to the next, largest over the columns; beyond the 95th
    percentile of the ticks that are no seam's.
    """
    velocity = np.diff(track.positions, axis=0) / track.step_s
    acceleration = np.diff(velocity, axis=0) / track.step_s
    found = []
    for values, begin in ((velocity, 2), (acceleration, 3)):
        steps = np.abs(np.diff(values, axis=0))  # step i ends at command i + begin
        found.append(_beyond(steps, track.times_s[begin:], track.seams_s))
    return np.stack(found, axis=1) if len(track.seams_s) else np.zeros((0, 2))


def _beyond(steps: Floats, times_s: Floats, seams_s: Floats) -> Floats:
    since = times_s[:, None] - seams_s[None]  # (N, M)
    near = (since >= 0) & (since < SEAM_S)
    rest = steps[~near.any(axis=1)]
    usual = np.quantile(rest, USUAL, axis=0) if len(rest) else np.zeros(steps.shape[1])
    beyond = [(steps[near[:, m]] - usual).max(initial=0.0) for m in range(len(seams_s))]
    return np.array(beyond, np.float64)


def lost_s(track: Track, follower: Follower) -> float:
    """Return how much later than the way asks the last command is, since the first motion [s]."""
    moved = np.abs(track.positions - track.positions[0]).max(axis=1) > 1e-4
    if not moved.any():
        return float("nan")
    first = int(np.argmax(moved))
    begin_s, _ = follower.locate(track.positions[first])
    places = np.array([follower.locate(row)[0] for row in track.positions])
    # At the end the way is so slow that its place is blurred: judge before.
    last = int(np.argmax(places >= follower.way.duration_s - 0.5)) or len(places) - 1
    spent = track.times_s[last] - track.times_s[first]
    return float(spent - (places[last] - begin_s))
