"""Starts the nodes of a robot: ros2 launch vla_bringup robot.launch.py robot:=so101 backend:=sim.

What runs is described in `vla_bringup.graph`; ``./vla up`` starts the same without it.
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from vla_bringup import paths
from vla_bringup.dds import settings
from vla_bringup.graph import Options, Process, describe, policies, robots

ROOT = paths.root()
TRUTH = ["true", "false"]
# name: (default, meaning, choices)
ARGUMENTS = {
    "robot": ("so101", "folder in config/robots", robots(ROOT)),
    "backend": ("sim", "what is behind the topics: see the robot's backends.yaml", None),
    "policy": ("demo", "file in config/policies", policies(ROOT)),
    "uri": ("", "where the policy is; empty: as its file says", None),
    "record": ("", "folder for a bag; empty: no recording", None),
    "latency": ("", "added to each answer of the policy [s]; empty: the policy's file", None),
    "sync": ("false", "stop for each inference, to compare with", TRUTH),
    "viewer": ("false", "show the simulation in a window", TRUTH),
    "seed": ("0", "of the first simulated scene", None),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, (default, text, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    graph = describe(given["robot"], given["backend"], given["policy"], ROOT, _options(given))
    names = ", ".join(process.name for process in graph.processes)
    say = LogInfo(msg=f"{graph.robot} ({graph.backend}) with policy '{graph.policy}': {names}")
    middleware = [SetEnvironmentVariable(*pair) for pair in settings(os.environ, ROOT).items()]
    return [say, *middleware, *(_node(process) for process in graph.processes)]


def _options(given: dict[str, str]) -> Options:
    return Options(
        record=Path(given["record"]) if given["record"] else None,
        uri=given["uri"],
        latency_injected_s=float(given["latency"]) if given["latency"] else None,
        synchronous=given["sync"] == "true",
        viewer=given["viewer"] == "true",
        seed=int(given["seed"]),
    )


def _node(process: Process) -> Node:
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[dict(process.parameters)],
        remappings=list(process.remappings.items()),
        # `nice` says so and goes on where a higher priority is not permitted.
        prefix=f"nice -n {process.nice}" if process.nice else None,
        exec_name=process.name,
        respawn=process.respawn,
        respawn_delay=process.respawn_delay_s,
        output="screen",
    )
