"""The bridge of the SO-101: the contract's commands to the servo bus, its joints to topics.

Watchdog, stop, sources and playback are those of `vla_bridge`; `Follower` watches the arm.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_core.errors import NotReadyError
from vla_core.types import NS_PER_S
from vla_ros import qos
from vla_ros.joints import joint_state_msg
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
from vla_ros.ticker import Ticker
from vla_so101 import matching
from vla_so101.arm import Arm
from vla_so101.device import DeviceParams, arm_settings, wait_for
from vla_so101.follower import Follower, Reading
from vla_so101.health import BusMeter, servo_report


@dataclass(frozen=True)
class ArmParams(DeviceParams, BridgeParams):
    """Parameters of the SO-101's bridge: those of every bridge, and the arm's."""


class So101Node(BridgeNode):
    """Node around `Follower`: targets down, joints up, also before it is active."""

    params_class = ArmParams
    params: ArmParams

    def __init__(self, **options: Any) -> None:
        super().__init__("bridge", **options)
        columns = matching.arm_columns(self.contract)
        self._columns = columns
        self._index = np.array([self.contract.columns.index(c.name) for c in columns])
        self._follower = Follower(
            Arm(
                arm_settings(
                    self.params, self.params.contract_files, self.get_namespace(), columns
                )
            )
        )
        self._meter = BusMeter(self._follower.arm)
        self._idle: Ticker | None = None
        self._was_stopped = False
        self._joints = [
            self.create_publisher(JointState, topic, qos.SENSOR)
            for topic in matching.state_topics(self.contract)
        ]
        self._diagnostics.add("bus", self._meter.report)
        self._diagnostics.add("servos", lambda: servo_report(self._follower))

    # The bridge's hooks.

    def connect(self) -> None:
        arm = self._follower.arm
        notes = matching.check_reach(self._columns, *arm.reach)
        wait_for(arm.settings.port, self.params.connect_within_s)
        self._follower.connect(time.monotonic_ns())
        for note in [*notes, *arm.notes]:
            self.get_logger().warning(note)
        # Where the arm is matters before it may move, too.
        period_ns = round(NS_PER_S / self.params.rate_hz)
        self._idle = Ticker(self, period_ns, self._observe, on_crash=self._on_crash)
        self._idle.start()

    def disconnect(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.stop()
        self._follower.close()

    def on_start(self) -> None:
        self._follower.hold()
        super().on_start()

    def read(self) -> Floats | None:
        reading = self._follower.newest
        if reading is None:
            return None
        measured = np.full(len(self.contract.columns), np.nan)
        measured[self._index] = reading.positions
        return measured

    def reset_refusal(self) -> str:
        lost = self._follower.is_lost
        return f"the arm is not found again yet ({self._follower.trouble})" if lost else ""

    def write(self, positions: Floats, velocities: Floats) -> None:
        self._step(positions[self._index])

    # Each tick.

    def _observe(self, now: int, _: int | None) -> None:
        if not self.is_active:
            self._step(None)

    def _step(self, goals: Floats | None) -> None:
        begin_ns = time.monotonic_ns()
        self._recover_after_reset()
        was_lost = self._follower.is_lost
        reading = self._follower.step(goals, begin_ns)
        self._meter.did(time.monotonic_ns() - begin_ns)
        if was_lost and not self._follower.is_lost:
            self.forget_commands()  # of before; the arm holds where it was found
            self.get_logger().info("the arm is back and holds; reset to go on")
        if self._follower.trouble:
            self.stop(self.get_name(), self._follower.trouble)
        if reading is not None:
            self._publish(reading)

    def _recover_after_reset(self) -> None:
        is_stopped = self.is_stopped
        if self._was_stopped and not is_stopped:
            try:
                self._follower.recover()
            except NotReadyError as error:
                self.stop(self.get_name(), str(error))
        self._was_stopped = is_stopped

    def _publish(self, reading: Reading) -> None:
        names = self._follower.arm.settings.joints
        message = joint_state_msg(now_ns(self), names, reading.positions, reading.velocities)
        for publisher in self._joints:
            publisher.publish(message)


def main() -> int:
    """Run the node."""
    return run_node(So101Node)


if __name__ == "__main__":
    sys.exit(main())
