"""The last stage: whatever the plan says, what leaves here is inside the limits and can stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract
from vla_core.errors import ConfigurationError, LimitError
from vla_core.execution.curve import Points, Times
from vla_core.execution.kinds import base
from vla_core.execution.motion import REJOIN, Axis, Motion, State, resting
from vla_core.execution.values import Command

Array = NDArray[np.float64]
Sample = Callable[[Times], Points]  # times (K,) -> the plan's value and derivatives (K, A)
Tip = Callable[[Array], Array]  # joint positions (K, A) -> tool positions (K, 3) [m]

# A tail longer than this many points is cut from a limit that makes no sense.
MOST_POINTS = 256
# So many points are one tick apart: a receiver that missed ticks, and the executor that missed
# them as well, agree exactly on where the robot is when the next tick comes.
FINE_POINTS = 6


class Limiter:
    """Holds one committed motion per column and replaces it where a target allows a better one.

    Limits hold at every point that leaves, and so does the mean jerk between points; between two
    points the motion is Ruckig's, inside the limits as well.
    """

    def __init__(self, contract: Contract, tail_step_s: float, tip: Tip | None = None) -> None:
        self._columns = contract.action.columns
        self._step_ns = contract.step_ns
        self._tail_ns = max(self._step_ns, round(tail_step_s * 1e9))
        self._axes = [Axis(column, self._step_ns) for column in self._columns]
        self._base = base(self._columns)
        self._speed = 1.0
        self._motions: list[Motion] = [resting(0.0, 0) for _ in self._columns]
        self._ahead = np.array([1, *(1 + steps for steps in REJOIN)], dtype=np.int64)
        self._box = contract.action.workspace
        self._tip = tip
        if self._box is not None and tip is None:
            raise ConfigurationError(
                f"robot '{contract.robot}': action.workspace needs forward kinematics, which "
                "this executor was not given; add the box's chain or hand it a kinematics"
            )

    @property
    def failures(self) -> int:
        """How often Ruckig refused or failed."""
        return sum(axis.failures for axis in self._axes)

    @property
    def rest_ns(self) -> int:
        """When all columns are at rest, if nothing new is proposed."""
        return max(motion.rest_ns for motion in self._motions)

    @property
    def rest_positions(self) -> list[float]:
        """Where every column comes to rest, if nothing new is proposed."""
        return [motion.rest for motion in self._motions]

    def place(self, positions: Sequence[float], now_ns: int) -> None:
        """Let every column rest where the robot is, clamped into its limits."""
        self._motions = [
            resting(_inside(position, column.position), now_ns)
            for position, column in zip(positions, self._columns, strict=True)
        ]

    def shift(self, offset_ns: int) -> None:
        """Move the committed motions in time, after a jump of the clock."""
        self._motions = [motion.shifted(offset_ns) for motion in self._motions]

    def set_speed(self, share: float) -> None:
        """Allow this share of the velocity limits from the next tick on."""
        if share != self._speed:
            self._speed = share
            for axis in self._axes:
                axis.set_speed(share)

    def state(self, time_ns: int) -> tuple[Array, Array, Array]:
        """Return positions, velocities and accelerations (A,) of the committed motions."""
        states = [motion.at(time_ns) for motion in self._motions]
        values = np.array(states)
        return values[:, 0], values[:, 1], values[:, 2]

    def follow(self, plan: Sample, now_ns: int) -> tuple[str, ...]:
        """Commit to motions along a plan, from the point due one step after ``now_ns`` on.

        Returns:
            Names of the columns that could not follow: the interventions. Grippers are left out:
            their plan is a staircase that the limits are meant to turn into motion.

        Raises:
            LimitError: the target is not finite; nothing has changed.
        """
        motions: list[Motion | None] = []
        for axis, motion, target in zip(
            self._axes, self._motions, self._targets(plan, now_ns, 1), strict=True
        ):
            motions.append(axis.pass_on(motion, now_ns, target[0]))
        names = tuple(
            column.name
            for column, motion in zip(self._columns, motions, strict=True)
            if motion is None and not column.is_gripper
        )
        if None in motions:
            motions = self._rejoin(motions, plan, now_ns)
        chosen = [new or old for new, old in zip(motions, self._motions, strict=True)]
        if self._leaves_workspace(chosen, now_ns):
            return tuple(column.name for column in self._columns)
        self._motions = chosen
        return names

    def _rejoin(
        self, motions: list[Motion | None], plan: Sample, now_ns: int
    ) -> list[Motion | None]:
        """Let the columns that cannot follow meet the plan again later."""
        targets = self._targets(plan, now_ns, 1 + len(REJOIN))
        together: list[Motion | None] = []
        if any(motions[i] is None for i in self._base):
            together = self._rejoin_together(targets, now_ns)
        rejoined = [
            axis.rejoin(old, now_ns, target) if new is None and i not in self._base else new
            for i, (axis, new, old, target) in enumerate(
                zip(self._axes, motions, self._motions, targets, strict=True)
            )
        ]
        for i, motion in zip(self._base, together, strict=False):
            rejoined[i] = motion
        return rejoined

    def _rejoin_together(self, targets: list[list[State]], now_ns: int) -> list[Motion | None]:
        """Let the columns of a base meet the plan at the same time, so that it keeps its way."""
        axes = [(self._axes[i], self._motions[i], targets[i]) for i in self._base]
        for number, steps in enumerate(REJOIN, 1):
            found = [axis.meet(old, now_ns, its[number], steps) for axis, old, its in axes]
            if None not in found:
                return found
        later = max(axis.approach_steps(old, now_ns, its[0]) for axis, old, its in axes)
        return [axis.approach(old, now_ns, its[0], later) for axis, old, its in axes]

    def _targets(self, plan: Sample, now_ns: int, count: int) -> list[list[State]]:
        """Return the plan's states per column, at the next point and later ones."""
        times = now_ns + self._step_ns * self._ahead[:count]
        points = np.stack(plan(times), axis=2)
        if not np.isfinite(points[0]).all():
            column = self._columns[int(np.argwhere(~np.isfinite(points[0]))[0, 0])]
            raise LimitError(f"limits: the target of '{column.name}' is not a finite number")
        return cast("list[list[State]]", points.transpose(1, 0, 2).tolist())

    def command(self, now_ns: int) -> Command:
        """Return the next point and the tail to rest of the committed motions."""
        times, points = self._sample(self._motions, now_ns)
        return Command(
            stamp_ns=now_ns,
            times_ns=times,
            positions=points[:, :, 0],
            velocities=points[:, :, 1],
            accelerations=points[:, :, 2],
        )

    def _sample(self, motions: list[Motion], now_ns: int) -> tuple[NDArray[np.int64], Array]:
        """Return times (K,) and states (K, A, 3), from the next point to rest."""
        left_ns = max(motion.rest_ns for motion in motions) - now_ns
        times = [self._step_ns]
        while times[-1] < left_ns and len(times) < MOST_POINTS:
            fine = len(times) < FINE_POINTS
            times.append(times[-1] + (self._step_ns if fine else self._tail_ns))
        states = [[motion.at(now_ns + time) for motion in motions] for time in times]
        return np.array(times, dtype=np.int64), np.array(states)

    def _leaves_workspace(self, motions: list[Motion], now_ns: int) -> bool:
        if self._box is None or self._tip is None:
            return False
        _, points = self._sample(motions, now_ns)
        return self.outside_workspace(points[:, :, 0]) is not None

    def outside_workspace(self, positions: Array) -> str | None:
        """Return a sentence if the tool is outside its box at one of the positions (K, A)."""
        if self._box is None or self._tip is None:
            return None
        tips = self._tip(positions)
        outside = (tips < self._box.lower).any(axis=1) | (tips > self._box.upper).any(axis=1)
        if not outside.any():
            return None
        tip = ", ".join(f"{value:.3f}" for value in tips[outside.argmax()].tolist())
        lower, upper = list(self._box.lower), list(self._box.upper)
        return f"the tool is at ({tip}) m in '{self._box.frame}', its box is {lower} to {upper}"


def _inside(value: float, limits: tuple[float, float] | None) -> float:
    return float(value) if limits is None else float(min(max(value, limits[0]), limits[1]))
