"""A base that is told velocities in its own frame and follows their integral like a servo."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S

Floats = NDArray[np.float64]

JOINTS = ("base_slide_x", "base_slide_y", "base_turn")
# Damping over stiffness of the servos below: how far the base is behind what it was told.
LAG_S = 0.08
# The reference never runs farther ahead than this, if something is in the way [m, rad].
AHEAD = np.array([0.05, 0.05, 0.10])


def add_planar_joints(spec: mujoco.MjSpec, body: Any, mass: float, inertia: float) -> None:
    """Give a body of the world two slides and a turn, each with a servo of about 2 Hz."""
    axes = ([1, 0, 0], [0, 1, 0], [0, 0, 1])
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    for name, axis, kind in zip(JOINTS, axes, (slide, slide, hinge), strict=True):
        body.add_joint(name=name, type=kind, axis=axis)
        carried = inertia if kind == hinge else mass
        stiffness = carried * (2 / LAG_S) ** 2
        add_servo(spec, name, stiffness, LAG_S * stiffness, 12.0 * carried)


def add_servo(
    spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, force: float
) -> None:
    """Add a position servo of the joint's name [N/m or N m/rad, with s, N or N m]."""
    servo = spec.add_actuator(name=joint, target=joint)
    servo.trntype = mujoco.mjtTrn.mjTRN_JOINT
    servo.gaintype, servo.biastype = (
        mujoco.mjtGain.mjGAIN_FIXED,
        mujoco.mjtBias.mjBIAS_AFFINE,
    )
    servo.gainprm[0] = stiffness
    servo.biasprm[1], servo.biasprm[2] = -stiffness, -damping
    servo.forcerange = [-force, force]


class PlanarBase:
    """Where the base is told to be: the integral of the commanded velocity."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._data = data
        self._qpos = [int(model.joint(name).qposadr[0]) for name in JOINTS]
        self._qvel = [int(model.joint(name).dofadr[0]) for name in JOINTS]
        self._ctrl = [int(model.actuator(name).id) for name in JOINTS]
        self._reference: Floats = np.zeros(3)
        self._velocity: Floats = np.zeros(3)

    def place(self, pose: Floats) -> None:
        """Put the base somewhere, at rest: x, y, yaw in the world [m, rad]."""
        self._reference, self._velocity = pose.copy(), np.zeros(3)
        self._data.qpos[self._qpos] = self._data.ctrl[self._ctrl] = pose

    def command(self, velocity: Floats) -> None:
        """Set forward, left, turning velocity [m/s, rad/s]; holds until the next command."""
        self._velocity = velocity.copy()

    @property
    def commanded(self) -> Floats:
        """What was commanded last (3,)."""
        return self._velocity.copy()

    def pose(self) -> Floats:
        """Return x, y, yaw in the world (3,)."""
        pose: Floats = self._data.qpos[self._qpos]
        return pose

    def velocity(self) -> Floats:
        """Return the measured velocity in the base's own frame (3,)."""
        return in_base(self.pose()[2], self._data.qvel[self._qvel])

    def advance(self, duration_ns: int, disturbance: Floats | None = None) -> None:
        """Move the reference on; a disturbance is a velocity that was not commanded (3,)."""
        velocity = self._velocity if disturbance is None else self._velocity + disturbance
        step = in_world(self._reference[2], velocity) * duration_ns / NS_PER_S
        pose = self.pose()
        self._reference = np.clip(self._reference + step, pose - AHEAD, pose + AHEAD)
        self._data.ctrl[self._ctrl] = self._reference


def in_world(yaw: float, vector: Floats) -> Floats:
    """Turn x, y of a vector (3,) from a frame turned by yaw into the world."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1], vector[2]])


def in_base(yaw: float, vector: Floats) -> Floats:
    """Turn x, y of a vector (3,) from the world into a frame turned by yaw."""
    return in_world(-yaw, vector)
