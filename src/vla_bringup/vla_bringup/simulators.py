"""Gazebo Fortress and Isaac Sim behind a contract: the nodes of a backend, made from it. Pure.

**Not run against either simulator**: the names are those of their documentation. What the
simulated world must offer, and under which names, is in this package's README; another name is
given in the robot's ``backends.yaml`` under ``topics``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vla_core.contract import Contract, ImageStream
from vla_core.errors import ConfigurationError

Backend = dict[str, Any]  # as an entry of backends.yaml
Topics = Mapping[str, Any]  # `joint_states`, `odometry`, and by name in `outputs`, `images`

NOT_RUN = "not run against the simulator"
COMPRESSED = "/compressed"
RATE_HZ = 50.0  # of played commands; a simulated clock often ticks 60 times a second

# What a contract's output may be relayed as: parameter of the bridge and Gazebo's controller.
_CONTROLLERS = {
    "trajectory_msgs/msg/JointTrajectory": ("trajectory_relays", "{}_controller/joint_trajectory"),
    "std_msgs/msg/Float64MultiArray": ("position_relays", "{}_controller/commands"),
    "sensor_msgs/msg/JointState": ("state_relays", "{}_controller/joint_states"),
    "geometry_msgs/msg/Twist": ("twist_relays", "cmd_vel"),
}
# Isaac Sim's articulation controller takes all joints by one name.
_ISAAC = {
    "trajectory_msgs/msg/JointTrajectory": ("state_relays", "/joint_command"),
    "sensor_msgs/msg/JointState": ("state_relays", "/joint_command"),
    "geometry_msgs/msg/Twist": ("twist_relays", "/cmd_vel"),
}

# ROS type -> Fortress's; from Garden on they are called gz.msgs.
_GZ_TYPES = {
    "rosgraph_msgs/msg/Clock": "ignition.msgs.Clock",
    "sensor_msgs/msg/Image": "ignition.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "ignition.msgs.CameraInfo",
    "geometry_msgs/msg/Twist": "ignition.msgs.Twist",
    "nav_msgs/msg/Odometry": "ignition.msgs.Odometry",
}


@dataclass(frozen=True)
class GzEntry:
    """One topic that ros_gz_bridge carries; names are absolute."""

    gz_topic: str
    ros_topic: str
    ros_type: str
    to_gz: bool = False

    @property
    def argument(self) -> str:
        """As `parameter_bridge` takes it: `[` from Gazebo to ROS, `]` the other way."""
        arrow = "]" if self.to_gz else "["
        return f"{self.gz_topic}@{self.ros_type}{arrow}{_GZ_TYPES[self.ros_type]}"


def backend(simulator: str, contract: Contract, topics: Topics) -> Backend:
    """Return what runs behind a simulated robot, as an entry of ``backends.yaml``.

    Args:
        topics: names that differ from the defaults: `joint_states`, `odometry`, and by name in
            `outputs` and `images`.

    Raises:
        ConfigurationError: an unknown simulator or name, or an output that cannot be relayed.
    """
    makers = {"gazebo": gazebo, "isaac": isaac}
    if simulator not in makers:
        raise ConfigurationError(
            f"unknown simulator '{simulator}' for robot '{contract.robot}'; "
            f"known: {sorted(makers)}"
        )
    _check_names(contract, topics)
    return makers[simulator](contract, topics)


def _check_names(contract: Contract, topics: Topics) -> None:
    known: dict[str, list[str]] = {
        "joint_states": [],
        "odometry": [],
        "outputs": [*contract.outputs],
        "images": [*contract.observation.images],
    }
    mistakes = [
        f"'topics.{key}': expected one of {sorted(known)}" for key in set(topics) - set(known)
    ]
    mistakes += [
        f"'topics.{part}.{name}': expected one of {known[part]}"
        for part in ("outputs", "images")
        for name in topics.get(part, {})
        if name not in known[part]
    ]
    if mistakes:
        raise ConfigurationError(
            f"robot '{contract.robot}', backends.yaml: " + "; ".join(sorted(mistakes))
        )


def _named(topics: Topics, part: str, name: str, default: str) -> str:
    return str(topics.get(part, {}).get(name, default))


def gazebo(contract: Contract, topics: Topics) -> Backend:
    """Return the bridges to Gazebo: ros_gz for clock, pictures and base, ours for the rest."""
    entries = gz_entries(contract, topics)
    carrier = {
        "package": "ros_gz_bridge",
        "executable": "parameter_bridge",
        "name": "gazebo_bridge",
        "contract": False,
        "arguments": [entry.argument for entry in entries],
        "remappings": {e.gz_topic: e.ros_topic for e in entries if e.gz_topic != e.ros_topic},
    }
    compressed = [
        _image_bridge(contract, name, stream, topics)
        for name, stream in contract.observation.images.items()
        if stream.transport == "compressed"
    ]
    states = {"joint_states": "joint_states", "odometry": "odometry"}
    bridge = _bridge(contract, topics, _CONTROLLERS, states)
    return {"use_sim_time": True, "nodes": [carrier, *compressed, bridge]}


def gz_entries(contract: Contract, topics: Topics) -> list[GzEntry]:
    """Return what ros_gz_bridge carries: clock, raw pictures, a base without a controller."""
    entries = [GzEntry("/clock", "/clock", "rosgraph_msgs/msg/Clock")]
    for name, stream in contract.observation.images.items():
        seen, told = _gz_image(contract, name, topics), _base_topic(contract, stream)
        if stream.transport == "raw":
            entries.append(GzEntry(seen, told, "sensor_msgs/msg/Image"))
        # Fortress puts a camera's information beside its pictures.
        info = f"{seen.rpartition('/')[0]}/camera_info"
        entries.append(GzEntry(info, f"{told}/camera_info", "sensor_msgs/msg/CameraInfo"))
    bases = [
        name
        for name, output in contract.outputs.items()
        if output.type == "geometry_msgs/msg/Twist" and name not in topics.get("outputs", {})
    ]
    for _ in bases[:1]:
        topic = f"/{contract.robot}/cmd_vel"
        entries.append(GzEntry(topic, topic, "geometry_msgs/msg/Twist", to_gz=True))
    if bases and "odometry" not in topics:
        topic = f"/{contract.robot}/odometry"
        entries.append(GzEntry(topic, topic, "nav_msgs/msg/Odometry"))
    return entries


def isaac(contract: Contract, topics: Topics) -> Backend:
    """Return the bridge to Isaac Sim, whose own ROS bridge speaks ROS topics already."""
    states = {"joint_states": "/joint_states", "odometry": "/odom"}
    bridge = _bridge(contract, topics, _ISAAC, states)
    bridge["parameters"]["image_relays"] = [
        f"{name}={_named(topics, 'images', name, f'/{name}/rgb')}"
        for name in contract.observation.images
    ]
    return {"use_sim_time": True, "nodes": [bridge]}


def _bridge(
    contract: Contract,
    topics: Topics,
    receivers: Mapping[str, tuple[str, str]],
    states: Mapping[str, str],
) -> Backend:
    relays: dict[str, list[str]] = {}
    for name, output in contract.outputs.items():
        if output.type not in receivers:
            raise ConfigurationError(
                f"robot '{contract.robot}', output '{name}': this simulator takes no "
                f"{output.type}, only {sorted(receivers)}"
            )
        parameter, pattern = receivers[output.type]
        topic = _named(topics, "outputs", name, pattern.format(name))
        relays.setdefault(parameter, []).append(f"{name}={topic}")
    named = {key: topics.get(key, default) for key, default in states.items()}
    return {
        "package": "vla_bridge",
        "executable": "simulator_node",
        "name": "bridge",
        "lifecycle": True,
        "parameters": {"rate_hz": RATE_HZ, **named, **relays},
    }


def _image_bridge(contract: Contract, name: str, stream: ImageStream, topics: Topics) -> Backend:
    seen, told = _gz_image(contract, name, topics), _base_topic(contract, stream)
    return {
        "package": "ros_gz_image",
        "executable": "image_bridge",
        "name": f"{name}_image_bridge",
        "contract": False,
        "arguments": [seen],
        "remappings": {seen: told, f"{seen}{COMPRESSED}": f"{told}{COMPRESSED}"},
    }


def _gz_image(contract: Contract, name: str, topics: Topics) -> str:
    return _named(topics, "images", name, f"/{contract.robot}/{name}/image")


def _base_topic(contract: Contract, stream: ImageStream) -> str:
    """Return the absolute topic of raw pictures."""
    topic = stream.topic.removesuffix(COMPRESSED)
    return topic if topic.startswith("/") else f"/{contract.robot}/{topic}"
