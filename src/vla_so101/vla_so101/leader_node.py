"""A leader arm: moved by hand, it commands the follower through the bridge's source selection.

The same driver as the follower's, without torque. It speaks only after `~/take_over`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_core.contract import load_contract
from vla_core.errors import MismatchError, NotReadyError, VlaError
from vla_core.execution.values import Command
from vla_core.types import NS_PER_S
from vla_interfaces.srv import SelectSource
from vla_ros import qos
from vla_ros.diagnostics import Diagnostics
from vla_ros.joints import entries_from_msg, joint_state_msg, trajectory_msg
from vla_ros.lifecycle import ManagedNode
from vla_ros.parameters import declare, param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
from vla_ros.ticker import Ticker
from vla_so101 import matching
from vla_so101.arm import Arm
from vla_so101.device import DeviceParams, arm_settings, wait_for
from vla_so101.follower import Follower
from vla_so101.health import BusMeter, servo_report
from vla_so101.leader import Leader

TELEOPERATION = SelectSource.Request.SOURCE_TELEOPERATION
# A leader that was not heard for this long commands no more; somebody has to take over again.
SILENT_NS = NS_PER_S // 5
FOLLOWER_AGE_NS = NS_PER_S // 5  # older joint states do not say where the follower is
# The follower plays its last tail to the end before it is led: still for so long, within so much.
STILL_NS, STILL = NS_PER_S // 10, 0.004  # [rad] between two joint states


@dataclass(frozen=True)
class LeaderParams(DeviceParams):
    """Parameters of the leader arm."""

    contract_files: tuple[str, ...] = param((), "Contract of the follower, then overlays in order")
    bridge: str = param("bridge", "Name of the follower's bridge node")


class LeaderNode(ManagedNode):
    """Node around `Leader`: the leader's joints in, `teleoperation/<output>` out."""

    def __init__(self, **options: Any) -> None:
        super().__init__("leader", **options)
        self.params = declare(self, LeaderParams)
        self.contract = load_contract(self.params.contract_files)
        columns = matching.arm_columns(self.contract)
        self._names = [column.name for column in columns]
        settings = arm_settings(
            self.params, self.params.contract_files, self.get_namespace(), columns
        )
        self._arm = Follower(Arm(settings))
        self._leader = Leader(self.contract, self._names)
        self._meter = BusMeter(self._arm.arm)
        self._ticker: Ticker | None = None
        self._is_chosen = self._leads = False  # by the bridge; and the follower has come to rest
        self._heard_ns = 0  # steady clock: when the leader was read last
        self._follower: tuple[NDArray[np.float64], int] | None = None  # positions, when heard
        self._moved_ns = 0  # when the follower moved last

        self._commands = self.create_publisher(
            JointTrajectory, f"{TELEOPERATION}/{output_topic(self)}", qos.COMMAND
        )
        self._joints = self.create_publisher(JointState, "~/joints", qos.SENSOR)
        for topic in matching.state_topics(self.contract):
            self.create_subscription(JointState, topic, self._on_follower, qos.SENSOR)
        self._select = self.create_client(SelectSource, f"{self.params.bridge}/select_source")
        self.create_service(Trigger, "~/take_over", self._on_take_over)
        self.create_service(Trigger, "~/hand_back", self._on_hand_back)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("bus", self._meter.report)
        self._diagnostics.add("servos", lambda: servo_report(self._arm))

    # Lifecycle.

    def on_load(self) -> None:
        wait_for(self._arm.arm.settings.port, self.params.connect_within_s)
        self._arm.connect(time.monotonic_ns())
        if self._arm.arm.exchange().torque.any():
            raise MismatchError(
                "the leader arm holds torque, nobody could move it. Is it the follower? If not, "
                "support it and run './vla calibrate --relax'"
            )

    def on_start(self) -> None:
        self._ticker = Ticker(self, self.contract.step_ns, self._on_tick, self._on_crash)
        self._ticker.start()

    def on_stop(self) -> None:
        self._is_chosen = self._leads = False  # the last command ends at rest by itself
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop()

    def on_release(self) -> None:
        self._arm.close()

    # Each tick.

    def _on_tick(self, now: int, _: int | None) -> None:
        steady_ns = time.monotonic_ns()
        reading = self._arm.step(None, steady_ns)
        self._meter.did(time.monotonic_ns() - steady_ns)
        if reading is not None:
            self._heard_ns = steady_ns
            self._joints.publish(joint_state_msg(now_ns(self), self._names, reading.positions))
        if not self._is_chosen:
            return
        newest, follower = self._arm.newest, self._follower
        if newest is None or follower is None or steady_ns - self._heard_ns > SILENT_NS:
            self._is_chosen = self._leads = False
            why = self._arm.trouble or "no answer"
            self.get_logger().error(f"the leader arm is lost, it leads no more: {why}")
            return
        if not self._leads and steady_ns - self._moved_ns > STILL_NS:
            self._leader.begin(follower[0], now)
            self._leads = True
        if self._leads:
            self._send(self._leader.follow(newest.positions, now))

    def _on_crash(self) -> None:
        self._is_chosen = self._leads = False

    def _send(self, command: Command) -> None:
        self._commands.publish(
            trajectory_msg(
                command.stamp_ns,
                self._names,
                command.times_ns.tolist(),
                command.positions,
                command.velocities,
                command.accelerations,
            )
        )

    # Taking over.

    def _on_follower(self, msg: JointState) -> None:
        try:
            positions = entries_from_msg(msg, "position", self._names)
        except VlaError:
            return  # the executor says what is wrong with it
        steady_ns = time.monotonic_ns()
        before = self._follower
        if before is None or np.abs(positions - before[0]).max() > STILL:
            self._moved_ns = steady_ns
        self._follower = positions, steady_ns

    def _on_take_over(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._check()
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        self._ask_for(TELEOPERATION)
        response.success = True
        response.message = "the follower approaches the leader, then follows it"
        return response

    def _on_hand_back(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._is_chosen = self._leads = False
        self._ask_for(SelectSource.Request.SOURCE_POLICY)
        response.success, response.message = True, "the follower rests and listens to the policy"
        return response

    def _check(self) -> None:
        steady_ns = time.monotonic_ns()
        if not self.is_active or self._arm.newest is None:
            raise NotReadyError("the leader arm is not active, or was not read yet")
        if self._follower is None or steady_ns - self._follower[1] > FOLLOWER_AGE_NS:
            raise NotReadyError("no fresh joint states of the follower: is its bridge running?")
        if not self._select.service_is_ready():
            raise NotReadyError(f"no service '{self._select.srv_name}': is the bridge running?")

    def _ask_for(self, source: str) -> None:
        future = self._select.call_async(SelectSource.Request(source=source))
        future.add_done_callback(lambda done: self._on_selected(source, done.result()))

    def _on_selected(self, source: str, answer: SelectSource.Response) -> None:
        if not answer.success:
            self.get_logger().error(f"the bridge refused: {answer.message}")
            return
        self._leads, self._is_chosen = False, source == TELEOPERATION
        self.get_logger().info(f"the follower listens to '{source}'")


def output_topic(node: LeaderNode) -> str:
    """Return the topic of the contract's output that takes the arm's columns.

    Raises:
        MismatchError: no output takes exactly them as a trajectory.
    """
    for output in node.contract.outputs.values():
        is_trajectory = output.type == "trajectory_msgs/msg/JointTrajectory"
        if is_trajectory and sorted(output.columns) == sorted(node._names):
            return output.topic
    raise MismatchError(
        f"robot '{node.contract.robot}': no output takes a trajectory of {node._names}; "
        f"outputs: {dict(node.contract.outputs)}"
    )


def main() -> int:
    """Run the node."""
    return run_node(LeaderNode)


if __name__ == "__main__":
    sys.exit(main())
