"""Bridge to a Unitree Go2 with an SO-101 on its back: one contract, two receivers.

The base is told by requests to the sport service (`base`), the arm by the driver of `vla_so101` in
a thread of its own. What the robot tells is published in the words of ROS.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_bridge.channels import Channel
from vla_core.contract import Column
from vla_core.errors import NotReadyError
from vla_go2_arm.arm_loop import Arm, ArmLoop, Reading
from vla_go2_arm.base import Base, BaseParams
from vla_go2_arm.outputs import TWIST_FIELDS, match_outputs
from vla_go2_arm.standing import Standing
from vla_go2_arm.telling import Teller
from vla_ros.diagnostics import ERROR, OK, WARN, Report
from vla_ros.parameters import param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
from vla_so101 import matching
from vla_so101.arm import Arm as So101
from vla_so101.device import DeviceParams, arm_settings, wait_for
from vla_so101.follower import Follower


@dataclass(frozen=True)
class Go2ArmParams(BaseParams, DeviceParams, BridgeParams):
    """Parameters of the base, of the SO-101 and of every bridge."""

    rate_hz: float = param(
        50.0, "Rate of Move and of the arm; the robot takes 10 to 50", 10.0, 50.0
    )


class Go2ArmNode(BridgeNode):
    """Commands base and arm, each by its own means and with its own deadline."""

    params_class = Go2ArmParams
    params: Go2ArmParams

    def __init__(self, **options: Any) -> None:
        super().__init__("bridge", **options)
        self._arm_columns = matching.arm_columns(self.contract)
        joints = [column.name for column in self._arm_columns]
        receivers = match_outputs(self.contract, joints, self.params.watchdog_s)
        (self._base_channel,) = (c for c in self.channels if c.name == receivers.base)
        base_columns = in_order_of_move(self._base_channel)
        index = self.contract.columns.index
        # The arm's arrays are in the order of the columns, whatever the output's is.
        self._arm_order = np.array([index(name) for name in joints])
        self._base_order = np.array([index(column.name) for column in base_columns])
        self._was_stopped = False
        self._arm: ArmLoop | None = None
        self._teller = Teller(self, self.contract, joints)
        self.base = Base(self, self.params, base_columns, self._teller)
        self._standing = Standing(self, self.base)
        self._diagnostics.add("base", self.base.report)
        self._diagnostics.add("arm", self._report_arm)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self.params.rate_hz, self._on_timer, clock=steady)

    def make_arm(self) -> Arm:
        """Return the port to the arm; tests give another one."""
        columns = self._arm_columns
        params, namespace = self.params, self.get_namespace()
        arm = So101(arm_settings(params, params.contract_files, namespace, columns))
        for note in matching.check_reach(columns, *arm.reach):
            self.get_logger().warning(note)
        wait_for(arm.settings.port, self.params.connect_within_s)
        return Follower(arm)

    # The bridge's hooks.

    def connect(self) -> None:
        self.base.connect()
        self._arm = ArmLoop(
            self.make_arm(), 1.0 / self.params.rate_hz, self._on_arm_measured, self._on_arm_trouble
        )
        self._arm.start()

    def disconnect(self) -> None:
        arm, self._arm = self._arm, None
        if arm is not None:
            arm.stop()
        self.base.disconnect()

    def on_start(self) -> None:
        self.base.prepare()
        self._healthy_arm().hold()
        super().on_start()

    def read(self) -> Floats | None:
        measured = None if self._arm is None else self._arm.measured()
        if measured is None:
            return None
        positions = np.full(len(self.contract.columns), np.nan)
        positions[self._arm_order] = measured
        return positions

    def reset_refusal(self) -> str:
        arm = self._arm
        return "" if arm is None or arm.measured() is not None else f"the arm: {arm.trouble}"

    def write(self, positions: Floats, velocities: Floats) -> None:
        self.base.see()
        age_ns = self._base_channel.watchdog.age_ns(time.monotonic_ns())
        self.base.write(velocities[self._base_order], age_ns)
        stopped, before = self.is_stopped, self._was_stopped
        self._was_stopped = stopped
        if before and not stopped and self._arm is not None:
            self._arm.recover()
        goal = positions[self._arm_order]
        if self._arm is not None and np.isfinite(goal).any():
            self._arm.command(goal)

    def safe_stop(self) -> None:
        """Tell the base to stand until it does."""
        self.base.rest()

    def _on_timer(self) -> None:
        """See the state and unlock the joints while no tick does it."""
        if self._ticker is None:
            self.base.see()
            self._standing.unlock()

    # The arm.

    def _healthy_arm(self) -> ArmLoop:
        if self._arm is None or self._arm.trouble:
            why = "not connected" if self._arm is None else self._arm.trouble
            raise NotReadyError(f"the arm: {why}")
        return self._arm

    def _on_arm_measured(self, reading: Reading) -> None:
        self._teller.arm(reading, now_ns(self))

    def _on_arm_trouble(self, sentence: str) -> None:
        if self.is_active:
            self.stop_everything("arm", sentence)

    def _report_arm(self) -> Report:
        if self._arm is None:
            return Report(WARN, "not connected", {})
        return Report(ERROR, self._arm.trouble, {}) if self._arm.trouble else Report(OK, "ok", {})


def in_order_of_move(channel: Channel) -> list[Column]:
    """Return the base's columns as Move takes them: forward, left, counter-clockwise."""
    columns = {column.name: column for column in channel.columns}
    by_field = dict(zip(channel.output.fields, channel.output.columns, strict=True))
    return [columns[by_field[field]] for field in TWIST_FIELDS]


def main() -> int:
    """Run the node."""
    return run_node(Go2ArmNode)


if __name__ == "__main__":
    sys.exit(main())
