"""Every message that reaches the robot against what its receiver documents: type and range.

Stricter than the controllers, which take anything finite or not: a violation here is a mistake of
whoever sent it. Pure; messages are looked at, not imported.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

from vla_hsr.emulator.facts import BASE_SPEED, BASE_YAW_RATE, GRASP_EFFORT, JOINTS

TOLERANCE = 1e-6
# A quintic between points inside the limits may be this much faster than the points.
VELOCITY_SLACK = 1.02


def trajectory_violations(message: Any, joints: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with a JointTrajectory for these joints."""
    if sorted(message.joint_names) != sorted(joints):
        yield f"joint names {list(message.joint_names)}, expected {sorted(joints)} in any order"
        return
    if not message.points:
        yield "no points"
    for number, point in enumerate(message.points):
        for i, name in enumerate(message.joint_names):
            yield from _value(f"point {number}", name, point, i)
    times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        yield f"times {times} do not rise"
    if times and times[0] < 0:
        yield f"first time {times[0]} is negative"
    if message.points and any(abs(v) > 1e-3 for v in message.points[-1].velocities):
        yield f"ends in motion: {list(message.points[-1].velocities)}"


def _value(where: str, name: str, point: Any, i: int) -> Iterator[str]:
    joint = JOINTS[name]
    position = point.positions[i]
    if not joint.lower - TOLERANCE <= position <= joint.upper + TOLERANCE:
        yield f"{where}: {name} at {position}, limits {joint.lower} to {joint.upper}"
    if len(point.velocities):
        velocity = point.velocities[i]
        if not abs(velocity) <= joint.velocity * VELOCITY_SLACK:
            yield f"{where}: {name} with velocity {velocity}, limit {joint.velocity}"
    if len(point.accelerations) and not math.isfinite(point.accelerations[i]):
        yield f"{where}: acceleration of {name} is {point.accelerations[i]}"


def twist_violations(message: Any) -> Iterator[str]:
    """Yield what is wrong with a Twist for an omnidirectional base."""
    for name in ("linear.z", "angular.x", "angular.y"):
        part, axis = name.split(".")
        value = getattr(getattr(message, part), axis)
        if value != 0.0:
            yield f"{name} is {value}; the base has no such axis"
    speed = math.hypot(message.linear.x, message.linear.y)
    if not speed <= BASE_SPEED + TOLERANCE:
        yield f"speed {speed} m/s, the wheels reach {BASE_SPEED}"
    if not abs(message.angular.z) <= BASE_YAW_RATE:
        yield f"yaw rate {message.angular.z} rad/s, the steering reaches {BASE_YAW_RATE}"


def effort_violations(effort: float) -> Iterator[str]:
    """Yield what is wrong with the effort of a grasp."""
    if not abs(effort) <= GRASP_EFFORT:
        yield f"effort {effort}, expected at most {GRASP_EFFORT}"
