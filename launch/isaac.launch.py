"""A robot in Isaac Sim: ros2 launch vla_bringup isaac.launch.py robot:=so101.

NOT RUN AGAINST THE SIMULATOR: made from the documentation of Isaac Sim's ROS 2 bridge. Isaac Sim
runs by itself, with the bridge enabled and Play on; what its stage must publish is in the README
of vla_bringup. ``./vla up backend:=isaac`` starts the same nodes.
"""

from launch import LaunchDescription
from launch.actions import LogInfo

from vla_bringup.launching import described
from vla_bringup.simulators import NOT_RUN


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    return described("isaac", first=lambda _: [LogInfo(msg=f"isaac.launch.py: {NOT_RUN}")])
