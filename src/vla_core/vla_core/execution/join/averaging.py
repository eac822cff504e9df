"""Joins that average plans where they speak of the same target time.

For comparison with the systems that made them known; `blend` is smoother and later by nothing. The
step where averaging begins is left to the limits, as with `replace`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.execution.curve import Curve, Spline
from vla_core.execution.join.seam import Join, Seam

Array = NDArray[np.float64]

# Source: ACT's temporal aggregation, github.com/tonyzhaozh/act, imitate_episodes.py.
ENSEMBLE_DECAY = 0.01


def aggregate(new_share: float) -> Join:
    """Return the join that mixes rows with the old plan at the very same target times.

    Where the old plan has ended the new one is alone. Joined again and again, a row keeps
    geometrically falling shares of all plans before.

    Source: LeRobot's aggregate functions, huggingface/lerobot:src/lerobot/async_inference; there
    rows are matched by their number, here by time.
    """

    def join(seam: Seam) -> Curve:
        if seam.old_end_ns is None:
            return seam.new
        times = seam.row_times
        old, new = seam.old.values(times), seam.new.values(times)
        share = np.where(times <= seam.old_end_ns, new_share, 1.0)[:, None]
        return Spline(_mixed(seam, old, new, share), int(times[0]), seam.row_ns, seam.columns)

    return join


class Ensemble(Spline):
    """Average of all plans that cover a target time; knows where each of them ends."""

    ends_ns: tuple[int, ...] = ()


def ensemble(seam: Seam) -> Curve:
    """Average all plans at the very same target times, weights exp(-m i), i = 0 the oldest.

    Kept as a running average: a target time knows how many plans cover it from their ends.

    Source: ACT (arXiv 2304.13705), section IV.B; m = 0.01.
    """
    times = seam.row_times
    new = seam.new.values(times)
    ends = _ends(seam)
    count = (np.array(ends, np.int64)[None, :] >= times[:, None]).sum(axis=1)
    before = np.exp(-ENSEMBLE_DECAY * np.arange(len(ends) + 1)).cumsum()
    weight = np.where(count > 0, before[count - 1], 0.0)
    newest = np.exp(-ENSEMBLE_DECAY * count)
    share = (newest / (weight + newest))[:, None]
    rows = _mixed(seam, seam.old.values(times), new, share)
    joined = Ensemble(rows, int(times[0]), seam.row_ns, seam.columns)
    joined.ends_ns = (*ends, seam.end_ns)
    return joined


def _ends(seam: Seam) -> tuple[int, ...]:
    """Return the ends of the plans averaged so far that are not over."""
    if isinstance(seam.old, Ensemble):
        return tuple(end for end in seam.old.ends_ns if end >= seam.at_ns)
    return () if seam.old_end_ns is None else (seam.old_end_ns,)


def _mixed(seam: Seam, old: Array, new: Array, share: Array) -> Array:
    share = np.where(seam.newest_wins, 1.0, share)
    return np.asarray(old + share * (new - old))


weighted = aggregate(0.7)
average = aggregate(0.5)
conservative = aggregate(0.3)
