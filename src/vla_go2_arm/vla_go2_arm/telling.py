"""What the robot tells, in the words of the contract and of ROS."""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError
from vla_go2_arm import messages
from vla_go2_arm.arm_loop import Reading
from vla_go2_arm.posture import BaseState
from vla_ros import qos
from vla_ros.joints import joint_state_msg

STREAMS = ("joints", "odometry", "base_velocity", "attitude")


class Teller:
    """Publishes; stamps are when a message came, since the robot's clock may be wrong by a year.

    Raises:
        ConfigurationError: the contract lacks a stream of this robot.
    """

    def __init__(self, node: Node, contract: Contract, joints: list[str]) -> None:
        streams = contract.observation.state
        if not set(STREAMS) <= set(streams):
            raise ConfigurationError(
                f"contract: expected state streams {list(STREAMS)}, found {sorted(streams)}"
            )
        self._names = joints
        self._joints, self._base, self._attitude = (
            node.create_publisher(JointState, streams[name].topic, qos.SENSOR)
            for name in ("joints", "odometry", "attitude")
        )
        self._odometry = node.create_publisher(Odometry, "odom", qos.SENSOR)
        self._imu = node.create_publisher(Imu, "imu", qos.SENSOR)
        self._legs = node.create_publisher(JointState, "joint_states", qos.SENSOR)

    def base(self, msg: Any, state: BaseState, received_ns: int) -> None:
        """Publish a `unitree_go/SportModeState`, given also in plain values."""
        self._base.publish(messages.base_joint_state(state, received_ns))
        self._attitude.publish(messages.attitude_joint_state(state, received_ns))
        self._odometry.publish(messages.odometry_msg(msg, state, received_ns))
        self._imu.publish(messages.imu_msg(msg.imu_state, received_ns))

    def legs(self, msg: Any, received_ns: int) -> None:
        """Publish the leg joints of a `unitree_go/LowState`."""
        self._legs.publish(messages.legs_msg(msg, received_ns))

    def arm(self, reading: Reading, measured_ns: int) -> None:
        """Publish what the arm measured."""
        positions, velocities = reading.positions, reading.velocities
        self._joints.publish(joint_state_msg(measured_ns, self._names, positions, velocities))
