"""The launch files for simulators by ``ros2 launch``, as far as that goes without a simulator."""

from __future__ import annotations

import os
import subprocess

import pytest

from vla_bringup.executables import share
from vla_core.errors import ConfigurationError

pytestmark = pytest.mark.ros_launch


def launched(*words: str) -> str:
    """Return what a launch that ends by itself says."""
    domain = str((os.getpid() + 97) % 100 + 1)
    answer = subprocess.run(
        ["ros2", "launch", "vla_bringup", *words],
        env={**os.environ, "ROS_DOMAIN_ID": domain},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return answer.stdout + answer.stderr


def without(package: str) -> None:
    """Skip where a package is there: then its simulator would really start."""
    try:
        found = share(package)
    except ConfigurationError:
        return
    pytest.skip(f"{package} is installed in {found}")


@pytest.mark.parametrize("file", ["gazebo", "isaac"])
def test_the_arguments_are_those_of_a_robot_without_the_backend(file: str) -> None:
    said = launched(f"{file}.launch.py", "--show-args")
    for argument in ("'robot'", "'policy'", "'realsense'", "'record'"):
        assert argument in said
    assert "'backend'" not in said
    assert ("not run against the simulator" in said) == (file == "gazebo")


@pytest.mark.parametrize("robot", ["so101", "hsr", "go2_arm"])
def test_gazebo_is_refused_where_its_bridge_is_absent(robot: str) -> None:
    without("ros_gz_bridge")
    said = launched("gazebo.launch.py", f"robot:={robot}")
    assert "not run against the simulator" not in said  # refused before anything is said or done
    assert "package 'ros_gz_bridge' is not installed" in said and "-ros-gz-bridge" in said


def test_a_world_is_refused_where_gazebo_is_absent() -> None:
    without("ros_gz_sim")
    assert "package 'ros_gz_sim' is not installed" in launched("gazebo.launch.py", "world:=w.sdf")


def test_a_realsense_is_refused_where_its_driver_is_absent() -> None:
    without("realsense2_camera")
    said = launched("robot.launch.py", "backend:=real", "realsense:=front")
    assert "package 'realsense2_camera' is not installed" in said
