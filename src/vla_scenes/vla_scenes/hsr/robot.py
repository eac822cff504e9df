"""The HSR from primitives, and its kinematics with a level hand.

Lengths and limits are those of Toyota's description (hsr-project/hsrb_description,
`robots/hsrb4s.urdf`; velocities of the hardware: hsrb_common, `ros2_control.robot.xacro`).
Simplified: no wheels, fingers without their springs, finger tips that stay parallel.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_scenes.stage.base import add_planar_joints, add_servo
from vla_scenes.stage.room import BOX, CAPSULE, CYLINDER, GRIP, ROBOT, SEEN, add_camera

Floats = NDArray[np.float64]

JOINTS = (
    "arm_lift_joint",
    "arm_flex_joint",
    "arm_roll_joint",
    "wrist_flex_joint",
    "wrist_roll_joint",
    "hand_motor_joint",
    "head_pan_joint",
    "head_tilt_joint",
)
BASE = ("base_x", "base_y", "base_t")
LIFT, FLEX, ROLL, WRIST_FLEX, WRIST_ROLL, HAND, PAN, TILT = range(8)
LOWER = np.array([0.0, -2.62, -2.09, -1.92, -1.92, -0.798, -3.84, -1.57])
UPPER = np.array([0.69, 0.0, 3.84, 1.22, 3.67, 1.24, 1.75, 0.52])
# The vendor's `move_to_neutral`.
HOME = np.array([0.0, 0.0, 0.0, -1.57, 0.0, 0.0, 0.0, 0.0])

LIFT_Z = 0.340  # of the lift at its lower end above the floor [m]
SHOULDER = np.array([0.141, 0.078])  # flex axis from the base's middle [m]
ELBOW = np.array([0.005, 0.345])  # roll axis forward, wrist above the flex axis [m]
PALM = np.array([0.012, 0.1405])  # from the wrist, across the hand and along it [m]
TORSO_Z, HEAD_Z = 0.752, 0.215  # pan joint, camera above the tilt joint [m]
FINGER_Y, FINGER_Z = 0.0245, -0.0175  # finger joints from the palm [m]
FINGER, TIP = 0.07, 0.028  # finger joint to tip joint, tip joint to the pads' middle [m]
PAD_GAP = 0.0021  # half the opening with the hand's motor at zero [m]
MASS = 37.0  # of the whole robot [kg]

PADS = ("left_pad", "right_pad")
_WHITE, _GREY, _DARK = [0.90, 0.90, 0.89, 1], [0.45, 0.46, 0.48, 1], [0.12, 0.12, 0.13, 1]


def opening(hand: float) -> float:
    """Return half the distance between the pads for the hand's motor [rad -> m]."""
    return float(PAD_GAP + FINGER * np.sin(hand))


def hand_at(half: float) -> float:
    """Return the hand's motor at which the pads are twice ``half`` apart [m -> rad]."""
    return float(np.arcsin(np.clip((half - PAD_GAP) / FINGER, -0.7, 0.94)))


def tool_length(hand: float) -> float:
    """Return the distance from the wrist to the middle of the pads along the hand [m]."""
    return float(PALM[1] + FINGER_Z + FINGER * np.cos(hand) + TIP)


def tool(joints: Floats) -> Floats:
    """Return the middle between the pads in the base's frame (3,) [m], for any joints (8,)."""
    flex, roll, wrist, twist = (float(joints[i]) for i in (FLEX, ROLL, WRIST_FLEX, WRIST_ROLL))
    point = np.array([PALM[0], 0.0, tool_length(float(joints[HAND]))])
    point = _about_z(twist) @ point
    point = _about_z(roll) @ _about_minus_y(wrist) @ point
    point = _about_minus_y(flex) @ (point + np.array([ELBOW[0], 0.0, ELBOW[1]]))
    return np.asarray(point + np.array([*SHOULDER, LIFT_Z + float(joints[LIFT])]))


def level(height: float, bend: float, twist: float, hand: float) -> Floats:
    """Return arm and hand (6,) with the hand level and forward, its tool at a height.

    Args:
        height: of the middle between the pads above the floor [m]; clipped to the lift's travel.
        bend: of the arm forward [rad]; fixes the reach.
        twist: of the hand about itself; 0: the fingers open sideways.
        hand: its motor [rad].
    """
    joints = np.array([0.0, -bend, 0.0, bend - np.pi / 2, twist, hand, 0.0, 0.0])
    joints[LIFT] = np.clip(height - tool(joints)[2], LOWER[LIFT], UPPER[LIFT])
    return joints[:6]


def gaze(point: Floats, lift: float) -> Floats:
    """Return head pan and tilt (2,) at which the camera looks at a point of the base's frame."""
    height = TORSO_Z + 0.5 * lift + HEAD_Z
    pan = np.arctan2(point[1], point[0])
    tilt = np.arctan2(point[2] - height, np.hypot(point[0], point[1]))
    return np.clip(np.array([pan, tilt]), LOWER[PAN:], UPPER[PAN:])


def _about_z(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _about_minus_y(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


# -- the model --------------------------------------------------------------------------------


def add_robot(spec: mujoco.MjSpec) -> None:
    """Add the robot at the world's origin."""
    base = spec.worldbody.add_body(name="hsr", gravcomp=1)
    add_planar_joints(spec, base, MASS, 2.0)
    hull = {"rgba": _WHITE, **ROBOT}
    base.add_geom(
        name="hull", type=CYLINDER, pos=[0, 0, 0.16], size=[0.215, 0.13, 0], mass=22, **hull
    )
    _box(base, "bumper", [0, 0, 0.03], [0.15, 0.15, 0.02], _DARK, 1.0)
    _box(base, "column", [-0.03, 0, 0.50], [0.075, 0.075, 0.22], _GREY, 4.0)
    _add_head(spec, base)
    _add_arm(spec, base)


def _add_head(spec: mujoco.MjSpec, base: Any) -> None:
    torso = base.add_body(name="torso", pos=[0, 0, TORSO_Z], gravcomp=1)
    torso.add_joint(name="torso_lift_joint", type=_SLIDE, axis=[0, 0, 1], damping=50, armature=1)
    # The torso rises half as far as the arm.
    _couple(spec, "torso_lift_joint", "arm_lift_joint", 0.5)
    _box(torso, "chest", [-0.05, 0, -0.17], [0.085, 0.09, 0.13], _WHITE, 2.0)
    pan = _link(torso, "head_pan_link", "head_pan_joint", [0, 0, 0], [0, 0, 1])
    _box(pan, "neck", [0, 0, -0.02], [0.04, 0.04, 0.03], _DARK, 0.5)
    head = _link(pan, "head_tilt_link", "head_tilt_joint", [0.02, 0, 0], [0, -1, 0])
    _box(head, "skull", [-0.055, 0, 0.10], [0.075, 0.10, 0.08], _WHITE, 1.2)
    _box(head, "face", [0.022, 0, 0.075], [0.004, 0.085, 0.05], _DARK, 0.1)
    _box(head, "rgbd", [-0.075, 0.022, 0.205], [0.018, 0.09, 0.018], _DARK, 0.2)
    eye = [-0.055, 0.022, 0.2152]
    add_camera(head, "head", eye, [1.0, 0.022, 0.2152], 46.8)
    for joint in ("head_pan_joint", "head_tilt_joint"):
        add_servo(spec, joint, 120.0, 7.0, 20.0)


def _add_arm(spec: mujoco.MjSpec, base: Any) -> None:
    lift = base.add_body(name="arm_lift_link", pos=[0, 0, LIFT_Z], gravcomp=1)
    lift.add_joint(
        name="arm_lift_joint", type=_SLIDE, axis=[0, 0, 1], range=[LOWER[LIFT], UPPER[LIFT]]
    )
    _box(lift, "shoulder", [0.10, 0.045, 0], [0.045, 0.055, 0.05], _GREY, 1.3)
    upper = _link(lift, "arm_flex_link", "arm_flex_joint", [*SHOULDER, 0], [0, -1, 0])
    _rod(upper, "upper_arm", [0, 0, 0.02], [0.005, 0, 0.26], 0.042, _WHITE, 1.3)
    roll = _link(upper, "arm_roll_link", "arm_roll_joint", [ELBOW[0], 0, ELBOW[1]], [0, 0, 1])
    _rod(roll, "forearm", [0, 0, -0.06], [0, 0, 0.0], 0.040, _GREY, 0.3)
    wrist = _link(roll, "wrist_flex_link", "wrist_flex_joint", [0, 0, 0], [0, -1, 0])
    _rod(wrist, "wrist", [0, 0, 0.0], [0, 0, 0.05], 0.032, _DARK, 0.6)
    twist = _link(wrist, "wrist_roll_link", "wrist_roll_joint", [0, 0, 0], [0, 0, 1])
    _rod(twist, "hand_body", [0, 0, 0.06], [0, 0, 0.10], 0.036, _WHITE, 0.7)
    add_servo(spec, "arm_lift_joint", 12000.0, 600.0, 300.0)
    for joint in ("arm_flex_joint", "arm_roll_joint", "wrist_flex_joint", "wrist_roll_joint"):
        add_servo(spec, joint, 400.0, 20.0, 60.0)
    _add_hand(spec, twist)


def _add_hand(spec: mujoco.MjSpec, wrist: Any) -> None:
    palm = wrist.add_body(name="palm", pos=[PALM[0], 0, PALM[1]], quat=[0, 0, 0, 1], gravcomp=1)
    _box(palm, "palm", [0, 0, -0.02], [0.03, 0.045, 0.012], _GREY, 0.15)
    # Above the palm (its x is up when the hand is level), along the fingers; place and angle are
    # ours, so that the fingers frame the picture.
    back = np.array([0.25, 0.0, -1.0]) / np.hypot(0.25, 1.0)
    quat = np.zeros(4)
    axes = np.column_stack([[0, 1, 0], np.cross(back, [0, 1, 0]), back])
    mujoco.mju_mat2Quat(quat, axes.flatten())
    palm.add_camera(name="hand", pos=[0.055, 0.0, -0.02], quat=quat.tolist(), fovy=75.0)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        joint = "hand_motor_joint" if side == "left" else "hand_r_proximal_joint"
        finger = _link(
            palm, f"{side}_finger", joint, [0, sign * FINGER_Y, FINGER_Z], [-sign, 0, 0], 0.002
        )
        _rod(finger, f"{side}_rod", [0, 0, 0.01], [0, 0, FINGER - 0.01], 0.008, _DARK, 0.04)
        tip = _link(
            finger, f"{side}_tip", f"{side}_tip_joint", [0, 0, FINGER], [-sign, 0, 0], 0.002
        )
        inner = FINGER_Y - PAD_GAP
        pad = [0, -sign * (inner - 0.005), TIP]
        options = {"rgba": _DARK, "mass": 0.03, **GRIP}
        tip.add_geom(name=f"{side}_pad", type=BOX, pos=pad, size=[0.012, 0.005, 0.016], **options)
        _couple(spec, f"{side}_tip_joint", "hand_motor_joint", -1.0)
    _couple(spec, "hand_r_proximal_joint", "hand_motor_joint", 1.0)
    add_servo(spec, "hand_motor_joint", 10.0, 0.4, 2.2)


_HINGE, _SLIDE = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE


def _link(
    parent: Any, name: str, joint: str, at: list[float], axis: list[float], armature: float = 0.05
) -> Any:
    body = parent.add_body(name=name, pos=at, gravcomp=1)
    body.add_joint(name=joint, type=_HINGE, axis=axis, armature=armature)
    return body


def _couple(spec: mujoco.MjSpec, joint: str, to: str, ratio: float) -> None:
    """Let a joint follow another, as a belt or a linkage does."""
    equal = spec.add_equality(name=joint, name1=joint, name2=to)
    equal.type = mujoco.mjtEq.mjEQ_JOINT
    equal.objtype = mujoco.mjtObj.mjOBJ_JOINT
    equal.data[:5] = [0.0, ratio, 0.0, 0.0, 0.0]
    equal.solref = [0.005, 1.0]


def _box(
    body: Any, name: str, at: list[float], half: list[float], rgba: list[float], mass: float
) -> None:
    body.add_geom(name=name, type=BOX, pos=at, size=half, rgba=rgba, mass=mass, **SEEN)


def _rod(
    body: Any,
    name: str,
    start: list[float],
    end: list[float],
    radius: float,
    rgba: list[float],
    mass: float,
) -> None:
    size = [radius, 0, 0]
    body.add_geom(
        name=name, type=CAPSULE, fromto=[*start, *end], size=size, rgba=rgba, mass=mass, **ROBOT
    )
