"""Bridge to any robot with the standard controllers of ros2_control.

Relays the selected source's commands to a joint trajectory controller, a forward command
controller, a receiver of joint states or a base that takes a Twist. The robot publishes its own
joint states.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_bridge.channels import Channel
from vla_bridge.relays import repeated_joint_state, repeated_twist, starting_now
from vla_core.errors import ConfigurationError
from vla_ros import qos
from vla_ros.joints import floats_msg
from vla_ros.parameters import param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns


@dataclass(frozen=True)
class RelayParams(BridgeParams):
    """Which controller takes which output of the contract; each entry is `output=topic`."""

    trajectory_relays: tuple[str, ...] = param((), "Outputs to joint trajectory controllers")
    position_relays: tuple[str, ...] = param((), "Outputs played to forward command controllers")
    state_relays: tuple[str, ...] = param((), "Outputs played as joint states, at rate_hz")
    twist_relays: tuple[str, ...] = param((), "Outputs to bases, repeated at rate_hz")
    joint_names: tuple[str, ...] = param((), "column=joint, where the robot names it otherwise")


class RelayNode(BridgeNode):
    """Relays; every receiver gets what it needs to stop by itself, or is told to by this node."""

    params_class = RelayParams
    params: RelayParams

    def __init__(self, **options: Any) -> None:
        super().__init__("bridge", **options)
        self._writers: list[Callable[[Floats, Floats], None]] = []
        self._forward: dict[str, Publisher] = {}
        self._named = self._checked_names()
        channels = {channel.name: channel for channel in self.channels}
        self._check_relays(channels)
        for name, topic in pairs(self.params.trajectory_relays):
            publisher = self.create_lifecycle_publisher(JointTrajectory, topic, qos.COMMAND)
            self._forward[name] = publisher
        for name, topic in pairs(self.params.position_relays):
            publisher = self.create_lifecycle_publisher(Float64MultiArray, topic, qos.COMMAND)
            self._writers.append(_positions(channels[name], publisher))
        for name, topic in pairs(self.params.state_relays):
            publisher = self.create_lifecycle_publisher(JointState, topic, qos.COMMAND)
            self._writers.append(
                repeated_joint_state(channels[name], publisher, partial(now_ns, self), self._named)
            )
        for name, topic in pairs(self.params.twist_relays):
            publisher = self.create_lifecycle_publisher(Twist, topic, qos.COMMAND)
            self._writers.append(repeated_twist(channels[name], publisher))

    def accepted(self, channel: Channel, msg: Any, now: int) -> None:
        """Pass a trajectory on at once: its receiver plays it, tail included, by itself."""
        if channel.name in self._forward:
            relayed = starting_now(msg, channel.output.columns, now)
            if relayed is not None:
                relayed.joint_names = [self._named.get(n, n) for n in relayed.joint_names]
                self._forward[channel.name].publish(relayed)

    def write(self, positions: Floats, velocities: Floats) -> None:
        for writer in self._writers:
            writer(positions, velocities)

    def _check_relays(self, channels: dict[str, Channel]) -> None:
        wanted = {
            "trajectory_relays": (self.params.trajectory_relays, (JointTrajectory,)),
            "position_relays": (
                self.params.position_relays,
                (JointTrajectory, Float64MultiArray),
            ),
            "state_relays": (self.params.state_relays, (JointTrajectory, JointState)),
            "twist_relays": (self.params.twist_relays, (Twist,)),
        }
        mistakes: list[str] = []
        relayed: list[str] = []
        for parameter, (entries, types) in wanted.items():
            for name, _ in pairs(entries):
                relayed.append(name)
                if name not in channels:
                    mistakes.append(
                        f"parameter '{parameter}': unknown output '{name}'; "
                        f"the contract has {sorted(channels)}"
                    )
                elif channels[name].message_type not in types:
                    mistakes.append(
                        f"parameter '{parameter}': output '{name}' is a "
                        f"{channels[name].output.type}, which cannot be relayed so"
                    )
        missing = sorted(set(channels) - set(relayed))
        if missing:
            mistakes.append(f"outputs {missing} are relayed nowhere")
        if mistakes:
            raise ConfigurationError("\n".join(mistakes))

    def _checked_names(self) -> dict[str, str]:
        named = dict(pairs(self.params.joint_names, "column=joint"))
        unknown = sorted(set(named) - set(self.contract.columns))
        if unknown:
            raise ConfigurationError(
                f"parameter 'joint_names': expected columns of {list(self.contract.columns)}, "
                f"got {unknown}"
            )
        return named


def pairs(entries: tuple[str, ...], form: str = "output=topic") -> list[tuple[str, str]]:
    """Return (left, right) of each `left=right`.

    Raises:
        ConfigurationError: an entry has another form.
    """
    split = [tuple(entry.split("=", 1)) for entry in entries]
    for entry, parts in zip(entries, split, strict=True):
        if len(parts) != 2 or not all(parts):
            raise ConfigurationError(f"'{entry}': expected {form}")
    return [(parts[0], parts[1]) for parts in split]


def _positions(channel: Channel, publisher: Publisher) -> Callable[[Floats, Floats], None]:
    is_position = np.array([column.is_position for column in channel.columns])

    def write(positions: Floats, velocities: Floats) -> None:
        q, v = positions[channel.index], velocities[channel.index]
        values = np.where(is_position, q, v)
        if np.isfinite(values).all():
            publisher.publish(floats_msg(values))

    return write


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(RelayNode))
