"""The expert's decision: where base and arm should go next, from what is seen now.

The dog walks until the cube lies where the arm grasps from straight above, stands, and the arm
does what it does on the tabletop (`vla_scenes.pick_place`), in a frame that shakes with the trunk.
No phase is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_scenes import pick_place
from vla_scenes.go2_arm.layout import TABLE_HEIGHT
from vla_scenes.go2_arm.robot import MOUNT, PAN_FORWARD
from vla_scenes.kinematics import DOWN, PAN_X
from vla_scenes.motion import Reference
from vla_scenes.motion import predict as predict_arm
from vla_scenes.pick_place import GRIPPER, HEIGHT, HOME_POSE, PITCH, SQUEEZE, View, is_held
from vla_scenes.stage.base import in_base, in_world
from vla_scenes.stage.planning import Configuration

Floats = NDArray[np.float64]
ARM = 3  # where the arm's pose begins in a configuration: after x, y, yaw

STAND_REACH = 0.205  # from the arm's first axis to the cube when the dog stands [m]
GRASPABLE = ((0.155, 0.238), 0.40)  # reach [m], azimuth to either side [rad]
SLOW = np.array([0.02, 0.02, 0.04])  # slower than this is standing [m/s, rad/s]
LIFT_TO = 0.13  # of the tool above the table [m]
_NOWHERE = np.array([9.0, 9.0])  # the pad of the tabletop's decision: there is none


@dataclass(frozen=True)
class Seen:
    """What the decision looks at, in the world."""

    cube: Floats  # (3,) [m]
    cube_yaw: float  # [rad]
    table_yaw: float  # direction of the approach [rad]
    trunk_z: float  # [m]
    roll: float  # of the trunk [rad]
    pitch: float
    jaw: float  # measured gripper joint [rad]


def decide(seen: Seen, now: Configuration) -> Floats:
    """Return the configuration to go to (9,): x, y, yaw, the arm's pose."""
    view, floor = arm_view(seen, now.value)
    target = now.braking
    if is_held(view):
        target[ARM:] = _lifted(now, floor)
        return target
    if _walks(view, now):
        target[:ARM] = _stand(seen)
        target[ARM:] = HOME_POSE
        return target
    target[ARM:] = pick_place.decide(view, now.velocity[ARM:])
    target[ARM + HEIGHT] += floor
    return target


def arm_view(seen: Seen, value: Floats) -> tuple[View, float]:
    """Return what the arm's decision sees, heights above the table; and the table's height.

    The table's height is that under the cube, in the frame of the arm's base.
    """
    cube = in_arm(seen, value[:ARM], seen.cube)
    under = in_arm(seen, value[:ARM], np.array([*seen.cube[:2], TABLE_HEIGHT]))
    floor = float(under[2])
    pose = value[ARM:].copy()
    pose[HEIGHT] -= floor
    above = np.array([cube[0], cube[1], cube[2] - floor])
    turned = float((seen.cube_yaw - value[2] + np.pi / 4) % (np.pi / 2) - np.pi / 4)
    return View(pose, seen.jaw, above, turned, _NOWHERE), floor


def predict(seen: Seen, now: Configuration, before: Configuration) -> Seen:
    """Return what will be seen when ``now`` is reached: closed jaws carry."""
    view, _ = arm_view(seen, before.value)
    arm = now.value[ARM:].copy()
    _, floor = arm_view(seen, now.value)
    arm[HEIGHT] -= floor
    after = predict_arm(view, Reference(arm, np.zeros(6), np.zeros(6)))
    if after.cube is view.cube:
        return replace(seen, jaw=after.jaw)
    at = after.cube + np.array([0.0, 0.0, floor])
    cube = from_arm(seen, now.value[:ARM], at)
    return replace(seen, jaw=after.jaw, cube=cube, cube_yaw=after.cube_yaw + float(now.value[2]))


def in_arm(seen: Seen, base: Floats, point: Floats) -> Floats:
    """Return a point of the world in the frame of the arm's base (3,)."""
    level = in_base(float(base[2]), point - np.array([base[0], base[1], 0.0]))
    return np.asarray(_tilt(seen).T @ (level - np.array([0.0, 0.0, seen.trunk_z])) - MOUNT)


def from_arm(seen: Seen, base: Floats, point: Floats) -> Floats:
    """Return the reverse of `in_arm`."""
    level = _tilt(seen) @ (point + MOUNT) + np.array([0.0, 0.0, seen.trunk_z])
    return np.asarray(in_world(float(base[2]), level) + np.array([base[0], base[1], 0.0]))


def _tilt(seen: Seen) -> Floats:
    cr, sr, cp, sp = np.cos(seen.roll), np.sin(seen.roll), np.cos(seen.pitch), np.sin(seen.pitch)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    tilt: Floats = about_x @ about_y
    return tilt


def _walks(view: View, now: Configuration) -> bool:
    """Return whether the dog has to walk: not graspable yet, or still on its way."""
    x, y = view.cube[0] - PAN_X, view.cube[1]
    reach, azimuth = float(np.hypot(x, y)), float(np.arctan2(y, x))
    (near, far), aside = GRASPABLE
    graspable = near < reach < far and abs(azimuth) < aside
    if graspable and view.pose[HEIGHT] < pick_place.HOVER + 0.01:
        return False  # the arm is down there already
    return not graspable or bool((np.abs(now.base_velocity()) > SLOW).any())


def _stand(seen: Seen) -> Floats:
    """Return where to stand: facing the table, the cube straight ahead of the arm (3,)."""
    ahead = in_world(seen.table_yaw, np.array([PAN_FORWARD + STAND_REACH, 0.0, 0.0]))
    return np.array([*(seen.cube[:2] - ahead[:2]), seen.table_yaw])


def _lifted(now: Configuration, floor: float) -> Floats:
    pose = now.braking[ARM:]
    pose[HEIGHT] = max(floor + LIFT_TO, float(now.value[ARM + HEIGHT]))
    pose[PITCH], pose[GRIPPER] = DOWN, SQUEEZE
    return pose
