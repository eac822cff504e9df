"""Layouts of RViz and Foxglove for a robot, made from its contract. Pure, but for writing them.

``python -m vla_bringup.layouts`` writes ``config/rviz`` and ``config/foxglove`` anew, after a
change of a contract. Only what the graph publishes is shown: it has no `/tf`, robot model,
markers or path, so RViz shows pictures and, where there is one, odometry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vla_bringup import paths
from vla_bringup.graph import contract_files, robots
from vla_core.contract import Contract, Output, load_contract

Json = dict[str, Any]

# Of the executor's state; what each means is in ExecutorState.msg.
TIMES = ("plan_left", "horizon_left", "request_threshold", "observation_age", "latency_p95")
QUALITY = ("seam_gap", "overlap_rms", "jerk_rms")
COUNTERS = ("starved_ticks", "rows_dropped_late", "limit_interventions", "chunks_rejected")

# What a bridge tells beyond its contract (the real robot and its emulator, not the scene).
ODOMETRY = {"go2_arm": ("odom", "odom")}  # robot: (topic, frame)


@dataclass(frozen=True)
class Layout:
    """One file for each program; backends with other topics have one of their own."""

    name: str
    contract: Contract

    def topic(self, name: str) -> str:
        """Return an absolute name."""
        return name if name.startswith("/") else f"/{self.contract.robot}/{name}"


def layouts(root: Path) -> list[Layout]:
    """Return all layouts of the configuration: `<robot>`, and `<robot>_real` where it differs."""
    found = []
    for robot in robots(root):
        base = load_contract([root / "config" / "robots" / robot / "contract.yaml"])
        found.append(Layout(robot, base))
        real = load_contract(contract_files(root, robot, "real"))
        if real != base:
            found.append(Layout(f"{robot}_real", real))
    return found


# RViz.


def rviz(layout: Layout) -> Json:
    """Return the content of a ``.rviz`` file."""
    robot = layout.contract.robot
    topic, frame = ODOMETRY.get(robot, ("", "base_link"))
    displays = [_rviz_image(layout, name) for name in layout.contract.observation.images]
    if topic:
        displays.append(
            {
                "Class": "rviz_default_plugins/Odometry",
                "Name": "odometry",
                "Enabled": True,
                "Value": True,
                "Keep": 100,
                "Topic": _rviz_topic(layout.topic(topic)),
            }
        )
    grid = {"Class": "rviz_default_plugins/Grid", "Name": "Grid", "Enabled": True, "Value": True}
    return {
        "Panels": [{"Class": "rviz_common/Displays", "Name": "Displays"}],
        "Visualization Manager": {
            "Class": "",
            "Name": "root",
            "Enabled": True,
            "Value": True,
            "Global Options": {"Fixed Frame": frame, "Frame Rate": 30},
            "Displays": [grid, *displays],
            "Tools": [{"Class": "rviz_default_plugins/MoveCamera"}],
            "Views": {
                "Current": {
                    "Class": "rviz_default_plugins/Orbit",
                    "Name": "Current View",
                    "Distance": 3,
                    "Pitch": 0.5,
                    "Yaw": 0.8,
                }
            },
        },
    }


def _rviz_image(layout: Layout, name: str) -> Json:
    # Compressed pictures are shown by image_transport, from the same topic.
    return {
        "Class": "rviz_default_plugins/Image",
        "Name": name,
        "Enabled": True,
        "Value": True,
        "Topic": _rviz_topic(layout.topic(layout.contract.observation.images[name].topic)),
    }


def _rviz_topic(name: str) -> Json:
    # Best effort hears reliable publishers as well.
    return {
        "Value": name,
        "Depth": 5,
        "Durability Policy": "Volatile",
        "History Policy": "Keep Last",
        "Reliability Policy": "Best Effort",
    }


# Foxglove.


def foxglove(layout: Layout) -> Json:
    """Return a layout for Foxglove: pictures, what the executor does, stop and reset."""
    state = layout.topic("executor/state")
    images = {
        f"Image!{name}": {"imageMode": {"imageTopic": layout.topic(stream.topic)}}
        for name, stream in layout.contract.observation.images.items()
    }
    plots = {
        "Plot!times": _plot("plan and latency [s]", [f"{state}.{f}" for f in TIMES]),
        "Plot!quality": _plot("joins and jerk", [f"{state}.{f}" for f in QUALITY]),
        "Plot!counters": _plot("counters of this task", [f"{state}.{f}" for f in COUNTERS]),
        "Plot!motion": _plot("measured and commanded", _motion(layout)),
    }
    texts = {
        "StateTransitions!mode": {"isSynced": True, "paths": [_path(f"{state}.mode")]},
        "RawMessages!reason": {"topicPath": f"{state}.reason"},
        "RawMessages!route": {"topicPath": layout.topic("route")},
        "DiagnosticSummary!all": {"topicToRender": "/diagnostics", "minLevel": 0},
    }
    buttons = {
        "CallService!stop": _button(layout, "stop", "#c0392b"),
        "CallService!reset": _button(layout, "reset", "#2980b9"),
    }
    return {
        "configById": {**images, **plots, **texts, **buttons},
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": _split(
            "row",
            [
                _split("column", [*images, *buttons]),
                _split("column", list(plots)),
                _split("column", list(texts)),
            ],
        ),
    }


def _motion(layout: Layout) -> list[str]:
    measured = {stream for stream, _ in layout.contract.measurements.values()}
    topics = [layout.contract.observation.state[stream].topic for stream in sorted(measured)]
    commands = [
        f"{layout.topic(output.topic)}.{part}"
        for output in layout.contract.outputs.values()
        for part in _numbers(output)
    ]
    return [*(f"{layout.topic(topic)}.position[:]" for topic in topics), *commands]


def _numbers(output: Output) -> Sequence[str]:
    """Return where a command's numbers are in its message."""
    return {
        "trajectory_msgs/msg/JointTrajectory": ("points[0].positions[:]",),
        "sensor_msgs/msg/JointState": ("position[:]",),
        "std_msgs/msg/Float64MultiArray": ("data[:]",),
        "geometry_msgs/msg/Twist": output.fields,
    }[output.type]


def _plot(title: str, values: Sequence[str]) -> Json:
    return {
        "foxglovePanelTitle": title,
        "paths": [_path(value) for value in values],
        "isSynced": True,
        "showLegend": True,
        "xAxisVal": "timestamp",
        "followingViewWidth": 20,
    }


def _path(value: str) -> Json:
    return {"value": value, "enabled": True, "timestampMethod": "receiveTime"}


def _button(layout: Layout, service: str, colour: str) -> Json:
    return {
        "serviceName": layout.topic(service),
        "requestPayload": "{}",
        "buttonText": f"{service} {layout.contract.robot}",
        "buttonColor": colour,
        "layout": "vertical",
    }


def _split(direction: str, parts: Sequence[Any]) -> Any:
    """Return panels beside (row) or under (column) each other, each with the same share."""
    if len(parts) == 1:
        return parts[0]
    return {
        "direction": direction,
        "first": parts[0],
        "second": _split(direction, parts[1:]),
        "splitPercentage": round(100 / len(parts), 1),
    }


# Files.


def files(root: Path) -> Mapping[Path, str]:
    """Return what the files of all layouts contain."""
    found = {}
    for layout in layouts(root):
        text = yaml.safe_dump(rviz(layout), sort_keys=False)
        found[root / "config" / "rviz" / f"{layout.name}.rviz"] = text
        text = json.dumps(foxglove(layout), indent=2) + "\n"
        found[root / "config" / "foxglove" / f"{layout.name}.json"] = text
    return found


def main() -> None:
    """Write all layouts."""
    for path, text in files(paths.root()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
