"""Unitree's messages to plain values and to the messages of ROS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Vector3
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import Imu, JointState

from vla_core.types import NS_PER_S
from vla_go2_arm import legs
from vla_go2_arm.posture import BaseState
from vla_go2_arm.sport import Call
from vla_ros.joints import joint_state_msg
from vla_ros.stamps import header

Floats = NDArray[np.float64]

ODOM_FRAME, BASE_FRAME, IMU_FRAME = "odom", "base_link", "imu_link"
# The first bytes of the ids of our requests; others call the same service on the same topic.
ID_TAG = 0x564C41 << 40


def fill_request(request: Any, call: Call, number: int) -> Any:
    """Return a `unitree_api/Request` filled with a call; ``number`` makes its id unique."""
    request.header.identity.id = ID_TAG | (number & ((1 << 40) - 1))
    request.header.identity.api_id = call.api_id
    request.header.policy.noreply = call.noreply
    request.parameter = call.parameter
    return request


def is_ours(request_id: int) -> bool:
    """Return whether a request or response belongs to one of our requests."""
    return request_id >> 40 == ID_TAG >> 40


def state_from_msg(msg: Any, velocity_is_odom: bool = False) -> BaseState:
    """Return a SportModeState in plain values.

    Args:
        msg: `unitree_go/SportModeState`.
        velocity_is_odom: the firmware tells the velocity in the frame odom: it is turned here.
    """
    vx, vy = float(msg.velocity[0]), float(msg.velocity[1])
    rpy = np.array(msg.imu_state.rpy, np.float64)
    if velocity_is_odom:
        c, s = math.cos(rpy[2]), math.sin(rpy[2])
        vx, vy = c * vx + s * vy, c * vy - s * vx
    return BaseState(
        stamp_ns=int(msg.stamp.sec) * NS_PER_S + int(msg.stamp.nanosec),
        position=np.array(msg.position, np.float64),
        rpy=rpy,
        velocity=np.array([vx, vy, float(msg.yaw_speed)]),
        mode=int(msg.mode),
        code=int(msg.error_code),
    )


def base_joint_state(state: BaseState, now_ns: int) -> JointState:
    """Return odometry as the contract's streams name it: positions in odom, velocities in base."""
    pose = np.array([state.position[0], state.position[1], state.rpy[2]])
    return joint_state_msg(now_ns, ("base_x", "base_y", "base_yaw"), pose, state.velocity)


def attitude_joint_state(state: BaseState, now_ns: int) -> JointState:
    """Return roll and pitch of the trunk."""
    return joint_state_msg(now_ns, ("base_roll", "base_pitch"), state.rpy[:2])


def odometry_msg(msg: Any, state: BaseState, now_ns: int) -> Odometry:
    """Return the robot's own odometry; it drifts, and covariances are not known (zero)."""
    odometry = Odometry(header=header(now_ns, ODOM_FRAME), child_frame_id=BASE_FRAME)
    position = odometry.pose.pose.position
    position.x, position.y, position.z = (float(value) for value in state.position)
    odometry.pose.pose.orientation = _orientation(msg.imu_state)
    odometry.twist.twist.linear = Vector3(
        x=float(state.velocity[0]), y=float(state.velocity[1]), z=float(msg.velocity[2])
    )
    odometry.twist.twist.angular.z = float(state.velocity[2])
    return odometry


def imu_msg(msg: Any, now_ns: int) -> Imu:
    """Return a `unitree_go/IMUState` as REP-145 wants it; covariances are not known (zero)."""
    return Imu(
        header=header(now_ns, IMU_FRAME),
        orientation=_orientation(msg),
        angular_velocity=_vector(msg.gyroscope),
        linear_acceleration=_vector(msg.accelerometer),
    )


def legs_msg(msg: Any, now_ns: int) -> JointState:
    """Return the twelve leg joints of a `unitree_go/LowState` in ROS order."""
    motors = msg.motor_state[: len(legs.MOTORS)]
    q, dq, tau = (
        legs.in_ros_order(np.array([getattr(motor, field) for motor in motors], np.float64))
        for field in ("q", "dq", "tau_est")
    )
    return joint_state_msg(now_ns, legs.JOINTS, q, dq, tau)


def _orientation(imu: Any) -> Quaternion:
    # Unitree puts w first, ROS last.
    w, x, y, z = (float(value) for value in imu.quaternion)
    return Quaternion(x=x, y=y, z=z, w=w)


def _vector(values: Any) -> Vector3:
    x, y, z = (float(value) for value in values)
    return Vector3(x=x, y=y, z=z)
