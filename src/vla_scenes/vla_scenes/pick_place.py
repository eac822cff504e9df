"""The expert's decision: where the tool should go next, from what is seen now and nothing else.

No phase is remembered. A cube that slips, is knocked away or was misjudged simply changes what is
seen, and the answer with it; that is what makes recoveries worth learning from.

All tool poses are vectors (azimuth, reach, height, pitch, roll, gripper), see `kinematics`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_scenes.kinematics import DOWN, PAN_X, forward
from vla_scenes.layout import CUBE, PAD_HEIGHT

Vector = NDArray[np.float64]
AZIMUTH, REACH, HEIGHT, PITCH, ROLL, GRIPPER = range(6)

# Home above the table, out of the front camera's way [rad]; the same as in the robot's contract.
HOME = np.array([0.0, -1.2, 0.8, 1.4, 0.0, 0.3])
HOME_POSE = forward(HOME)

HELD_OFFSET = 0.0046  # roll axis to the middle of a held cube, towards the moving jaw [m]
SIDE_CLEARANCE = 0.008  # fixed jaw to cube before closing [m]
PRE_OPEN, CONTACT, SQUEEZE = 0.55, 0.13, -0.05  # gripper joint: approach, on a cube, commanded
HOVER, SAFE = 0.058, 0.043  # tool heights: travel, and lowest for moving sideways [m]
CARRY_SAFE = 0.047  # the same with a cube below the tool [m]
GRASP_ABOVE = 0.0015  # of the tool above the cube's centre when closing [m]
RELEASE = PAD_HEIGHT + CUBE / 2 + GRASP_ABOVE + 0.001
WORKSPACE = (0.115, 0.243)  # reach [m]


@dataclass(frozen=True)
class View:
    """What the decision looks at."""

    pose: Vector  # (6,) of the tool
    jaw: float  # measured gripper joint [rad]
    cube: Vector  # (3,) [m]
    cube_yaw: float  # [rad]
    pad: Vector  # (2,) [m]


def decide(view: View, velocity: Vector) -> Vector:
    """Return the pose to go to now (6,); ``velocity`` (6,) lets the tool stop without turning."""
    stay = view.pose + 0.1 * velocity
    stay[PITCH] = DOWN
    if is_placed(view):
        return _leave(view, stay)
    if is_held(view):
        return _carry(view, stay)
    return _fetch(view, stay)


def is_placed(view: View) -> bool:
    """Return whether the cube lies on its pad, held or not."""
    lies = view.cube[2] < PAD_HEIGHT + CUBE / 2 + 0.004
    return bool(lies and np.hypot(*(view.cube[:2] - view.pad)) < 0.016)


def is_held(view: View) -> bool:
    """Return whether the jaws are closed on the cube."""
    along, across, above = in_jaws(view)
    closed = CONTACT - 0.08 < view.jaw < CONTACT + 0.06
    return closed and abs(along) < 0.009 and abs(across) < 0.012 and abs(above) < 0.014


def in_jaws(view: View) -> tuple[float, float, float]:
    """Return the cube's centre from where it is when held: along the opening, across, up [m]."""
    x, y = tool_position(view.pose)
    facing = view.pose[AZIMUTH] + view.pose[ROLL]
    dx, dy = view.cube[0] - x, view.cube[1] - y
    along = dx * np.cos(facing) + dy * np.sin(facing) - HELD_OFFSET
    across = dy * np.cos(facing) - dx * np.sin(facing)
    return float(along), float(across), float(view.cube[2] - view.pose[HEIGHT] + GRASP_ABOVE)


def tool_position(pose: Vector) -> Vector:
    """Return x, y of the roll axis [m]."""
    return np.array(
        [PAN_X + pose[REACH] * np.cos(pose[AZIMUTH]), pose[REACH] * np.sin(pose[AZIMUTH])]
    )


def follow(view: View) -> View:
    """Return the view with the cube where the closed jaws hold it."""
    facing = view.pose[AZIMUTH] + view.pose[ROLL]
    x, y = tool_position(view.pose) + HELD_OFFSET * np.array([np.cos(facing), np.sin(facing)])
    cube = np.array([x, y, view.pose[HEIGHT] - GRASP_ABOVE])
    return replace(view, cube=cube, cube_yaw=facing)


def _leave(view: View, stay: Vector) -> Vector:
    along, across, _ = in_jaws(view)
    around = abs(along) < 0.045 and abs(across) < 0.03 and view.pose[HEIGHT] < SAFE
    if around and view.jaw < CONTACT + 0.2:
        return _with(stay, height=view.pose[HEIGHT], gripper=PRE_OPEN)
    if view.pose[HEIGHT] < SAFE:
        return _with(stay, height=HOVER, gripper=PRE_OPEN)
    return HOME_POSE.copy()


def _carry(view: View, stay: Vector) -> Vector:
    facing = view.pose[AZIMUTH] + view.pose[ROLL]
    offset = HELD_OFFSET * np.array([np.cos(facing), np.sin(facing)])
    error = float(np.hypot(*(view.cube[:2] - view.pad)))
    if error < (0.005 if view.pose[HEIGHT] > HOVER - 0.006 else 0.012):
        return _with(_above(view.pad - offset, 0.0), height=RELEASE, gripper=SQUEEZE)
    if view.pose[HEIGHT] < CARRY_SAFE:
        return _with(stay, height=HOVER, gripper=SQUEEZE)
    return _with(_above(view.pad - offset, 0.0), height=HOVER, gripper=SQUEEZE)


def _fetch(view: View, stay: Vector) -> Vector:
    along, across, _ = in_jaws(view)
    grasp = view.cube[2] + GRASP_ABOVE
    low = view.pose[HEIGHT] < grasp + 0.005
    if low and -0.006 < along < 0.024 and abs(across) < 0.009 and view.jaw > CONTACT - 0.06:
        return _with(stay, height=grasp, gripper=SQUEEZE)
    target = _approach(view)
    error = float(np.hypot(*(tool_position(view.pose) - tool_position(target))))
    turned = abs(view.pose[ROLL] - target[ROLL])
    loose = view.pose[HEIGHT] < HOVER - 0.006
    aligned = error < (0.009 if loose else 0.004) and turned < (0.15 if loose else 0.06)
    if aligned and view.jaw > PRE_OPEN - 0.12:
        return _with(target, height=grasp, gripper=PRE_OPEN)
    if view.pose[HEIGHT] < SAFE:
        return _with(stay, height=HOVER, gripper=PRE_OPEN)
    return _with(target, height=HOVER, gripper=PRE_OPEN)


def _approach(view: View) -> Vector:
    """Return the pose over the cube, jaws along the face that needs the smallest turn."""
    best: Vector | None = None
    cost = np.inf
    for quarter in range(-3, 4):
        facing = view.cube_yaw + quarter * np.pi / 2
        away = (HELD_OFFSET + SIDE_CLEARANCE) * np.array([np.cos(facing), np.sin(facing)])
        pose = _above(view.cube[:2] - away, 0.0)
        pose[ROLL] = facing - pose[AZIMUTH]
        # The present turn breaks the tie at an eighth turn, so that the choice does not flicker.
        turn = abs(pose[ROLL]) + 0.3 * abs(pose[ROLL] - view.pose[ROLL])
        if turn < cost:
            best, cost = pose, turn
    assert best is not None
    return best


def _above(position: Vector, roll: float) -> Vector:
    """Return the upright pose whose roll axis is at x, y; height and gripper still to set."""
    x, y = position[0] - PAN_X, position[1]
    reach = float(np.clip(np.hypot(x, y), *WORKSPACE))
    return np.array([np.arctan2(y, x), reach, HOVER, DOWN, roll, PRE_OPEN])


def _with(pose: Vector, *, height: float, gripper: float) -> Vector:
    changed = pose.copy()
    changed[HEIGHT], changed[GRIPPER] = height, gripper
    return changed
