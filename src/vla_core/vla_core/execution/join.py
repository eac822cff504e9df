"""How a new plan takes over from the old one. One interface, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.errors import ConfigurationError
from vla_core.execution.curve import Blend, Curve, Spline
from vla_core.smoothstep import smooth_seconds

Array = NDArray[np.float64]

SAMPLES = 12
AGREEMENT_NS = 200_000_000  # plans are compared over this time before they are blended


@dataclass(frozen=True, eq=False)
class Seam:
    """Where one plan takes over from another."""

    old: Curve  # what is being played
    old_own: Curve  # the older plan alone: where it wanted to be, whatever join led to it
    new: Curve
    at_ns: int  # the newest point already sent: both the old curve and the robot are there
    end_ns: int  # end of the new plan
    step_ns: int  # the executor's tick
    columns: tuple[Column, ...]

    def gaps(self, until_ns: int) -> Array:
        """Return how far the new plan is from what is played (SAMPLES, A), from here on."""
        return self._apart(self.old, until_ns)

    def disagreement(self, until_ns: int) -> Array:
        """Return how far the two plans are apart (SAMPLES, A): the policy's doing."""
        return self._apart(self.old_own, until_ns)

    def _apart(self, old: Curve, until_ns: int) -> Array:
        times = np.linspace(self.at_ns, until_ns, SAMPLES).astype(np.int64)
        return np.abs(self.new.sample(times)[0] - old.sample(times)[0])

    def quarrel(self, limit: float) -> str | None:
        """Return a sentence if the plans are too far apart to go from one to the other."""
        gaps = self.disagreement(self.at_ns + AGREEMENT_NS).max(axis=0)
        for column, gap in zip(self.columns, gaps.tolist(), strict=True):
            if column.kind == "joint_position" and gap > limit:
                return (
                    f"old and new plan are {gap:.3g} {column.unit} apart on '{column.name}' "
                    f"(limit {limit:g}): stopping instead of blending"
                )
        return None


Join = Callable[[Seam], Curve]


def replace(seam: Seam) -> Curve:
    """Take the new plan at once; the limits smooth what they must."""
    return seam.new


def blend(seam: Seam) -> Curve:
    """Go over to the new plan along a smoothstep, as slowly as the limits ask."""
    old = _settled(seam.old, seam)
    return Blend(old, seam.new, seam.at_ns, blend_duration_ns(seam), _newest_wins(seam.columns))


JOINS: dict[str, Join] = {"replace": replace, "blend": blend}


def join_named(name: str) -> Join:
    """Return the join with this name.

    Raises:
        ConfigurationError: there is none; lists the known ones.
    """
    if name not in JOINS:
        raise ConfigurationError(f"join: expected one of {list(JOINS)}, found '{name}'")
    return JOINS[name]


def blend_duration_ns(seam: Seam) -> int:
    """Return how long a blend must last so that its extra motion keeps to its share of limits.

    The gap that counts is the largest inside the blend, and longer blends see more of it: three
    rounds settle it well enough, since the limits come after. It never outlasts the new plan.
    """
    duration_s = 0.1
    longest_s = max(2 * seam.step_ns, seam.end_ns - seam.at_ns) * 1e-9
    for _ in range(3):
        gaps = seam.gaps(seam.at_ns + round(duration_s * 1e9)).max(axis=0)
        needed = max(map(_needed_s, seam.columns, gaps.tolist()))
        duration_s = min(max(needed, 2 * seam.step_ns * 1e-9), longest_s)
    return round(duration_s * 1e9)


def _needed_s(column: Column, gap: float) -> float:
    return 0.0 if column.is_gripper else smooth_seconds(column, gap)


def _newest_wins(columns: tuple[Column, ...]) -> NDArray[np.bool_]:
    return np.array([column.is_gripper for column in columns])


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
