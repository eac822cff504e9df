"""One column's committed motion: to the next point, then a jerk-limited stop to rest.

The executor always holds such a motion. A tick may replace it by a better one that also ends at
rest inside the limits; if there is none, the old one is simply followed. So a limit cannot be
broken by a late, missing or wild target: the way to stop was chosen before it was needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ruckig import (
    ControlInterface,
    InputParameter,
    Result,
    Ruckig,
    RuckigError,
    Trajectory,
)

from vla_core.contract.model import Column

State = tuple[float, float, float]  # position, velocity, acceleration

# Ruckig is given limits wider by this share: a plan exactly at a limit must not fail by rounding.
SLACK = 5e-7
# Ruckig 0.19.4 crashes, with the whole process, on some motions that go on at exactly its limit of
# the acceleration: such a start is taken for one that is smaller by this share.
NUDGE = 1e-9
# Shares of the limits within which a value counts as equal or inside.
EQUAL = 1e-6
# The velocity limit at speed 0, as a share.
LEAST_SPEED = 1e-3
# Where a column that cannot follow tries to meet the plan again: steps after the next point.
REJOIN = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28)


@dataclass(frozen=True)
class Motion:
    """Where a column is at any time: at rest, or on its way to rest."""

    origin_ns: int
    rest_ns: int  # at rest from here on
    rest: float  # position at rest
    lead_s: float = 0.0
    lead: Trajectory | None = None  # from the origin, for lead_s
    tail: Trajectory | None = None  # from there on, to rest

    def at(self, time_ns: int) -> State:
        """Return position, velocity and acceleration at a time not before the origin."""
        if time_ns >= self.rest_ns or self.lead is None or self.tail is None:
            return self.rest, 0.0, 0.0
        since_s = max(0.0, (time_ns - self.origin_ns) * 1e-9)
        if since_s < self.lead_s:
            position, velocity, acceleration = self.lead.at_time(since_s)
        else:
            position, velocity, acceleration = self.tail.at_time(since_s - self.lead_s)
        return position[0], velocity[0], acceleration[0]

    def shifted(self, offset_ns: int) -> Motion:
        """Return the same motion later by ``offset_ns``."""
        return Motion(
            self.origin_ns + offset_ns,
            self.rest_ns + offset_ns,
            self.rest,
            self.lead_s,
            self.lead,
            self.tail,
        )


def resting(position: float, since_ns: int) -> Motion:
    """Return the motion of a column that rests at ``position``."""
    return Motion(origin_ns=since_ns, rest_ns=since_ns, rest=position)


class Axis:
    """Proposes motions for one column: the three steps of the limiter.

    1. The target is reached in one step and the column can still stop inside its limits.
    2. Else it meets the plan again as early as the limits allow, or approaches the target to rest
       there, with the same stop test.
    3. Else nothing is proposed, and the committed motion to rest goes on.

    Asked for a motion of at least some time, Ruckig takes exactly that time if and only if the
    target can be reached by then inside the limits. Chasing the moving target itself would not
    do: whenever Ruckig arrives where the target was, the target is elsewhere.
    """

    def __init__(self, column: Column, step_ns: int) -> None:
        self._column = column
        self._step_ns = step_ns
        self._step_s = step_ns * 1e-9
        self._velocity = column.velocity
        self._lower, self._upper = column.position or (float("-inf"), float("inf"))
        margin = EQUAL * 0.1 * max(1.0, abs(self._lower), abs(self._upper))
        self._inside = (self._lower - margin, self._upper + margin)
        self._otg = Ruckig(1, self._step_s)
        self._reach = self._input(
            ControlInterface.Position if column.is_position else ControlInterface.Velocity
        )
        self._stop = self._input(ControlInterface.Velocity)
        self.failures = 0  # times Ruckig refused or failed

    def _input(self, interface: ControlInterface) -> InputParameter:
        parameters = InputParameter(1)
        parameters.control_interface = interface
        parameters.max_velocity = [self._column.velocity * (1 + SLACK)]
        parameters.max_acceleration = [self._column.acceleration * (1 + SLACK)]
        parameters.max_jerk = [self._column.jerk * (1 + SLACK)]
        return parameters

    def set_speed(self, share: float) -> None:
        """Allow this share of the velocity limit; Ruckig takes no limit of 0."""
        self._velocity = self._column.velocity * max(share, LEAST_SPEED)
        self._reach.max_velocity = [self._velocity * (1 + SLACK)]

    def pass_on(self, current: Motion, now_ns: int, target: State) -> Motion | None:
        """Return the motion that reaches the target in one step; None: the limits forbid it.

        Args:
            current: the committed motion.
            now_ns: the tick.
            target: value and its two derivatives due one step later; for velocity columns the
                value is the velocity.
        """
        return self._meet(current.at(now_ns), now_ns, target, 0)

    def rejoin(self, current: Motion, now_ns: int, targets: Sequence[State]) -> Motion | None:
        """Return the motion that meets the plan as early as it can.

        Args:
            current: the committed motion.
            now_ns: the tick.
            targets: the plan one step later, and after as many more steps as `REJOIN` says.
        """
        for steps, target in zip(REJOIN, targets[1:], strict=True):
            motion = self.meet(current, now_ns, target, steps)
            if motion is not None:
                return motion
        return self.approach(current, now_ns, targets[0], 0)

    def approach(self, current: Motion, now_ns: int, target: State, later: int) -> Motion | None:
        """Return the motion that comes to rest at a target, not before ``later`` more steps."""
        start = current.at(now_ns)
        return self._towards(start, self._resting_target(target), now_ns, later)

    def approach_steps(self, current: Motion, now_ns: int, target: State) -> int:
        """Return how many steps after the next point a target can be reached at rest."""
        self._reach.minimum_duration = self._step_s
        start = current.at(now_ns)
        lead = self._calculate(self._reach, start, self._resting_target(target))
        return 0 if lead is None else max(0, math.ceil(lead.duration / self._step_s) - 1)

    def meet(self, current: Motion, now_ns: int, target: State, later: int) -> Motion | None:
        """Return the motion that meets a target ``later`` steps after the next point, if any."""
        return self._meet(current.at(now_ns), now_ns, target, later)

    def _meet(self, start: State, now_ns: int, target: State, later: int) -> Motion | None:
        state = target if self._column.is_position else (0.0, target[0], target[1])
        if not self._is_admissible(state):
            return None
        return self._towards(start, state, now_ns, later, must_arrive=True)

    def _is_admissible(self, state: State) -> bool:
        """Whether Ruckig takes the target: inside the limits, and before and after it as well."""
        position, velocity, acceleration = state
        if not self._inside[0] <= position <= self._inside[1]:
            return False
        if abs(acceleration) > self._column.acceleration * (1 + SLACK):
            return False
        change = acceleration * abs(acceleration) / (2 * self._column.jerk)
        return max(abs(velocity + change), abs(velocity - change)) <= self._velocity

    def _resting_target(self, target: State) -> State:
        """Return the target without its derivatives, clamped into the limits."""
        if self._column.is_position:
            return min(max(target[0], self._lower), self._upper), 0.0, 0.0
        limit = self._velocity
        return 0.0, min(max(target[0], -limit), limit), 0.0

    def _towards(
        self, start: State, target: State, now_ns: int, later: int, must_arrive: bool = False
    ) -> Motion | None:
        """Return a motion towards the target if the column can stop inside its limits after.

        Args:
            start: the state now.
            target: the state to reach.
            now_ns: the tick.
            later: the target is due this many steps after the next point.
            must_arrive: return None unless it is reached in time.
        """
        due_s = (1 + later) * self._step_s
        self._reach.minimum_duration = due_s
        lead = self._calculate(self._reach, start, target)
        if lead is None or (must_arrive and lead.duration > due_s * (1 + EQUAL)):
            return None
        position, velocity, acceleration = lead.at_time(self._step_s)
        after = (position[0], velocity[0], acceleration[0])
        if not self._is_inside(after) or self._turns_outside(lead, start, after):
            return None
        tail = self._calculate(self._stop, after, (0.0, 0.0, 0.0))
        if tail is None or self._stops_outside(tail):
            return None
        rest = tail.at_time(tail.duration)[0][0]
        rest_ns = now_ns + self._step_ns + round(tail.duration * 1e9)
        return Motion(now_ns, rest_ns, rest, self._step_s, lead, tail)

    def _is_inside(self, state: State) -> bool:
        position, _, acceleration = state
        return (
            self._inside[0] <= position <= self._inside[1]
            and abs(acceleration) <= self._column.acceleration * (1 + EQUAL)
            and self._peak_after(state) <= self._velocity * (1 + EQUAL)
        )

    def _peak_after(self, state: State) -> float:
        """Return the largest speed from here on, while the acceleration is taken to zero."""
        _, velocity, acceleration = state
        change = acceleration * abs(acceleration) / (2 * self._column.jerk)
        return max(abs(velocity), abs(velocity + change))

    def _stops_outside(self, tail: Trajectory) -> bool:
        """Whether a position limit is passed on the way to rest."""
        if not self._column.is_position:
            return False
        bound = tail.position_extrema[0]  # right for Ruckig's velocity mode, not for its others
        return bool(bound.max > self._inside[1] or bound.min < self._inside[0])

    def _turns_outside(self, lead: Trajectory, start: State, after: State) -> bool:
        """Whether the column passes a position limit and turns back within one step."""
        if not self._column.is_position or start[1] * after[1] >= 0.0:
            return False
        reach = self._column.acceleration * self._step_s**2
        low, high = min(start[0], after[0]) - reach, max(start[0], after[0]) + reach
        if self._inside[0] <= low and high <= self._inside[1]:
            return False
        turn = _turning_position(lead, self._step_s, rises=start[1] > 0.0)
        return not self._inside[0] <= turn <= self._inside[1]

    def _calculate(
        self, parameters: InputParameter, start: State, target: State
    ) -> Trajectory | None:
        parameters.current_position = [start[0]]
        parameters.current_velocity = [start[1]]
        edge = parameters.max_acceleration[0] * (1 - NUDGE)
        parameters.current_acceleration = [min(max(start[2], -edge), edge)]
        parameters.target_position = [target[0]]
        parameters.target_velocity = [target[1]]
        parameters.target_acceleration = [target[2]]
        trajectory = Trajectory(1)
        try:
            result = self._otg.calculate(parameters, trajectory)
        except (RuckigError, ValueError):
            # Raised on targets out of range, on its numerical limits, and (ValueError) for the
            # results that its own binding does not know.
            self.failures += 1
            return None
        if result not in (Result.Working, Result.Finished):
            self.failures += 1
            return None
        return trajectory


def _turning_position(lead: Trajectory, until_s: float, rises: bool) -> float:
    """Return the position where the velocity changes its sign, by bisection."""
    early, late = 0.0, until_s
    for _ in range(20):
        middle = (early + late) / 2
        if (lead.at_time(middle)[1][0] > 0.0) == rises:
            early = middle
        else:
            late = middle
    return float(lead.at_time(early)[0][0])
