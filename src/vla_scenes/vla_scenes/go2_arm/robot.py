"""A Go2 from primitives with the wheel's SO-101 on its back.

Lengths of trunk and legs are those of Unitree's description (unitree_ros,
`robots/go2_description`); standing height, mounting plate and the shape of the head are ours.
The trunk is driven: the feet neither touch the floor nor carry anything.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_scenes import so101
from vla_scenes.go2_arm.gait import Stride
from vla_scenes.kinematics import PAN_X
from vla_scenes.meshes import robot_xml, simplified_meshes
from vla_scenes.stage.base import add_planar_joints, add_servo
from vla_scenes.stage.room import BOX, CAPSULE, ROBOT, SEEN, add_camera

Floats = NDArray[np.float64]

BASE = ("vx", "vy", "vyaw")
TRUNK = ("trunk_up", "trunk_roll", "trunk_pitch")
STAND_Z = 0.31  # of the trunk's middle while standing [m]
TRUNK_HALF = [0.188, 0.075, 0.057]
MOUNT = np.array([0.20, 0.0, 0.072])  # of the arm's base in the trunk's frame [m]
PAN_FORWARD = float(MOUNT[0] + PAN_X)  # of the arm's first axis [m]
HIP, HIP_SIDE, LINK = 0.1934, 0.142, 0.213  # legs' axes ahead and beside; thigh, calf [m]
NOSE = 0.335  # [m]
LEGS = ("FL", "FR", "RL", "RR")
# Diagonal pairs swing together.
_PHASES = {"FL": 0.0, "FR": np.pi, "RL": np.pi, "RR": 0.0}
THIGH, CALF = 0.755, -1.51  # at which the feet are below the hips, STAND_Z under the trunk

_LIGHT, _DARK = [0.78, 0.79, 0.80, 1], [0.14, 0.14, 0.15, 1]
_HINGE, _SLIDE = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE


def arm_spec() -> mujoco.MjSpec:
    """Return the wheel's arm, fit for grasping."""
    spec = mujoco.MjSpec.from_file(str(robot_xml()))
    spec.meshdir = str(simplified_meshes())
    so101.fit(spec)
    return spec


def add_robot(spec: mujoco.MjSpec) -> None:
    """Add the robot at the world's origin."""
    # The driven base has no shape; its weight is the trunk's and the arm's.
    light = {"mass": 0.1, "inertia": [0.01, 0.01, 0.01], "explicitinertial": True}
    base = spec.worldbody.add_body(name="go2", **light)
    add_planar_joints(spec, base, 17.0, 0.8)
    trunk = base.add_body(name="trunk", pos=[0, 0, STAND_Z], gravcomp=1)
    kinds, axes = (_SLIDE, _HINGE, _HINGE), ([0, 0, 1], [1, 0, 0], [0, 1, 0])
    for name, kind, axis in zip(TRUNK, kinds, axes, strict=True):
        trunk.add_joint(name=name, type=kind, axis=axis, armature=0.1)
        # Stiff: the gait decides where the trunk is, and the arm's weight shall not.
        add_servo(
            spec, name, 6.0e4 if kind == _SLIDE else 4.0e3, 900.0 if kind == _SLIDE else 80.0, 2e3
        )
    _add_trunk(trunk)
    for leg in LEGS:
        _add_leg(spec, trunk, leg)
    arm = trunk.add_frame(pos=MOUNT.tolist())
    spec.attach(arm_spec(), frame=arm, prefix="")


def _add_trunk(trunk: Any) -> None:
    solid = {**ROBOT, "type": BOX}
    trunk.add_geom(name="trunk", size=TRUNK_HALF, rgba=_LIGHT, mass=12.0, **solid)
    trunk.add_geom(
        name="head",
        pos=[0.285, 0, -0.005],
        size=[0.05, 0.05, 0.045],
        rgba=_DARK,
        mass=1.0,
        **solid,
    )
    plate = [MOUNT[0], 0, (TRUNK_HALF[2] + MOUNT[2]) / 2]
    half = [0.09, 0.06, (MOUNT[2] - TRUNK_HALF[2]) / 2]
    trunk.add_geom(name="plate", type=BOX, pos=plate, size=half, rgba=_DARK, mass=0.3, **SEEN)
    for side in (-1, 1):
        trunk.add_geom(
            name=f"lamp{side}",
            type=BOX,
            pos=[NOSE, side * 0.025, 0.0],
            size=[0.003, 0.010, 0.006],
            rgba=[0.9, 0.95, 1.0, 1],
            mass=0.0,
            **SEEN,
        )
    add_camera(trunk, "front", [NOSE + 0.005, 0, 0.02], [1.335, 0, -0.12], 62.0)


def _add_leg(spec: mujoco.MjSpec, trunk: Any, leg: str) -> None:
    ahead, side = (1 if leg[0] == "F" else -1), (1 if leg[1] == "L" else -1)
    at = [ahead * HIP, side * HIP_SIDE, 0.0]
    look = {**SEEN, "type": CAPSULE}
    hip = [ahead * HIP, side * 0.07, 0.0]
    trunk.add_geom(
        name=f"{leg}_hip", fromto=[*hip, *at], size=[0.045, 0, 0], rgba=_DARK, mass=0.5, **look
    )
    thigh = trunk.add_body(name=f"{leg}_thigh", pos=at, gravcomp=1)
    calf = thigh.add_body(name=f"{leg}_calf", pos=[0, 0, -LINK], gravcomp=1)
    for body, name, radius, rgba in (
        (thigh, "thigh", 0.024, _LIGHT),
        (calf, "calf", 0.015, _DARK),
    ):
        body.add_joint(name=f"{leg}_{name}_joint", type=_HINGE, axis=[0, 1, 0], armature=0.01)
        down = [0, 0, 0, 0, 0, -LINK]
        body.add_geom(
            name=f"{leg}_{name}", fromto=down, size=[radius, 0, 0], rgba=rgba, mass=0.2, **look
        )
        add_servo(spec, f"{leg}_{name}_joint", 60.0, 1.5, 40.0)


def pose_of_stride(stride: Stride) -> dict[str, float]:
    """Return where trunk and legs are in a stride, by joint [m, rad]."""
    pose = dict(zip(TRUNK, map(float, stride.trunk), strict=True))
    for leg in LEGS:
        swing = stride.phase + _PHASES[leg]
        lifted = stride.trot * max(0.0, np.sin(swing))
        pose[f"{leg}_thigh_joint"] = THIGH + 0.18 * stride.trot * np.cos(swing) + 0.12 * lifted
        pose[f"{leg}_calf_joint"] = CALF - 0.30 * lifted
    return pose
