"""How experts with a base plan: a decision followed with bounded jerk, from a plan or from rest.

A *configuration* is the base in the world (x, y, yaw) and then whatever the robot's arm is planned
in. Its derivatives are those of the world as well; only rows of a chunk turn the base's velocity
into its own frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ruckig import (
    ControlInterface,
    InputParameter,
    Result,
    Ruckig,
    Synchronization,
    Trajectory,
)

from vla_core.errors import InferenceError
from vla_core.types import NS_PER_S, Prefix
from vla_scenes.stage.base import LAG_S, in_base, in_world

Floats = NDArray[np.float64]
ROWS = 32
STEP_NS = 50_000_000
STEP_S = STEP_NS / NS_PER_S
BRAKE = np.nan  # in a target: come to rest wherever that is
Arm = tuple[Floats, Floats, Floats]  # what the arm is planned in, and its derivatives


@dataclass(frozen=True, eq=False)
class Configuration:
    """What the robot is told to follow at one instant, N numbers each."""

    value: Floats
    velocity: Floats
    acceleration: Floats

    @staticmethod
    def at_rest(value: Floats) -> Configuration:
        """Return a configuration that stands."""
        return Configuration(value, np.zeros_like(value), np.zeros_like(value))

    def bounded(self, velocity: Floats, acceleration: Floats) -> Configuration:
        """Return the same with derivatives that a profile with these limits can continue."""
        return Configuration(
            self.value,
            np.clip(self.velocity, -velocity, velocity),
            np.clip(self.acceleration, -acceleration, acceleration),
        )

    @property
    def braking(self) -> Floats:
        """The target that asks of every number to come to rest as soon as it can (N,)."""
        return np.full_like(self.value, BRAKE)

    def base_velocity(self) -> Floats:
        """Return the base's velocity in its own frame (3,)."""
        return in_base(float(self.value[2]), self.velocity[:3])


class Profile:
    """Moves a configuration towards a target, one row at a time, with bounded jerk."""

    def __init__(self, velocity: Floats, acceleration: Floats, jerk: Floats) -> None:
        count = len(velocity)
        self.velocity, self.acceleration = velocity, acceleration
        self._profile = Ruckig(count)
        self._input, self._trajectory = InputParameter(count), Trajectory(count)
        self._input.synchronization = Synchronization.No
        self._input.max_velocity = velocity.tolist()
        self._input.max_acceleration = acceleration.tolist()
        self._input.max_jerk = jerk.tolist()

    def advance(self, now: Configuration, target: Floats) -> Configuration:
        """Return the configuration one row later on the fastest way to rest at a target.

        Where the target is `BRAKE`, on the fastest way to rest anywhere.

        Raises:
            InferenceError: Ruckig finds no way.
        """
        now = now.bounded(self.velocity, self.acceleration)
        self._input.current_position = now.value.tolist()
        self._input.current_velocity = now.velocity.tolist()
        self._input.current_acceleration = now.acceleration.tolist()
        brakes = np.isnan(target)
        self._input.per_dof_control_interface = [
            ControlInterface.Velocity if brake else ControlInterface.Position for brake in brakes
        ]
        self._input.target_position = np.where(brakes, now.value, target).tolist()
        try:
            result = self._profile.calculate(self._input, self._trajectory)
        except ValueError as error:  # Ruckig's codes that its Python enumeration lacks
            raise InferenceError(f"expert: no profile to {target.tolist()}: {error}") from error
        if result not in (Result.Working, Result.Finished):
            raise InferenceError(f"expert: no profile to {target.tolist()}: {result}")
        return Configuration(*(np.array(part) for part in self._trajectory.at_time(STEP_S)))


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan at one instant: by column the value and its first two derivatives (A,)."""

    value: Floats
    slope: Floats
    bend: Floats


def planned_at(prefix: Prefix, now_ns: int) -> Planned:
    """Return the plan at a time; before its first and after its last knot it is at rest."""
    at = (now_ns - prefix.start_ns) / prefix.step_ns
    last = len(prefix.values) - 1
    if not 0 <= at <= last:
        value = prefix.values[0 if at < 0 else last]
        return Planned(value, np.zeros_like(value), np.zeros_like(value))
    # The value is that of a cubic through four knots. The derivatives are of one fitted to more:
    # plans may have corners, which must not be taken for accelerations that no limit allows.
    times_s = (np.arange(last + 1) - at) * prefix.step_ns / NS_PER_S
    distance = np.abs(times_s)
    near = np.argsort(distance, kind="stable")[: max(5, int((distance <= 0.06).sum()))]
    value = np.polyfit(times_s[near[:4]], prefix.values[near[:4]], 3)[-1]
    _, bend, slope, _ = np.polyfit(times_s[near], prefix.values[near], 3)
    return Planned(value, slope, 2 * bend)


def committed(prefix: Prefix | None, now_ns: int) -> list[Planned]:
    """Return the plan at the chunk's rows from now until it may change; empty: no plan."""
    if prefix is None or len(prefix.values) < 5:
        return []
    until_ns = max(prefix.committed_until_ns, prefix.start_ns)
    rows = min(1 + max(0, -(-(until_ns - now_ns) // STEP_NS)), ROWS - 1)
    return [planned_at(prefix, now_ns + row * STEP_NS) for row in range(rows)]


def rolled_out(pose: Floats, velocity: Floats) -> Floats:
    """Return where a base that is behind its command by `LAG_S` will be (3,), as it is told.

    Args:
        pose: measured x, y, yaw in the world.
        velocity: commanded, in its own frame.
    """
    return pose + LAG_S * in_world(float(pose[2]), velocity)


def continued(
    pose: Floats, plan: list[Planned], arm: Callable[[Planned], Arm]
) -> list[Configuration]:
    """Return the configurations of a committed plan whose last three columns are the base's.

    Args:
        pose: where the base is now (3,).
        plan: at each row.
        arm: the arm's part of a configuration from a plan.
    """
    found: list[Configuration] = []
    at = rolled_out(pose, plan[0].value[-3:])
    for planned in plan:
        if found:
            last = found[-1]
            at = at + STEP_S * last.velocity[:3] + STEP_S**2 / 2 * last.acceleration[:3]
        base = (at, *_base_derivatives(float(at[2]), planned.value[-3:], planned.slope[-3:]))
        parts = [np.concatenate(pair) for pair in zip(base, arm(planned), strict=True)]
        found.append(Configuration(*parts))
    return found


def _base_derivatives(yaw: float, planned: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """Return velocity and acceleration in the world of what is planned in the base's frame."""
    velocity = in_world(yaw, planned)
    swing = planned[2] * np.array([-velocity[1], velocity[0], 0.0])
    return velocity, in_world(yaw, slope) + swing


def unroll(
    given: list[Configuration],
    decide: Callable[[Configuration], Floats],
    predict: Callable[[Configuration], None],
    profile: Profile,
    rows: int = ROWS,
) -> list[Configuration]:
    """Return ``rows`` configurations: those given, then what the decision leads to.

    ``predict`` is told each configuration as it is reached, so that ``decide`` knows what would
    be seen then.
    """
    path = list(given)
    for planned in path[1:]:
        predict(planned)
    while len(path) < rows:
        path.append(profile.advance(path[-1], decide(path[-1])))
        predict(path[-1])
    return path
