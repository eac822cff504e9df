"""The expert's decision: where base, arm and head should go next, from what is seen now.

No phase is remembered: a can that slips or a drawer that springs back changes what is seen, and
the answer with it. Whatever is grasped is approached straight along the direction in which one
stands before the furniture, hand level: then the arm's shape is fixed, its lift sets the height
and the base does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_scenes.hsr.layout import (
    CABINET_HALF,
    CAN_HEIGHT,
    CAN_RADIUS,
    DRAWER_Z,
    HANDLE_OUT,
    HANDLE_RADIUS,
    TABLE_HALF,
    TABLE_HEIGHT,
)
from vla_scenes.hsr.robot import HAND, LIFT, PAN, gaze, hand_at, level, opening, tool
from vla_scenes.hsr.tasks import Task
from vla_scenes.stage.base import in_base, in_world
from vla_scenes.stage.planning import Configuration

Floats = NDArray[np.float64]
ARM = 3  # where the joints begin in a configuration: after x, y, yaw

BEND = 1.15  # of the arm while it grasps [rad]
BEFORE = 0.14  # from the tool to the thing before the last approach [m]
OPEN = {"can": 0.055, "handle": 0.035}  # half opening of the approaching fingers [m]
SQUEEZE = 0.35  # hand's motor beyond contact [rad]
LIFTED = 0.07  # of a can before it is carried away [m]
CARRY_BEFORE = 0.26  # the edge: where a can is carried to [m]
PULL_TO, PULLED = 0.24, 0.20  # opening that is aimed at, and that is enough [m]


@dataclass(frozen=True)
class Thing:
    """What is to be grasped, and from where."""

    kind: str  # "can" or "handle"
    at: Floats  # (3,) in the world [m]
    yaw: float  # direction of the approach [rad]
    edge: float  # of the furniture, along the approach from the world's origin [m]
    opening: float = 0.0  # of the drawer [m]

    @property
    def half(self) -> float:
        """Half of its width between the fingers [m]."""
        return CAN_RADIUS if self.kind == "can" else HANDLE_RADIUS

    @property
    def twist(self) -> float:
        """How the hand is turned about itself: sideways for a can, upright for a bar."""
        return 0.0 if self.kind == "can" else np.pi / 2


@dataclass(frozen=True)
class View:
    """What the decision looks at, beside the configuration that is planned."""

    thing: Thing
    hand: float  # measured motor of the hand [rad]


def thing_of(task: Task, truth: dict[str, float]) -> Thing:
    """Return what a task is about."""
    name = "table" if task.can else "cabinet"
    pose = np.array([truth[f"{name}.{axis}"] for axis in ("x", "y", "yaw")])
    yaw = float(pose[2])
    middle = float(in_base(yaw, pose)[0])
    if task.can:
        at = np.array([truth[f"{task.can}_can.{axis}"] for axis in "xyz"])
        return Thing("can", at, yaw, middle - TABLE_HALF[0])
    opened = truth[f"{task.drawer}_drawer.opening"]
    out = CABINET_HALF[0] + 0.01 + HANDLE_OUT + opened
    x, y, _ = pose + in_world(yaw, np.array([-out, 0.0, 0.0]))
    at = np.array([x, y, DRAWER_Z[task.drawer]])
    return Thing("handle", at, yaw, middle - CABINET_HALF[0], opened)


def decide(view: View, now: Configuration) -> Floats:
    """Return the configuration to go to (11,): x, y, yaw, eight joints."""
    thing = view.thing
    if is_held(view, now):
        target = _carry(view, now) if thing.kind == "can" else _pull(view, now)
    elif thing.kind == "handle" and thing.opening > PULLED:
        target = _let_go(view, now)
    else:
        target = _fetch(view, now)
    seen = in_base(now.value[2], np.array([*(thing.at[:2] - now.value[:2]), thing.at[2]]))
    target[ARM + PAN :] = gaze(seen, float(now.value[ARM + LIFT]))
    return target


def offset(view: View, value: Floats) -> tuple[float, float, float]:
    """Return the thing from the tool: ahead along the approach, left, up [m]."""
    reach = in_world(float(value[2]), tool(value[ARM:]))
    gap = view.thing.at - reach - np.array([value[0], value[1], 0.0])
    ahead, left, _ = in_base(view.thing.yaw, np.array([gap[0], gap[1], 0.0]))
    return float(ahead), float(left), float(gap[2])


def is_between(view: View, value: Floats) -> bool:
    """Return whether closing the fingers would grasp the thing."""
    ahead, left, up = offset(view, value)
    if view.thing.kind == "can":
        return abs(ahead) < 0.020 and abs(left) < 0.020 and abs(up) < 0.035
    return abs(ahead) < 0.014 and abs(left) < 0.04 and abs(up) < 0.016


def is_held(view: View, now: Configuration) -> bool:
    """Return whether the fingers are closed on the thing."""
    contact = hand_at(view.thing.half)
    return contact - 0.12 < view.hand < contact + 0.05 and is_between(view, now.value)


def predict(view: View, now: Configuration, before: Configuration) -> View:
    """Return what will be seen when ``now`` is reached: what is held follows the tool."""
    thing = view.thing
    hand = float(now.value[ARM + HAND])
    if is_between(view, before.value):
        hand = max(hand, hand_at(thing.half))
    if not is_held(replace(view, hand=hand), before):
        return replace(view, hand=hand)
    step = _tool_in_world(now) - _tool_in_world(before)
    if thing.kind == "can":
        return View(replace(thing, at=thing.at + step), hand)
    out = -float(in_base(thing.yaw, step)[0])
    at = thing.at + in_world(thing.yaw, np.array([-out, 0.0, 0.0]))
    return View(replace(thing, at=at, opening=thing.opening + out), hand)


def _tool_in_world(now: Configuration) -> Floats:
    reach = in_world(float(now.value[2]), tool(now.value[ARM:]))
    return np.asarray(reach + np.array([now.value[0], now.value[1], 0.0]))


def _fetch(view: View, now: Configuration) -> Floats:
    """Stand before the thing with open fingers, go straight ahead, close."""
    thing = view.thing
    ahead, left, up = offset(view, now.value)
    if is_between(view, now.value):
        return _grasp(view, now)
    turned = abs(now.value[2] - thing.yaw)
    is_open = opening(view.hand) > OPEN[thing.kind] - 0.008
    shape = np.abs(now.value[ARM + 1 : ARM + HAND] - _arm(thing)[1:HAND]).max()
    entering = ahead < BEFORE - 0.03
    margin = 0.016 if entering else 0.006
    if abs(left) < margin and abs(up) < margin and turned < 0.05 and is_open and shape < 0.06:
        return _standing(thing, 0.0)
    if entering and ahead > -0.05:
        # Beside the thing: straight back first, fingers open, nothing else.
        target = now.braking
        back_off = in_world(thing.yaw, np.array([ahead - BEFORE, 0.0, 0.0]))
        target[:3] = now.value[:3] + back_off
        target[ARM + HAND] = hand_at(OPEN[thing.kind])
        return target
    return _standing(thing, BEFORE)


def _arm(thing: Thing) -> Floats:
    return level(float(thing.at[2]), BEND, thing.twist, hand_at(OPEN[thing.kind]))


def _standing(thing: Thing, before: float) -> Floats:
    """Return the configuration with open fingers and the tool this far before the thing."""
    closed = level(float(thing.at[2]), BEND, thing.twist, hand_at(thing.half))
    reach = tool(np.concatenate([closed, np.zeros(2)]))
    at = thing.at[:2] - in_world(thing.yaw, reach + np.array([before, 0.0, 0.0]))[:2]
    return np.array([*at, thing.yaw, *_arm(thing), 0.0, 0.0])


def _grasp(view: View, now: Configuration) -> Floats:
    target = now.braking
    # The tool moves ahead as the fingers close; the base stays.
    target[ARM + HAND] = hand_at(view.thing.half) - SQUEEZE
    return target


def _carry(view: View, now: Configuration) -> Floats:
    """Lift the can, then go straight back with it."""
    thing = view.thing
    target = _grasp(view, now)
    floor = TABLE_HEIGHT + CAN_HEIGHT / 2
    _, _, up = offset(view, now.value)
    wanted = level(floor + LIFTED + 0.02 - up, BEND, thing.twist, now.value[ARM + HAND])[LIFT]
    if thing.at[2] < floor + 0.75 * LIFTED and _behind_edge(thing) > -0.05:
        target[ARM + LIFT] = wanted
        return target
    target[ARM + LIFT] = max(wanted, now.value[ARM + LIFT])
    way = -CARRY_BEFORE - _behind_edge(thing)
    target[:3] = now.value[:3] + in_world(thing.yaw, np.array([min(way, 0.0), 0.0, 0.0]))
    return target


def _behind_edge(thing: Thing) -> float:
    return float(in_base(thing.yaw, np.array([*thing.at[:2], 0.0]))[0]) - thing.edge


def _pull(view: View, now: Configuration) -> Floats:
    target = _grasp(view, now)
    way = min(view.thing.opening - PULL_TO, 0.0)
    target[:3] = now.value[:3] + in_world(view.thing.yaw, np.array([way, 0.0, 0.0]))
    return target


def _let_go(view: View, now: Configuration) -> Floats:
    target = now.braking
    target[ARM + HAND] = hand_at(OPEN["handle"])
    return target
