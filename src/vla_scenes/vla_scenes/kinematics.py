"""Analytic kinematics of the SO-101: joints to the roll axis point of the gripper, and back.

The arm is planar behind its pan joint: three parallel axes, then a roll about the tool. A pose is
therefore (azimuth, reach, height, pitch, roll, gripper), one number per joint, and the inverse is
exact. Lengths are those of ``so101_new_calib.xml``; a test compares every one with MuJoCo.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, atan2, cos, hypot, pi, sin

import numpy as np
from numpy.typing import NDArray

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
# so101_new_calib.urdf [rad]; gripper -0.1745 is closed, 1.7453 is open.
LOWER = np.array([-1.91986, -1.74533, -1.69, -1.65806, -2.74385, -0.174533])
UPPER = np.array([1.91986, 1.74533, 1.69, 1.65806, 2.84121, 1.74533])

PAN_X = 0.0388353  # pan axis in the base frame [m]
SHOULDER_R, SHOULDER_Z = 0.0303992, 0.1166  # lift axis from the pan axis [m]
UPPER_ARM = hypot(0.028, 0.11257)
UPPER_ARM_ANGLE = atan2(0.11257, 0.028)  # above horizontal, all joints at zero
FOREARM = hypot(0.1349, 0.0052)
FOREARM_ANGLE = atan2(0.0052, 0.1349)
# Wrist axis to the grasp point along the tool [m]: gripper body, then down the fingers so that a
# cube is held 9 mm above the tips.
TOOL = 0.0611 + 0.0956
ROLL_OFFSET = 0.04869  # wrist_roll at which the jaws open exactly radially [rad]
DOWN = -pi / 2


@dataclass(frozen=True)
class ToolPose:
    """Where the point on the roll axis at grasp height is, and how the tool is turned."""

    azimuth: float  # about z, 0 along +x of the base, left positive [rad]
    reach: float  # from the pan axis [m]
    height: float  # above the table [m]
    pitch: float  # of the tool above horizontal, -pi/2 points down [rad]
    roll: float  # direction fixed jaw -> moving jaw against radial, left positive [rad]
    gripper: float  # joint angle [rad]

    def vector(self) -> NDArray[np.float64]:
        """Return the six numbers in the order of the fields."""
        return np.array(
            [self.azimuth, self.reach, self.height, self.pitch, self.roll, self.gripper]
        )


def forward(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (azimuth, reach, height, pitch, roll, gripper) for six joint angles [rad]."""
    pan, lift, elbow, flex, roll, gripper = (float(q) for q in joints)
    upper = UPPER_ARM_ANGLE - lift
    fore = FOREARM_ANGLE - lift - elbow
    pitch = -(lift + elbow + flex)
    reach = SHOULDER_R + UPPER_ARM * cos(upper) + FOREARM * cos(fore) + TOOL * cos(pitch)
    height = SHOULDER_Z + UPPER_ARM * sin(upper) + FOREARM * sin(fore) + TOOL * sin(pitch)
    return np.array([-pan, reach, height, pitch, roll - ROLL_OFFSET, gripper])


def inverse(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the joints (elbow up) that reach a pose as `forward` gives it.

    A pose out of reach gives the nearest stretched arm, and joints are clipped to their limits:
    the caller plans inside the workspace, and a command stays one that the arm can take.
    """
    azimuth, reach, height, pitch, roll, gripper = (float(v) for v in pose)
    r = reach - TOOL * cos(pitch) - SHOULDER_R
    z = height - TOOL * sin(pitch) - SHOULDER_Z
    distance = min(max(hypot(r, z), 0.03), UPPER_ARM + FOREARM - 1e-4)
    bend = acos(_cosine(UPPER_ARM, distance, FOREARM))
    inner = acos(_cosine(UPPER_ARM, FOREARM, distance))
    upper = atan2(z, r) + bend
    fore = upper - (pi - inner)
    lift = UPPER_ARM_ANGLE - upper
    elbow = FOREARM_ANGLE - lift - fore
    flex = -pitch - lift - elbow
    joints = np.array([-azimuth, lift, elbow, flex, roll + ROLL_OFFSET, gripper])
    return np.clip(joints, LOWER, UPPER)


def _cosine(a: float, b: float, opposite: float) -> float:
    """Cosine of the angle between sides ``a`` and ``b`` of a triangle."""
    value = (a * a + b * b - opposite * opposite) / (2 * a * b)
    return min(max(value, -1.0), 1.0)
