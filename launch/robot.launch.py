"""Starts the nodes of a robot: ros2 launch vla_bringup robot.launch.py robot:=so101 backend:=sim.

What runs is described in `vla_bringup.graph`; ``./vla up`` starts the same without it.
"""

from launch import LaunchDescription

from vla_bringup.launching import described


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    return described()
