"""How fast the plan is played: maps real time to the plan's own time, for people who come near.

At full speed the two are equal. Slower, the plan's time goes on more slowly, so the robot follows
the same way with smaller velocities. The speed itself changes along a jerk-limited ramp that
never asks for more than half of a column's acceleration and jerk.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from ruckig import ControlInterface, InputParameter, Ruckig, Trajectory

from vla_core.contract.model import Column
from vla_core.errors import ConfigurationError
from vla_core.execution.curve import Curve, Points, Times
from vla_core.smoothstep import SHARE

# Chunks may have been observed this many changes of the speed ago.
REMEMBERED = 16
# The velocity limits follow a falling speed this much later: what moved at the old limit has to
# slow down first.
LAG_NS = 100_000_000


@dataclass(frozen=True)
class _Leg:
    """From ``start_ns`` on: a ramp, then a constant speed."""

    start_ns: int
    plan_ns: int  # the plan's time at the start
    ramp: Trajectory | None
    ramp_ns: int
    after_ns: int  # the plan's time at the end of the ramp
    speed: float  # after the ramp

    def at(self, time_ns: int) -> tuple[int, float, float]:
        """Return the plan's time, the speed and its change per second."""
        since_ns = time_ns - self.start_ns
        if self.ramp is not None and 0 <= since_ns < self.ramp_ns:
            way, speed, change = self.ramp.at_time(since_ns * 1e-9)
            return self.plan_ns + round(way[0] * 1e9), speed[0], change[0]
        over_ns = since_ns - self.ramp_ns
        way_ns = over_ns if self.speed == 1.0 else round(self.speed * over_ns)
        return self.after_ns + way_ns, self.speed, 0.0


class Pace:
    """The speed scale, 0 (rest) to 1 (as the policy wants it)."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._change = SHARE * min(c.acceleration / c.velocity for c in columns)
        self._jerk = SHARE * min(c.jerk / c.velocity for c in columns)
        self._moves = np.array([not column.is_position for column in columns])
        self._legs = deque([_Leg(0, 0, None, 0, 0, 1.0)], maxlen=REMEMBERED)
        self._otg = Ruckig(1)
        self.target = 1.0

    def set(self, scale: float, now_ns: int, is_playing: bool) -> None:
        """Play at another speed from now on.

        Args:
            scale: 0 to 1.
            now_ns: the ramp begins here.
            is_playing: whether there is a plan; without one there is nothing to ramp.

        Raises:
            ConfigurationError: out of range.
        """
        if not 0.0 <= scale <= 1.0:  # NaN as well
            raise ConfigurationError(f"speed_scale: expected 0 to 1, got {scale}")
        if scale == self.target:
            return
        self.target = scale
        if is_playing:
            self._legs.append(self._ramp(now_ns))
        else:
            self.restart(now_ns)

    def restart(self, now_ns: int) -> None:
        """Let the plan's time be the real time at ``now_ns``, at the wanted speed: no plan."""
        self._legs.clear()
        self._legs.append(_Leg(now_ns, now_ns, None, 0, now_ns, self.target))

    def _ramp(self, now_ns: int) -> _Leg:
        plan_ns, speed, change = self._at(now_ns)
        parameters, ramp = InputParameter(1), Trajectory(1)
        parameters.control_interface = ControlInterface.Velocity
        parameters.current_velocity = [speed]
        parameters.current_acceleration = [change]
        parameters.target_velocity = [self.target]
        parameters.max_acceleration = [self._change]
        parameters.max_jerk = [self._jerk]
        self._otg.calculate(parameters, ramp)
        ramp_ns = math.ceil(ramp.duration * 1e9)
        after_ns = plan_ns + round(ramp.at_time(ramp.duration)[0][0] * 1e9)
        return _Leg(now_ns, plan_ns, ramp, ramp_ns, after_ns, self.target)

    def _at(self, time_ns: int) -> tuple[int, float, float]:
        for leg in reversed(self._legs):
            if time_ns >= leg.start_ns:
                return leg.at(time_ns)
        return self._legs[0].at(time_ns)

    def plan_ns(self, time_ns: int) -> int:
        """Return the plan's time at a real time."""
        return self._at(time_ns)[0]

    def speed(self, time_ns: int) -> float:
        """Return the speed at a time."""
        return self._at(time_ns)[1]

    def limit(self, now_ns: int, step_ns: int) -> float:
        """Return the share of the velocity limits that may be used with this tick."""
        return max(self.speed(now_ns - LAG_NS), self.speed(now_ns), self.speed(now_ns + step_ns))

    def left_s(self, plan_ns: int, now_ns: int) -> float:
        """Return how long it takes until the plan's time is ``plan_ns`` [s]; rest: for ever."""
        at_ns, speed, _ = self._at(now_ns)
        left_ns = plan_ns - at_ns
        return left_ns * 1e-9 / speed if speed > 0.0 else math.copysign(math.inf, left_ns)

    def sample(self, curve: Curve, times_ns: Times) -> Points:
        """Return a curve of the plan's time at real times: value and derivatives (K, A)."""
        pairs = [self._at(time) for time in times_ns.tolist()]
        value, first, second = curve.sample(np.array([pair[0] for pair in pairs], np.int64))
        if all(pair[1] == 1.0 and pair[2] == 0.0 for pair in pairs):
            return value, first, second
        speed = np.array([pair[1] for pair in pairs])[:, None]
        change = np.array([pair[2] for pair in pairs])[:, None]
        moved = first * speed, second * speed**2 + first * change
        # The value of a velocity column is a velocity: it is scaled itself.
        scaled = value * speed, first * speed**2 + value * change, second * speed**3
        return (
            np.where(self._moves, scaled[0], value),
            np.where(self._moves, scaled[1], moved[0]),
            np.where(self._moves, scaled[2], moved[1]),
        )
