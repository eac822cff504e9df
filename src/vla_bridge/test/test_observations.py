"""Standard messages as the contract's state streams: by name, nothing filled in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from nav_msgs.msg import Odometry

from vla_bridge.observations import base_msg, joints_msg, sources
from vla_core.contract import Contract, load_contract, parse_contract
from vla_core.errors import ConfigurationError, ObservationError
from vla_ros.joints import joint_state_msg

ROOT = Path(__file__).parents[3]


def shipped(robot: str) -> Contract:
    return load_contract([ROOT / f"config/robots/{robot}/contract.yaml"])


def odometry(yaw: float = 0.0) -> Odometry:
    msg = Odometry()
    msg.header.stamp.sec = 7
    msg.pose.pose.position.x, msg.pose.pose.position.y = 1.0, -2.0
    msg.pose.pose.orientation.z = math.sin(yaw / 2)
    msg.pose.pose.orientation.w = math.cos(yaw / 2)
    msg.twist.twist.linear.x, msg.twist.twist.angular.z = 0.3, 0.5
    return msg


@pytest.mark.parametrize(
    ("robot", "joints", "base"),
    [
        ("so101", {"observation/joints"}, set()),
        ("hsr", {"observation/joints"}, set()),
        ("go2_arm", {"observation/joints"}, {"observation/base", "observation/attitude"}),
    ],
)
def test_every_state_topic_of_a_shipped_robot_is_filled(
    robot: str, joints: set[str], base: set[str]
) -> None:
    found = sources(shipped(robot))
    assert (set(found.joints), set(found.base)) == (joints, base)


def test_two_streams_of_one_topic_become_one_message() -> None:
    assert sources(shipped("go2_arm")).base["observation/base"] == ("base_x", "base_y", "base_yaw")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"type": "std_msgs/msg/Float64MultiArray", "field": "data"}, "expected sensor_msgs"),
        ({"entries": ["base_x", "lamp"]}, r"\['base_x'\] come from odometry"),
        ({"topic": "observation/joints", "entries": ["base_x"]}, "both would fill it"),
    ],
)
def test_a_stream_that_no_message_fills_is_refused(changes: dict[str, object], text: str) -> None:
    raw = yaml.safe_load((ROOT / "config/robots/so101/contract.yaml").read_text())
    raw["observation"]["state"]["more"] = {
        "topic": "observation/more",
        "type": "sensor_msgs/msg/JointState",
        "entries": ["lamp"],
        **changes,
    }
    with pytest.raises(ConfigurationError, match=text):
        sources(parse_contract(raw))


def test_joints_are_taken_by_name_in_the_contracts_order() -> None:
    msg = joint_state_msg(5, ["2", "wheel", "1"], np.array([0.2, 9.0, 0.1]), np.array([2.0, 9, 1]))
    told = joints_msg(msg, ("pan", "lift"), {"pan": "1", "lift": "2"})
    assert list(told.name) == ["pan", "lift"]
    assert list(told.position) == [0.1, 0.2] and list(told.velocity) == [1.0, 2.0]
    assert told.header.stamp.nanosec == 5


def test_velocities_that_are_not_told_stay_untold() -> None:
    told = joints_msg(joint_state_msg(5, ["pan"], np.zeros(1)), ("pan",), {})
    assert len(told.velocity) == 0


def test_a_missing_joint_is_refused_not_filled() -> None:
    with pytest.raises(ObservationError, match=r"expected \['pan', 'lift'\].*got \['pan'\]"):
        joints_msg(joint_state_msg(5, ["pan"], np.zeros(1)), ("pan", "lift"), {})


def test_a_base_is_told_in_metres_and_angles() -> None:
    told = base_msg(odometry(yaw=2.5), ("base_x", "base_y", "base_yaw"))
    assert list(told.position) == pytest.approx([1.0, -2.0, 2.5])
    assert list(told.velocity) == pytest.approx([0.3, 0.0, 0.5])
    assert told.header.stamp.sec == 7


def test_roll_and_pitch_are_those_of_the_trunk() -> None:
    msg = odometry()
    msg.pose.pose.orientation.y = math.sin(0.1)
    msg.pose.pose.orientation.w = math.cos(0.1)
    told = base_msg(msg, ("base_roll", "base_pitch"))
    assert list(told.position) == pytest.approx([0.0, 0.2])


def test_an_orientation_that_is_none_is_refused() -> None:
    msg = odometry()
    msg.pose.pose.orientation.w = 0.0
    with pytest.raises(ObservationError, match="unit quaternion, got length 0"):
        base_msg(msg, ("base_yaw",))


def test_odometry_with_nan_is_refused() -> None:
    msg = odometry()
    msg.twist.twist.linear.x = math.nan
    with pytest.raises(ObservationError, match="NaN"):
        base_msg(msg, ("base_x",))
