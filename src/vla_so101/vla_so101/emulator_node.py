"""The emulated arm as a process of the graph: its port, its faults as parameters, its truth."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from vla_ros import qos
from vla_ros.joints import joint_state_msg
from vla_ros.parameters import declare, param, watch
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
from vla_so101.emulator import Emulator, Faults
from vla_so101.emulator.emulator import NAMES
from vla_so101.mock_port import link


@dataclass(frozen=True)
class EmulatorParams:
    """Which arm it is, and what it does wrong; the latter may change while it runs."""

    arm: str = param("", "The port is `emulator:<arm>` for the nodes of this namespace")
    corrupt: float = param(0.0, "Share of packets with a wrong bit", 0.0, 1.0, live=True)
    lose: float = param(0.0, "Share of packets that never arrive", 0.0, 1.0, live=True)
    plugged: bool = param(True, "False: the adapter is pulled out", live=True)
    powered: bool = param(True, "False: the servos have no power", live=True)
    rate_hz: float = param(100.0, "Of `emulator/joints` [Hz]", 1.0, 500.0)


class EmulatorNode(Node):
    """Keeps an `Emulator` alive; where the joints really are is on `emulator/joints`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("emulator", **options)
        self.params = declare(self, EmulatorParams)
        self.emulator = Emulator(link=link(self.get_namespace(), self.params.arm), faults=Faults())
        self._apply(self.params)
        self._truth = self.create_publisher(JointState, "emulator/joints", qos.SENSOR)
        watch(self, self.params, self._apply)
        self.create_timer(1.0 / self.params.rate_hz, self._tell)
        self.get_logger().info(f"an emulated SO-101 is on {self.emulator.port}")

    def destroy_node(self) -> None:
        self.emulator.close()
        super().destroy_node()

    def _apply(self, params: EmulatorParams) -> None:
        self.emulator.faults.corrupt, self.emulator.faults.lose = params.corrupt, params.lose
        if params.plugged:
            self.emulator.plug()
        else:
            self.emulator.unplug()
        if params.powered != self.params.powered:
            self.emulator.power(params.powered)
        self.params = params

    def _tell(self) -> None:
        """Publish each joint's angle from the middle of its calibrated range [rad]."""
        servos = self.emulator.servos
        middles = [(s.memory.get("lowest") + s.memory.get("highest")) / 2 for s in servos]
        ticks = np.array(self.emulator.positions()) - middles
        self._truth.publish(joint_state_msg(now_ns(self), NAMES, ticks * math.tau / 4096))


def main() -> int:
    """Run the node."""
    return run_node(EmulatorNode)


if __name__ == "__main__":
    sys.exit(main())
