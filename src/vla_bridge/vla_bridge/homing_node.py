"""Brings a robot to the home pose of its contract: slowly, through the bridge's own door.

Commands go to the bridge's source `homing`, piece by piece, each ending at rest; so the bridge's
stop, watchdog and limits hold here as well, and a homing that is killed ends in a braking tail.
A robot with a way of its own derives and adds it to `methods`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.measured import MEASURED_AGE_S
from vla_bridge.moveit import MoveIt
from vla_core.bridge.homing import Way, planned, straight
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError, NotReadyError, ObservationError, VlaError
from vla_interfaces.msg import ExecutorState
from vla_interfaces.srv import SelectSource
from vla_ros import qos
from vla_ros.joints import entries_from_msg, trajectory_msg
from vla_ros.parameters import declare, param, watch
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node
from vla_ros.stamps import now_ns

Floats = NDArray[np.float64]

PIECE_S = 0.05  # between pieces of a way
EXECUTOR_AGE_S = 3.0  # an executor that says nothing for so long runs nothing
ANSWER_S = 3.0  # longest wait for the bridge
SETTLE_S = 3.0  # longest wait for the robot to arrive after the end of the way
BUSY = (
    ExecutorState.MODE_RUNNING,
    ExecutorState.MODE_DEGRADED,
    ExecutorState.MODE_HOLDING,  # goes on by itself with the next chunk
)
HOMING, POLICY = SelectSource.Request.SOURCE_HOMING, SelectSource.Request.SOURCE_POLICY
NOBODY = "none"


@dataclass(frozen=True)
class HomingParams:
    """Parameters of every homing node."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    method: str = param("slow", "How: slow, moveit, or one of the robot's own", live=True)
    share: float = param(0.2, "Share of the contract's velocities", 0.01, 0.5, live=True)
    tolerance: float = param(0.05, "Home is reached within this [rad, m]", 0.001, 0.5)
    check_validity: bool = param(False, "Ask MoveIt whether home is free of collisions", live=True)
    moveit_group: str = param("whole_body", "MoveIt's group of joints")
    moveit_action: str = param("/move_action", "MoveIt's action")
    moveit_validity: str = param("/check_state_validity", "MoveIt's service")


class HomingNode(Node):
    """One homing at a time, in a thread of its own; the node goes on listening."""

    params_class: type[HomingParams] = HomingParams

    def __init__(self, **options: Any) -> None:
        super().__init__("homing", **options)
        self.params = declare(self, self.params_class)
        self.contract = load_contract(self.params.contract_files)
        self.columns = [c for c in self.contract.action.columns if c.is_position]
        self.names = [column.name for column in self.columns]
        self.home = np.array([self.contract.home[name] for name in self.names])
        self.methods: dict[str, Callable[[Floats], None]] = {
            "slow": self._go_straight,
            "moveit": self._go_with_moveit,
        }
        self._is_homing = False
        self._cancelled = threading.Event()
        self._bridge_says = ""
        self._executor_runs_s = -np.inf  # when it last said so
        self._measured: dict[str, tuple[float, float]] = {}  # column -> (when, position)
        self._state = self.create_publisher(String, "~/state", qos.STATE)
        self._outputs = self._open_outputs()
        self._listen()
        self._select = self.create_client(SelectSource, "bridge/select_source")
        self.create_service(Trigger, "~/home", self._on_home)
        self.create_service(Trigger, "~/cancel", self._on_cancel)
        watch(self, self.params, self._on_params)
        self._tell("idle")

    # What is asked.

    def _on_home(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._check()
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        self._cancelled.clear()
        self._is_homing = True
        threading.Thread(target=self._run, name="homing", daemon=True).start()
        response.success = True
        response.message = f"homing with method '{self.params.method}'; see ~/state"
        return response

    def _on_cancel(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._cancelled.set()
        response.success, response.message = True, "the robot brakes where it is"
        return response

    def _check(self) -> None:
        if self._is_homing:
            raise NotReadyError("homing already")
        self._check_method(self.params)
        if self._bridge_says.startswith("stopped"):
            raise NotReadyError(f"the bridge is {self._bridge_says}: reset it first")
        if time.monotonic() - self._executor_runs_s < EXECUTOR_AGE_S:
            raise NotReadyError("a task is running: end it first")
        self.measured()

    def _check_method(self, params: HomingParams) -> None:
        if params.method not in self.methods:
            raise ConfigurationError(
                f"parameter 'method': expected one of {sorted(self.methods)}, "
                f"got '{params.method}'"
            )

    def _on_params(self, params: HomingParams) -> None:
        self._check_method(params)
        self.params = params

    # The homing itself, in its thread.

    def _run(self) -> None:
        self._tell(f"homing with method '{self.params.method}'")
        outcome = "failed: see the log"
        try:
            if self.params.check_validity:
                self._check_validity()
            self.methods[self.params.method](self.measured())
            self._wait_for_home()
            outcome = "home"
        except VlaError as error:
            outcome = f"failed: {error}"
        finally:
            if not self._bridge_says.startswith("stopped"):
                self._select_quietly(POLICY)
            # Who hears the outcome may ask again at once.
            self._is_homing = False
            self._tell(outcome)

    def _go_straight(self, measured: Floats) -> None:
        self.follow(straight(measured, self.home, self.columns, self.params.share))

    def _go_with_moveit(self, measured: Floats) -> None:
        plan = self._moveit().plan(
            self.names, self.home.tolist(), measured.tolist(), self.params.share
        )
        self.follow(planned(*plan, self.columns, self.params.share))

    def _check_validity(self) -> None:
        why = self._moveit().why_invalid(self.names, self.home.tolist())
        if why:
            raise NotReadyError(f"the home pose of '{self.contract.robot}' is not free: {why}")

    def _moveit(self) -> MoveIt:
        params = self.params
        return MoveIt(self, params.moveit_group, params.moveit_action, params.moveit_validity)

    def follow(self, way: Way) -> None:
        """Send a way to the bridge, piece by piece, until its end.

        Raises:
            NotReadyError: cancelled, stopped, or the robot is not heard any more.
        """
        self.select(HOMING)
        start = time.monotonic()
        while (now := time.monotonic() - start) < way.seconds:
            self.check_going_on()
            stamp = now_ns(self)
            times, positions, velocities, accelerations = way.piece(now)
            for publisher, names, index in self._outputs:
                rows = (positions[:, index], velocities[:, index], accelerations[:, index])
                publisher.publish(trajectory_msg(stamp, names, times.tolist(), *rows))
            time.sleep(PIECE_S)

    def check_going_on(self) -> None:
        """Raise a NotReadyError when the homing must not go on."""
        if self._cancelled.is_set():
            raise NotReadyError("cancelled")
        if self._bridge_says.startswith("stopped"):
            raise NotReadyError(f"the bridge is {self._bridge_says}")
        self.measured()

    def _wait_for_home(self) -> None:
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            if (np.abs(self._gap()) <= self.params.tolerance).all():
                return
            self.check_going_on()
            time.sleep(PIECE_S)
        gap = self._gap()
        worst = int(np.abs(gap).argmax())
        raise NotReadyError(
            f"'{self.names[worst]}' is {gap[worst]:.3g} away from home after {SETTLE_S:g} s, "
            f"expected at most {self.params.tolerance:g}"
        )

    def _gap(self) -> Floats:
        # A gripper may hold something: where it ends says nothing.
        is_gripper = np.array([column.is_gripper for column in self.columns])
        return np.where(is_gripper, 0.0, self.measured() - self.home)

    # The robot and the bridge.

    def measured(self) -> Floats:
        """Return where the robot is, by `names`.

        Raises:
            ObservationError: a column is not heard of, or too long ago.
        """
        now = time.monotonic()
        for name in self.names:
            when, _ = self._measured.get(name, (-np.inf, 0.0))
            if now - when > MEASURED_AGE_S:
                raise ObservationError(f"'{name}': not measured within {MEASURED_AGE_S:g} s")
        return np.array([self._measured[name][1] for name in self.names])

    def select(self, source: str) -> None:
        """Choose whose commands the bridge takes.

        Raises:
            NotReadyError: the bridge does not answer, or refuses.
        """
        if not self._select.service_is_ready():
            raise NotReadyError("the bridge is not there: no 'bridge/select_source'")
        future = self._select.call_async(SelectSource.Request(source=source))
        end = time.monotonic() + ANSWER_S
        while not future.done():
            if time.monotonic() > end:
                raise NotReadyError(f"the bridge does not answer within {ANSWER_S:g} s")
            time.sleep(0.01)
        if not future.result().success:
            raise NotReadyError(f"the bridge refuses: {future.result().message}")

    def _select_quietly(self, source: str) -> None:
        try:
            self.select(source)
        except VlaError as error:
            self.get_logger().error(f"the bridge stays with the homing: {error}")

    def _open_outputs(self) -> list[tuple[Any, tuple[str, ...], list[int]]]:
        found = []
        for name, output in self.contract.outputs.items():
            if not set(output.columns) & set(self.names):
                continue
            if output.type != "trajectory_msgs/msg/JointTrajectory":
                raise ConfigurationError(
                    f"output '{name}': homing sends a JointTrajectory, "
                    f"the contract has {output.type}"
                )
            publisher = self.create_publisher(
                JointTrajectory, f"{HOMING}/{output.topic}", qos.COMMAND
            )
            index = [self.names.index(column) for column in output.columns]
            found.append((publisher, output.columns, index))
        return found

    def _listen(self) -> None:
        quick = QuickGroup()
        for name, stream in self.contract.observation.state.items():
            columns = {
                column: entry
                for column, (source, entry) in self.contract.measurements.items()
                if source == name
            }
            if columns:
                hear = partial(self._on_joints, columns)
                self.create_subscription(
                    JointState, stream.topic, hear, qos.SENSOR, callback_group=quick
                )
        self.create_subscription(String, "bridge/source", self._on_source, qos.STATE)
        # The newest counts: a queue of old ones would still say that a task is running.
        self.create_subscription(
            ExecutorState,
            "executor/state",
            self._on_executor,
            qos.COMMAND,
            callback_group=quick,
        )

    def _on_joints(self, columns: dict[str, str], message: JointState) -> None:
        try:
            values = entries_from_msg(message, "position", list(columns.values()))
        except ObservationError:
            return  # not measured: found out by its age
        now = time.monotonic()
        for column, value in zip(columns, values, strict=True):
            self._measured[column] = now, float(value)

    def _on_source(self, message: String) -> None:
        self._bridge_says = message.data

    def _on_executor(self, message: ExecutorState) -> None:
        self._executor_runs_s = time.monotonic() if message.mode in BUSY else -np.inf

    def _tell(self, state: str) -> None:
        self._state.publish(String(data=state))
        self.get_logger().info(state)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(HomingNode))
