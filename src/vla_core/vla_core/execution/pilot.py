"""Steers along a plan: everything that moves the robot, and nothing that decides whether to.

The executor says what is in force; the pilot knows where the robot is on its way, takes chunks
over into the plan and commits the limiter to the next point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract
from vla_core.errors import LimitError
from vla_core.execution.acceptance import Accepted, Place
from vla_core.execution.curve import Blend, Constant, Curve, Points, Times
from vla_core.execution.guards import MeasuredState
from vla_core.execution.join import Seam, join_named
from vla_core.execution.kinematics import tip_of
from vla_core.execution.limiter import Limiter, Sample, Tip
from vla_core.execution.pace import Pace
from vla_core.execution.plan import Plan
from vla_core.execution.smoothness import SmoothnessMeter
from vla_core.execution.start import Start
from vla_core.execution.traits import traits
from vla_core.execution.values import Command, Correction, ExecutorSettings, Request, Task

# Ticks in a row in which Ruckig may fail before the pilot gives up.
LIMITER_FAILURES = 10


class Quarrel(Exception):
    """Old and new plan are too far apart to go from one to the other in motion."""


class Pilot:
    """Holds the plan in force and the committed motions."""

    def __init__(
        self,
        contract: Contract,
        measured: MeasuredState,
        settings: ExecutorSettings,
        tip: Tip | None,
    ) -> None:
        self._names = contract.columns
        self._columns = contract.action.columns
        self._step_ns = contract.step_ns
        self.limiter = Limiter(contract, settings.tail_step_s, tip or tip_of(contract))
        self.start = Start(self._columns, measured, self.limiter, settings)
        self.smoothness = SmoothnessMeter(self._columns, self._step_ns)
        self.pace = Pace(self._columns)
        self.plan: Plan | None = None
        self.observed_ns: int | None = None  # newest observation that was ever a plan's
        self._is_plan_new = False
        self._failures_in_a_row = 0
        self.is_corrected = False  # whether a residual was there for the newest point

    def is_moving(self, now_ns: int) -> bool:
        """Whether a committed motion is not over yet."""
        return self.limiter.rest_ns > now_ns

    def place(self, now_ns: int, last_tick_ns: int | None) -> Place:
        """Return what matters for a chunk that arrives now."""
        last_ns = now_ns if last_tick_ns is None else last_tick_ns
        next_ns = max(last_ns + 2 * self._step_ns, now_ns)
        rests = self.start.is_placed and not self.is_moving(now_ns)
        if self.plan is None:
            self.pace.restart(next_ns)
        return Place(
            now_ns=now_ns,
            next_ns=next_ns,
            rest_since_ns=self.limiter.rest_ns if rests else None,
            observed_ns=self.observed_ns,
            has_plan=self.plan is not None,
            near=self._asked(next_ns),
            plan_ns=self.pace.plan_ns,
        )

    def _asked(self, time_ns: int) -> NDArray[np.float64]:
        """Return what is asked of the robot at a time (A,)."""
        curve = self._resting_curve() if self.plan is None else self.plan.curve
        return np.asarray(curve.values(np.array([self.pace.plan_ns(time_ns)], np.int64))[0])

    def adopt(self, accepted: Accepted, request: Request, task: Task, place: Place) -> None:
        """Join an accepted chunk to the plan in force.

        Raises:
            Quarrel: the plans must not be blended; the plan in force has not changed.
        """
        plan = Plan.of(accepted, request, task, self._columns)
        rest = self._resting_curve() if self.plan is None else self.plan.own
        seam = Seam(
            old=rest if self.plan is None else self.plan.curve,
            old_own=rest,
            new=plan.curve,
            at_ns=self.pace.plan_ns(place.next_ns - self._step_ns),
            end_ns=plan.end_ns,
            step_ns=self._step_ns,
            columns=self._columns,
            old_end_ns=None if self.plan is None else self.plan.end_ns,
            row_ns=plan.step_ns,
            rows=plan.rows,
        )
        if self.plan is not None:
            quarrel = seam.quarrel(task.execution.mode_switch)
            if quarrel is not None and task.execution.join != "replace":
                raise Quarrel(quarrel)
            self.smoothness.joined(seam)
        self.plan = plan.joined(join_named(task.execution.join)(seam))
        self.observed_ns = plan.observed_ns
        self._is_plan_new = True

    def follow(self, plan: Plan, correction: Correction | None, now_ns: int) -> tuple[str, ...]:
        """Commit to the plan's next point; return the columns that could not follow.

        Raises:
            LimitError: the target is not finite, or the limiter keeps failing.
        """
        target_ns = now_ns + self._step_ns
        failures = self.limiter.failures
        self.limiter.set_speed(self.pace.limit(now_ns, self._step_ns))
        late = self.limiter.follow(self._corrected(plan.curve, correction, target_ns), now_ns)
        self._failures_in_a_row += 1
        if self.limiter.failures == failures:
            self._failures_in_a_row = 0
        if self._failures_in_a_row >= LIMITER_FAILURES:
            raise LimitError(f"limits: the limiter failed in {LIMITER_FAILURES} ticks in a row")
        self.start.commanded()
        if isinstance(plan.curve, Blend) and self.pace.plan_ns(now_ns) >= plan.curve.end_ns:
            self.plan = plan.joined(plan.curve.new)  # the blend is over
        return late

    def is_first_use(self) -> bool:
        """Whether the plan is played for the first time; true once per plan."""
        is_new, self._is_plan_new = self._is_plan_new, False
        return is_new

    def command(self, now_ns: int, must_hold: bool) -> Command | None:
        """Return what leaves: whatever moves is always brought to rest first.

        Args:
            now_ns: the tick.
            must_hold: go on commanding at rest, once something was commanded.
        """
        if not self.is_moving(now_ns) and not (must_hold and self.start.is_commanding):
            self.smoothness.interrupted()
            if self.start.is_commanding:
                self.start.leave()  # somebody else may move the robot now
            return None
        command = self.limiter.command(now_ns)
        self.smoothness.tick(command.velocities[0], command.accelerations[0])
        return command

    def _resting_curve(self) -> Curve:
        moves = traits(self._columns).is_velocity
        return Constant(np.where(moves, 0.0, self.limiter.rest_positions))

    def _corrected(self, curve: Curve, correction: Correction | None, target_ns: int) -> Sample:
        """Return the plan, with a residual if there is one for this very target."""

        def paced(times_ns: Times) -> Points:
            return self.pace.sample(curve, times_ns)

        self.is_corrected = False
        if correction is None or abs(correction.target_ns - target_ns) > self._step_ns / 2:
            return paced
        self.is_corrected = True
        residual = np.zeros(len(self._names))
        for name, value in zip(correction.columns, correction.values.tolist(), strict=True):
            if name in self._names:
                residual[self._names.index(name)] = value

        def sample(times_ns: Times) -> Points:
            value, first, second = paced(times_ns)
            return value + residual * (times_ns == target_ns)[:, None], first, second

        return sample
