"""A graph as a description for ``ros2 launch``: what the files in ``launch/`` have in common.

The only module here that needs the package `launch`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from vla_bringup.executables import find
from vla_bringup.graph import Options, Process, describe, policies, robots
from vla_bringup.realsense import split

ROOT = paths.root()
# `launch` passes Ctrl-C on, but neither SIGTERM nor its own death: the kernel tells the nodes.
WITH_PARENT = "setpriv --pdeathsig TERM" if shutil.which("setpriv") else ""
TRUTH = ["true", "false"]
Argument = tuple[str, str, list[str] | None]  # default, meaning, choices
Actions = Callable[[dict[str, str]], list[Any]]

ARGUMENTS: dict[str, Argument] = {
    "robot": ("so101", "folder in config/robots", robots(ROOT)),
    "backend": ("sim", "what is behind the topics: see the robot's backends.yaml", None),
    "policy": ("", "file in config/policies; empty: the backend's usual", ["", *policies(ROOT)]),
    "uri": ("", "where the policy is; empty: as its file says", None),
    "record": ("", "folder for a bag; empty: no recording", None),
    "latency": ("", "added to each answer of the policy [s]; empty: the policy's file", None),
    "sync": ("false", "stop for each inference, to compare with", TRUTH),
    "viewer": ("false", "show the simulation in a window", TRUTH),
    "seed": ("0", "of the first simulated scene", None),
    "realsense": ("", "image streams of RealSense cameras: front or front=SERIAL,...", None),
}


def described(
    backend: str = "", more: dict[str, Argument] | None = None, first: Actions = lambda _: []
) -> LaunchDescription:
    """Return the arguments, and the nodes, which follow when the arguments' values are known.

    Args:
        backend: of a file for one backend alone; its graph simulates by itself.
        more: arguments of the file's own.
        first: what is started before the nodes, from the arguments' values.
    """
    fixed = ("backend", "viewer", "seed") if backend else ()
    arguments = {k: v for k, v in ARGUMENTS.items() if k not in fixed} | (more or {})

    def nodes(context: LaunchContext) -> list[Any]:
        given = {name: LaunchConfiguration(name).perform(context) for name in arguments}
        return [*first(given), *_nodes({"backend": backend, **given})]

    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, (default, text, choices) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def _nodes(given: dict[str, str]) -> list[Any]:
    graph = describe(given["robot"], given["backend"], given["policy"], ROOT, _options(given))
    # All of them first: what is not installed is a refusal before anything starts.
    for process in graph.processes:
        find(process.package, process.executable)
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
        viewer=given.get("viewer") == "true",
        seed=int(given.get("seed", "0")),
        realsense=split(given["realsense"]),
    )


def _node(process: Process) -> Node:
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[dict(process.parameters)] if process.parameters else None,
        remappings=list(process.remappings.items()),
        arguments=list(process.arguments),
        # `nice` says so and goes on where a higher priority is not permitted.
        prefix=[
            f"{WITH_PARENT} nice -n {process.nice} ".lstrip(),
            LaunchConfiguration("launch-prefix", default=""),
        ],
        exec_name=process.name,
        respawn=process.respawn,
        respawn_delay=process.respawn_delay_s,
        output="screen",
    )
