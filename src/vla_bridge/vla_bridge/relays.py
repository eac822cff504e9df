"""What a robot's controllers are sent: trajectories that start now, repeated values."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from rclpy.publisher import Publisher
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.bridge import Floats
from vla_bridge.channels import Channel
from vla_core.types import NS_PER_S
from vla_ros.joints import joint_state_msg, trajectory_arrays, trajectory_msg, twist_msg
from vla_ros.stamps import time_ns

# Zeros are repeated for this long after a stop, then the topic is left to others (twist_mux).
ZEROS_FOR_S = 0.5


def starting_now(
    msg: JointTrajectory, columns: tuple[str, ...], now_ns: int
) -> JointTrajectory | None:
    """Return a trajectory stamped 0 (starts on arrival) with the points that are still to come.

    Joint trajectory controllers drop what a stamp puts into the past, so the time that has gone
    by is taken off here. None: all of it is past.
    """
    times, positions, velocities, accelerations = trajectory_arrays(msg, columns)
    late_ns = now_ns - time_ns(msg.header.stamp) if time_ns(msg.header.stamp) else 0
    times = times - max(0, late_ns)
    ahead = times > 0
    if not ahead.any():
        return None
    return trajectory_msg(
        0,
        columns,
        times[ahead].tolist(),
        positions[ahead],
        velocities[ahead],
        accelerations[ahead],
    )


def repeated_twist(channel: Channel, publisher: Publisher) -> Callable[[Floats, Floats], None]:
    """Return a `write` that repeats a base's velocity, and zeros for a while after its end."""
    zeros_since_ns: int | None = 0

    def write(positions: Floats, velocities: Floats) -> None:
        nonlocal zeros_since_ns
        values = velocities[channel.index]
        now = time.monotonic_ns()
        if values.any():
            zeros_since_ns = None
        elif zeros_since_ns is None:
            zeros_since_ns = now
        if zeros_since_ns is None or now - zeros_since_ns < ZEROS_FOR_S * NS_PER_S:
            publisher.publish(twist_msg(channel.output.fields, values))

    return write


def repeated_joint_state(
    channel: Channel, publisher: Publisher, now_ns: Callable[[], int], named: Mapping[str, str]
) -> Callable[[Floats, Floats], None]:
    """Return a `write` that repeats where to go by name; ``named``: column -> the robot's joint.

    Positions only: a receiver that drives to both would add up a velocity that goes on for ever
    if this process dies.
    """
    joints = [named.get(column, column) for column in channel.output.columns]

    def write(positions: Floats, velocities: Floats) -> None:
        values = positions[channel.index]
        if np.isfinite(values).all():
            publisher.publish(joint_state_msg(now_ns(), joints, values))

    return write
