"""Joins that go over from one plan to the other, at once or along a smoothstep."""

from __future__ import annotations

import numpy as np

from vla_core.execution.curve import Blend, Curve, Spline
from vla_core.execution.join.seam import Seam
from vla_core.execution.traits import traits
from vla_core.smoothstep import PEAKS, slowed_seconds

# A plan that continues the old one needs no long way: what is left apart is the limits' work.
CONTINUED_NS = 100_000_000
_PEAKS = np.array(PEAKS)[:, None]


def replace(seam: Seam) -> Curve:
    """Take the new plan at once; the limits smooth what they must."""
    return seam.new


def blend(seam: Seam) -> Curve:
    """Go over to the new plan along a smoothstep, as slowly as the limits ask."""
    old = _settled(seam.old, seam)
    return Blend(old, seam.new, seam.at_ns, blend_duration_ns(seam), seam.newest_wins)


def continued(seam: Seam) -> Curve:
    """Join a plan that was conditioned on the old one: a blend that is over at once.

    Source: real-time chunking (arXiv 2506.07339) swaps chunks at the prefix's end.
    """
    duration_ns = min(blend_duration_ns(seam), max(2 * seam.step_ns, CONTINUED_NS))
    return Blend(_settled(seam.old, seam), seam.new, seam.at_ns, duration_ns, seam.newest_wins)


def blend_duration_ns(seam: Seam) -> int:
    """Return how long a blend must last so that its extra motion keeps to its share of limits.

    The gap that counts is the largest inside the blend, and longer blends see more of it: three
    rounds settle it well enough, since the limits come after. It never outlasts the new plan.
    """
    duration_s, before_s = 0.1, 0.0
    longest_s = max(2 * seam.step_ns, seam.end_ns - seam.at_ns) * 1e-9
    limits = traits(seam.columns).smooth
    for _ in range(3):
        if duration_s == before_s:
            break  # a round more would find the same
        before_s = duration_s
        gaps = seam.gaps(seam.at_ns + round(duration_s * 1e9)).max(axis=0)
        needed_s = slowed_seconds(*(_PEAKS * gaps / limits).max(axis=1).tolist())
        duration_s = min(max(needed_s, 2 * seam.step_ns * 1e-9), longest_s)
    return round(duration_s * 1e9)


def _settled(old: Curve, seam: Seam, depth: int = 2) -> Curve:
    """Unwrap blends that are over, and flatten a chain of unfinished ones.

    Without this, chunks that come faster than blends end would nest for ever.
    """
    if not isinstance(old, Blend):
        return old
    if seam.at_ns >= old.end_ns:
        return _settled(old.new, seam, depth)
    if depth > 1:
        inner = _settled(old.old, seam, depth - 1)
        return Blend(inner, old.new, old.start_ns, old.duration_ns, old.newest_wins)
    return _flattened(old, seam)


def _flattened(old: Blend, seam: Seam) -> Spline:
    """Return one spline through a blend, from here until it is over and a little on."""
    until_ns = max(old.end_ns, seam.end_ns) + seam.step_ns
    count = 2 + (until_ns - seam.at_ns) // seam.step_ns
    times = seam.at_ns + np.arange(count, dtype=np.int64) * seam.step_ns
    rows, slopes, _ = old.sample(times)
    return Spline(rows, seam.at_ns, seam.step_ns, seam.columns, (slopes[0], slopes[-1]))
