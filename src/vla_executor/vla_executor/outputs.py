"""From the core's command to the messages of the contract's outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from vla_core.contract import Contract, Output
from vla_core.execution import Command
from vla_ros.joints import floats_msg, joint_state_msg, trajectory_msg, twist_msg


def encoder(contract: Contract, output: Output) -> Callable[[Command], Any]:
    """Return the function that makes this output's message from a command."""
    names = output.columns
    index = np.array([contract.columns.index(name) for name in names])
    is_position = np.array([contract.action.columns[i].is_position for i in index])

    def trajectory(command: Command) -> JointTrajectory:
        return trajectory_msg(
            command.stamp_ns,
            names,
            command.times_ns.tolist(),
            command.positions[:, index],
            command.velocities[:, index],
            command.accelerations[:, index],
        )

    def twist(command: Command) -> Twist:
        return twist_msg(output.fields, command.velocities[0, index])

    def floats(command: Command) -> Float64MultiArray:
        positions, velocities = command.positions[0, index], command.velocities[0, index]
        return floats_msg(np.where(is_position, positions, velocities))

    def joint_state(command: Command) -> JointState:
        # The next point, stamped with when it is due.
        due_ns = command.stamp_ns + int(command.times_ns[0])
        return joint_state_msg(
            due_ns, names, command.positions[0, index], command.velocities[0, index]
        )

    encoders: dict[str, Callable[[Command], Any]] = {
        "trajectory_msgs/msg/JointTrajectory": trajectory,
        "geometry_msgs/msg/Twist": twist,
        "std_msgs/msg/Float64MultiArray": floats,
        "sensor_msgs/msg/JointState": joint_state,
    }
    return encoders[output.type]
