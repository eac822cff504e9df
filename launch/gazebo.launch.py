"""A robot in Gazebo Fortress: ros2 launch vla_bringup gazebo.launch.py robot:=so101 world:=w.sdf.

NOT RUN AGAINST THE SIMULATOR: made from the documentation of Gazebo and ros_gz. What the world
must offer is in the README of vla_bringup. ``./vla up backend:=gazebo`` starts the same nodes for
a Gazebo that runs already.
"""

from typing import Any

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, LogInfo
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from vla_bringup.executables import share
from vla_bringup.launching import described
from vla_bringup.simulators import NOT_RUN

WORLD = ("", f"SDF file with the robot in it; empty: Gazebo runs already ({NOT_RUN})", None)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    return described("gazebo", {"world": WORLD}, _gazebo)


def _gazebo(given: dict[str, str]) -> list[Any]:
    note = LogInfo(msg=f"gazebo.launch.py: {NOT_RUN}")
    if not given["world"]:
        return [note]
    share("ros_gz_sim")  # refuses with what to install
    file = PathJoinSubstitution([FindPackageShare("ros_gz_sim"), "launch", "gz_sim.launch.py"])
    return [
        note,
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(file),
            launch_arguments={"gz_args": f"-r {given['world']}"}.items(),
        ),
    ]
