"""Stops the base when the bridge dies in the middle of a Move; a process of its own.

The firmware keeps the last Move for up to a second, so a killed bridge would let the robot walk on
for so long. The bridge ends every Move with another one a tick later, or with StopMove. If neither
comes, this node sends StopMove until the robot's state shows rest. It never sends Move.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from vla_core.types import NS_PER_S
from vla_go2_arm import messages, vendor
from vla_go2_arm.services import Service
from vla_go2_arm.sport import Api
from vla_go2_arm.walker import Walker, WalkerSettings
from vla_ros import qos
from vla_ros.diagnostics import OK, WARN, Diagnostics, Report
from vla_ros.parameters import declare, param
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node

PERIOD_S = 0.02


@dataclass(frozen=True)
class GuardParams:
    """Parameters of the node `guard`."""

    prefix: str = param("", "Put before the robot's own topics; empty on a real robot")
    silence_s: float = param(0.2, "After a Move: silence after which it is ended [s]", 0.06, 0.5)


class GuardNode(Node):
    """Watches the bridge's own requests on the wire."""

    def __init__(self, **options: Any) -> None:
        super().__init__("guard", **options)
        self.params = declare(self, GuardParams)
        self._vendor = vendor.load()
        self._silence_ns = round(self.params.silence_s * NS_PER_S)
        # Of all that a walker does, only the repeated stop is used: its limits are zero.
        self._walker = Walker(WalkerSettings((0.0, 0.0, 0.0)), "mcf")
        self._moved_ns: int | None = None  # the newest request is a Move of then
        self._is_stopping = False
        self._raw: bytes | None = None
        self.interventions = 0
        group = QuickGroup()
        self._sport = Service(self, "sport", self.params.prefix, self._vendor, group)
        for kind, topic, callback, quality, raw in (
            ("Request", "api/sport/request", self._on_request, qos.EVENT, False),
            ("SportModeState", "sportmodestate", self._on_state, qos.SENSOR, True),
        ):
            self.create_subscription(
                self._vendor[kind], f"{self.params.prefix}/{topic}", callback, quality,
                callback_group=group, raw=raw,
            )  # fmt: skip
        Diagnostics(self).add("guard", self._report)
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_request(self, msg: Any) -> None:
        if messages.is_ours(int(msg.header.identity.id)):
            is_move = msg.header.identity.api_id == Api.MOVE
            self._moved_ns = time.monotonic_ns() if is_move else None

    def _on_state(self, data: bytes) -> None:
        self._raw = data

    def _on_timer(self) -> None:
        now, moved = time.monotonic_ns(), self._moved_ns
        is_alive = moved is not None and now - moved <= self._silence_ns
        if self._is_stopping and is_alive:
            self._is_stopping = False
            self.get_logger().info("the bridge commands again")
        elif moved is not None and not is_alive and not self._is_stopping:
            self._is_stopping, self._moved_ns = True, None
            self.interventions += 1
            self._walker.halt()
            self.get_logger().error(
                f"no request of the bridge for {(now - moved) / NS_PER_S:.2f} s after a Move: "
                "stopping the robot"
            )
        if self._is_stopping:
            self._stop(now)

    def _stop(self, now: int) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            msg = deserialize_message(raw, self._vendor["SportModeState"])
            self._walker.see(messages.state_from_msg(msg), now)
        call = self._walker.tick(np.zeros(3), None, now)
        if call is not None:
            self._sport.send(call)
        if not self._walker.is_stopping:
            self._is_stopping = False
            self.get_logger().info("the robot rests")

    def _report(self) -> Report:
        values = {"interventions": self.interventions}
        if self._is_stopping:
            return Report(WARN, "stopping the robot", values)
        return Report(OK, "watches", values)


def main() -> int:
    """Run the node."""
    return run_node(GuardNode)


if __name__ == "__main__":
    sys.exit(main())
