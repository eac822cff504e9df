"""Stops the base when the bridge is gone: a process of its own that sends zero after silence.

The base's controller forgets a velocity only after 0.5 s of silence. A bridge that is killed or
hangs cannot send zero any more; this node does after the contract's deadline.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from vla_core.contract import load_contract
from vla_hsr.guard import Guard
from vla_hsr.names import preset
from vla_ros import qos
from vla_ros.parameters import declare, param
from vla_ros.run import run_node

PERIOD_S = 0.02
OUTPUT = "base"


@dataclass(frozen=True)
class GuardParams:
    """Parameters of the guard; names as those of the bridge."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    names: str = param("ros2", "Names of topics: ros2 (root) or ros1 (/hsrb)")
    base_topic: str = param("", "Base's velocity, instead of the preset's")


class GuardNode(Node):
    """Hears what the base is told, and tells it to stand after silence in motion."""

    def __init__(self, **options: Any) -> None:
        super().__init__("guard", **options)
        params = declare(self, GuardParams)
        contract = load_contract(params.contract_files)
        topic = params.base_topic or preset(params.names).base_topic
        self._guard = Guard(contract.outputs[OUTPUT].deadline_s)
        self._was_needed = False
        self._base = self.create_publisher(Twist, topic, qos.COMMAND)
        self.create_subscription(Twist, topic, self._on_twist, qos.SENSOR)
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_twist(self, message: Twist) -> None:
        self._guard.hear(message == Twist(), time.monotonic())

    def _on_timer(self) -> None:
        is_needed = self._guard.needs_zero(time.monotonic())
        if is_needed:
            self._base.publish(Twist())
        if is_needed and not self._was_needed:
            self.get_logger().error("the base's commands ended in motion: sent zero")
        self._was_needed = is_needed


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(GuardNode))
