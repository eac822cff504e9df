"""Standard messages of a simulator or driver as the contract's state streams, by name.

Joints come from a `sensor_msgs/JointState`, a base from a `nav_msgs/Odometry`. Nothing is filled
in: a message that lacks an entry of the contract is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError, ObservationError
from vla_ros.joints import entries_from_msg, joint_state_msg
from vla_ros.stamps import time_ns

Floats = NDArray[np.float64]

JOINT_STATE = "sensor_msgs/msg/JointState"
BASE_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
# A quaternion of another length is none.
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sources:
    """Which topics of the contract an incoming message fills, each with its entries in order."""

    joints: Mapping[str, tuple[str, ...]]
    base: Mapping[str, tuple[str, ...]]


def sources(contract: Contract, base: str = "base") -> Sources:
    """Return what fills each state topic; entries `<base>_x` ... `<base>_yaw` are odometry's.

    Raises:
        ConfigurationError: a stream of another type, or a topic with entries of both.
    """
    of_base = {f"{base}_{axis}" for axis in BASE_AXES}
    joints: dict[str, tuple[str, ...]] = {}
    odometry: dict[str, tuple[str, ...]] = {}
    mistakes: list[str] = []
    for name, stream in contract.observation.state.items():
        from_base = [entry for entry in stream.entries if entry in of_base]
        if stream.type != JOINT_STATE:
            mistakes.append(f"state stream '{name}': expected {JOINT_STATE}, found {stream.type}")
        if from_base and len(from_base) < len(stream.entries):
            mistakes.append(
                f"state stream '{name}': {from_base} come from odometry, the others do not"
            )
        filled = odometry if from_base else joints
        known = filled.get(stream.topic, ())
        filled[stream.topic] = known + tuple(e for e in stream.entries if e not in known)
    mistakes += [
        f"topic '{topic}': joints and odometry both would fill it"
        for topic in sorted(joints.keys() & odometry.keys())
    ]
    if mistakes:
        raise ConfigurationError(f"robot '{contract.robot}': " + "; ".join(mistakes))
    return Sources(joints, odometry)


def joints_msg(msg: JointState, entries: Sequence[str], named: Mapping[str, str]) -> JointState:
    """Return a joint state of these entries; ``named``: entry -> what ``msg`` calls it.

    Raises:
        ObservationError: an entry is missing, doubled or not finite.
    """
    names = [named.get(entry, entry) for entry in entries]
    positions = entries_from_msg(msg, "position", names)
    velocities = entries_from_msg(msg, "velocity", names) if len(msg.velocity) else None
    return joint_state_msg(time_ns(msg.header.stamp), entries, positions, velocities)


def base_msg(msg: Odometry, entries: Sequence[str], base: str = "base") -> JointState:
    """Return a joint state of a base: positions in the odometry's frame, velocities in its own.

    Raises:
        ObservationError: a value is not finite, or the orientation is no rotation.
    """
    point, twist = msg.pose.pose.position, msg.twist.twist
    angles = _angles(msg)
    positions = np.array([point.x, point.y, point.z, *angles])
    velocities = np.array(
        [getattr(part, axis) for part in (twist.linear, twist.angular) for axis in "xyz"]
    )
    if not (np.isfinite(positions).all() and np.isfinite(velocities).all()):
        raise ObservationError("odometry: NaN or infinity")
    index = [BASE_AXES.index(entry.removeprefix(f"{base}_")) for entry in entries]
    stamp = time_ns(msg.header.stamp)
    return joint_state_msg(stamp, entries, positions[index], velocities[index])


def _angles(msg: Odometry) -> tuple[float, float, float]:
    """Return roll, pitch, yaw (turned about the fixed x, y, z in this order) [rad]."""
    q = msg.pose.pose.orientation
    length = math.sqrt(q.x**2 + q.y**2 + q.z**2 + q.w**2)
    if not abs(length - 1.0) < UNIT_TOLERANCE:
        raise ObservationError(f"odometry: expected a unit quaternion, got length {length:.4g}")
    roll = math.atan2(2 * (q.w * q.x + q.y * q.z), 1 - 2 * (q.x**2 + q.y**2))
    pitch = math.asin(max(-1.0, min(1.0, 2 * (q.w * q.y - q.z * q.x))))
    yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2))
    return roll, pitch, yaw
