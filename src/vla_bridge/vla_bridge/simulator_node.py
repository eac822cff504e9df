"""Bridge to a robot in Gazebo or Isaac Sim: its standard topics as the contract's, both ways.

Commands are relayed as by `bridge_node`; joint states, odometry and pictures are told under the
contract's names, sizes and transports. **Not run against either simulator**: the tests speak the
topics that their documentation names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, Image, JointState

from vla_bridge.bridge import Floats
from vla_bridge.bridge_node import RelayNode, RelayParams, pairs
from vla_bridge.measured import Measured
from vla_bridge.observations import base_msg, joints_msg, sources
from vla_core.errors import ConfigurationError, ObservationError
from vla_ros import qos
from vla_ros.diagnostics import Meter
from vla_ros.images import compressed_msg, fit, image_from_msg, image_msg
from vla_ros.joints import entries_from_msg
from vla_ros.parameters import param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns, time_ns


@dataclass(frozen=True)
class SimulatorParams(RelayParams):
    """Parameters of the bridge to a simulator, beside those of the relays."""

    joint_states: str = param("joint_states", "Topic of the simulator's joint states")
    odometry: str = param("odom", "Topic of the base's odometry, if the contract has a base")
    base_entries: str = param("base", "Entries <this>_x ... <this>_yaw come from the odometry")
    image_relays: tuple[str, ...] = param((), "stream=topic: raw pictures, made to the contract's")


class SimulatorNode(RelayNode):
    """Relays commands to a simulator and its measurements to the stack."""

    params_class = SimulatorParams
    params: SimulatorParams

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._measured_state = Measured(self.params.joint_states)
        self._filled = sources(self.contract, self.params.base_entries)
        self._outs = {
            topic: self.create_publisher(JointState, topic, qos.SENSOR)
            for topic in (*self._filled.joints, *self._filled.base)
        }
        self._listen_to(JointState, self.params.joint_states, "joints", self._on_joints)
        if self._filled.base:
            self._listen_to(Odometry, self.params.odometry, "odometry", self._on_odometry)
        for stream, topic in self._checked_images():
            self._relay_images(stream, topic)

    def read(self) -> Floats:
        """Return the measured positions.

        Raises:
            ObservationError: the simulation does not tell them, so no command is taken either.
        """
        return self._measured_state.read()

    # Inputs.

    def _listen_to(self, kind: type, topic: str, name: str, tell: Callable[[Any], None]) -> None:
        """Call ``tell`` with each message; one that it refuses is told and left out."""
        meter = Meter()
        self._diagnostics.add(f"input {name}", meter.report)

        def on_message(msg: Any) -> None:
            meter.seen(now_ns(self) - time_ns(msg.header.stamp))
            try:
                tell(msg)
            except ObservationError as error:
                self.get_logger().warning(f"'{topic}': {error}", throttle_duration_sec=5.0)

        # Joints do not wait behind pictures.
        group = self._quick if kind is JointState else None
        self.create_subscription(kind, topic, on_message, qos.SENSOR, callback_group=group)

    def _on_joints(self, msg: JointState) -> None:
        try:
            self._measure(msg)
            for topic, entries in self._filled.joints.items():
                self._outs[topic].publish(joints_msg(msg, entries, self._named))
        except ObservationError as error:
            self._measured_state.lose(str(error))
            raise

    def _measure(self, msg: JointState) -> None:
        columns = list(self.contract.measurements)
        entries = [entry for _, entry in self.contract.measurements.values()]
        positions = np.full(len(self.contract.columns), np.nan)
        positions[[self.contract.columns.index(name) for name in columns]] = entries_from_msg(
            msg, "position", [self._named.get(entry, entry) for entry in entries]
        )
        self._measured_state.take(positions)

    def _on_odometry(self, msg: Odometry) -> None:
        for topic, entries in self._filled.base.items():
            self._outs[topic].publish(base_msg(msg, entries, self.params.base_entries))

    # Pictures.

    def _checked_images(self) -> list[tuple[str, str]]:
        relays = pairs(self.params.image_relays, "stream=topic")
        known = self.contract.observation.images
        unknown = sorted({name for name, _ in relays} - set(known))
        if unknown:
            raise ConfigurationError(
                f"parameter 'image_relays': unknown {unknown}; the contract has {sorted(known)}"
            )
        return relays

    def _relay_images(self, name: str, topic: str) -> None:
        stream = self.contract.observation.images[name]
        is_raw = stream.transport == "raw"
        kind, make = (Image, image_msg) if is_raw else (CompressedImage, compressed_msg)
        publisher = self.create_publisher(kind, stream.topic, qos.SENSOR)

        def tell(msg: Image) -> None:
            picture = fit(image_from_msg(msg), stream.height_px, stream.width_px)
            publisher.publish(make(picture, time_ns(msg.header.stamp), msg.header.frame_id))

        self._listen_to(Image, topic, name, tell)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(SimulatorNode))
