"""The expert's motion: follows the decision with bounded jerk, and looks ahead by doing so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from ruckig import InputParameter, Result, Ruckig, Synchronization, Trajectory

from vla_core.errors import InferenceError
from vla_scenes.kinematics import forward, inverse
from vla_scenes.pick_place import CONTACT, GRIPPER, View, decide, follow, in_jaws, is_held

# Limits per pose coordinate (azimuth, reach, height, pitch, roll, gripper). Chosen so that the
# joints stay inside the robot's contract with room for interpolation between rows; a test checks.
VELOCITY = np.array([1.8, 0.13, 0.13, 0.9, 1.8, 2.2])  # rad/s, m/s
ACCELERATION = np.array([6.5, 0.40, 0.40, 2.8, 6.5, 20.0])
JERK = np.array([58.0, 2.4, 2.4, 20.0, 58.0, 350.0])


@dataclass(frozen=True, eq=False)
class Reference:
    """What the servos are told to follow at one instant, in pose coordinates."""

    pose: NDArray[np.float64]  # (6,)
    velocity: NDArray[np.float64]  # (6,)
    acceleration: NDArray[np.float64]  # (6,)

    @staticmethod
    def at_rest(joints: NDArray[np.float64]) -> Reference:
        """Return the reference of an arm that stands."""
        return Reference(forward(joints), np.zeros(6), np.zeros(6))

    @staticmethod
    def moving(
        joints: NDArray[np.float64],
        velocity: NDArray[np.float64],
        acceleration: NDArray[np.float64],
    ) -> Reference:
        """Return the reference of joints in motion (6,) [rad, rad/s, rad/s^2]."""
        h = 2e-3
        before = forward(joints - h * velocity + 0.5 * h * h * acceleration)
        now = forward(joints)
        after = forward(joints + h * velocity + 0.5 * h * h * acceleration)
        return Reference(now, (after - before) / (2 * h), (after - 2 * now + before) / (h * h))

    def bounded(self) -> Reference:
        """Return the same pose with velocity and acceleration that `Mover` can continue."""
        return Reference(
            self.pose,
            np.clip(self.velocity, -VELOCITY, VELOCITY),
            np.clip(self.acceleration, -ACCELERATION, ACCELERATION),
        )

    def joints(self) -> NDArray[np.float64]:
        """Return the joint targets (6,) [rad]."""
        return inverse(self.pose)


class Mover:
    """Moves a reference towards a pose, one row at a time, with bounded jerk."""

    def __init__(self, step_s: float) -> None:
        self._profile, self._step_s = Ruckig(6), step_s
        self._input, self._trajectory = InputParameter(6), Trajectory(6)
        self._input.synchronization = Synchronization.No
        self._input.max_velocity = VELOCITY.tolist()
        self._input.max_acceleration = ACCELERATION.tolist()
        self._input.max_jerk = JERK.tolist()

    def advance(self, reference: Reference, target: NDArray[np.float64]) -> Reference:
        """Return the reference one step later on the fastest admissible way to rest at a pose."""
        self._input.current_position = reference.pose.tolist()
        self._input.current_velocity = reference.velocity.tolist()
        self._input.current_acceleration = reference.acceleration.tolist()
        self._input.target_position = target.tolist()
        try:
            result = self._profile.calculate(self._input, self._trajectory)
        except ValueError as error:  # Ruckig's codes that its Python enumeration lacks
            raise InferenceError(f"expert: no profile to {target.tolist()}: {error}") from error
        if result not in (Result.Working, Result.Finished):
            raise InferenceError(f"expert: no profile to {target.tolist()}: {result}")
        pose, velocity, acceleration = self._trajectory.at_time(self._step_s)
        return Reference(np.array(pose), np.array(velocity), np.array(acceleration))


def look_ahead(mover: Mover, reference: Reference, view: View, rows: int) -> list[Reference]:
    """Return ``rows`` references, the first being now, as the decision would unfold.

    The prediction is simple: the arm follows, a closed gripper carries, all else stays.
    """
    references = [reference]
    for _ in range(rows - 1):
        reference = mover.advance(reference, decide(view, reference.velocity))
        references.append(reference)
        view = predict(view, reference)
    return references


def predict(view: View, reference: Reference) -> View:
    """Return what will be seen when the arm is at ``reference``."""
    jaw = float(reference.pose[GRIPPER])
    moved = replace(view, pose=reference.pose, jaw=jaw)
    if is_held(view) and jaw < CONTACT + 0.03:
        return follow(replace(moved, jaw=CONTACT))
    along, across, above = in_jaws(moved)
    between = -0.012 < along < 0.03 and abs(across) < 0.012 and abs(above) < 0.014
    if between and jaw < CONTACT:
        return follow(replace(moved, jaw=CONTACT))
    return moved
