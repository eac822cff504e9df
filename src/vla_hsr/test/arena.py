"""The whole graph on the emulator, seen from the robot's side: who moves, and since when not."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from vla_bringup.graph import Options, describe
from vla_bringup.session import Session, running
from vla_core.contract import Contract, load_contract
from vla_core.errors import NotReadyError, VlaError
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_ros.stamps import time_ns

ROOT = Path(__file__).resolve().parents[3]
# What counts as rest, of joints [m/s, rad/s] and base [m/s, rad/s]: a first-order lag never ends.
JOINT_REST, BASE_REST = 0.02, 0.01
QUIET_S = 0.4  # so long without motion is rest
# Wheels are judged by the odometry; a grasp that has begun goes on, so that nothing is dropped.
OTHERS = (
    "base_l_drive_wheel_joint",
    "base_r_drive_wheel_joint",
    "base_roll_joint",
    "hand_motor_joint",
)


class Arena:
    """A running graph, and the emulator's own record of every motion."""

    def __init__(self, session: Session, contract: Contract) -> None:
        self.session, self.contract = session, contract
        self.client, self.runner = session.client, session.runner
        self.violations: list[str] = []
        self.messages: dict[str, str] = {}
        self.joints: dict[str, float] = {}
        self.homing = ""
        self.arm_moved_ns = self.base_moved_ns = self.now_ns = 0
        self.arm_speed = self.base_speed = 0.0
        listen = self.client.node.create_subscription
        # A starved test hears the newest, not a queue of what was.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        listen(JointState, "/joint_states", self._on_joints, newest)
        listen(Odometry, "/omni_base_controller/wheel_odom", self._on_odometry, newest)
        listen(String, "emulator/violations", lambda m: self.violations.append(m.data), qos.EVENT)
        listen(String, "homing/state", self._on_homing, qos.STATE)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.EVENT)

    @property
    def state(self) -> ExecutorState:
        """The newest state of the executor."""
        return self.session.state or ExecutorState(reason="not heard of")

    def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for a condition; the deadline's sentence says what did not happen."""
        self.session.until(condition, within_s, what)

    def recover(self) -> None:
        """Reset executor and bridge, and go on with a task until arm and base move.

        A bridge that gets no processor for half a second is stopped as a robot that does not
        follow; so it is tried again.
        """
        for is_last in (False, False, True):
            self.until(self.is_reset, 60.0, "executor and bridge could not be reset")
            self.until(self.is_running, 60.0, "no task runs")
            try:
                return self.until_moving()
            except NotReadyError as error:
                print(error)
                if is_last:
                    raise

    def is_running(self) -> bool:
        """Start a task where none runs; return whether one does."""
        if self.state.mode == ExecutorState.MODE_IDLE:
            with contextlib.suppress(VlaError):  # not yet, or the last one is just ending
                self.client.start_task("sway", time_limit_s=120.0)
        return self.state.mode == ExecutorState.MODE_RUNNING

    def is_reset(self) -> bool:
        """Reset executor and bridge; return whether both did."""
        try:
            self.client.reset()
        except VlaError:  # not yet: a node is still starting
            return False
        return True

    def home(self, method: str) -> str:
        """Let the robot go home and return what is said at the end.

        Raises:
            VlaError: it is refused, with the reason.
        """
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=method)
        request = SetParameters.Request(parameters=[Parameter(name="method", value=value)])
        answer = self.client.call(SetParameters, "homing/set_parameters", request)
        assert answer.results[0].successful, answer.results[0].reason
        self.homing = ""
        started = self.client.call(Trigger, "homing/home", Trigger.Request())
        if not started.success:
            raise VlaError(started.message)
        ended = ("home", "failed")
        self.until(lambda: self.homing.startswith(ended), 60.0, f"not home: {self.homing}")
        return self.homing

    def until_moving(self) -> None:
        """Wait for arm and base to move visibly under a plan."""
        self.until(
            lambda: self.session.is_running() and self.arm_speed > 0.2 and self.base_speed > 0.08,
            20.0,
            "arm and base did not begin to move",
        )

    def rest_after(self, at_ns: int, within_s: float = 40.0) -> dict[str, float]:
        """Return how long after an instant arm and base still moved [s], at the robot's side."""
        quiet_ns = int(QUIET_S * 1e9)
        self.until(
            lambda: self.now_ns - max(self.arm_moved_ns, self.base_moved_ns, at_ns) > quiet_ns,
            within_s,
            "the robot did not come to rest",
        )
        return {
            "arm": max(0, self.arm_moved_ns - at_ns) / 1e9,
            "base": max(0, self.base_moved_ns - at_ns) / 1e9,
        }

    def kill(self, name: str) -> int:
        """Kill a node as hard as it goes; returns when [ns]."""
        pid = self.runner.pid(name)
        assert pid is not None
        at = time.time_ns()
        os.killpg(pid, signal.SIGKILL)
        return at

    def press(self, button: str, pressed: bool = True) -> int:
        """Press or release a button of the robot; returns when [ns]."""
        at = time.time_ns()
        answer = self.client.call(SetBool, f"emulator/{button}", SetBool.Request(data=pressed))
        assert answer.success
        return at

    def braking_s(self, output: str) -> float:
        """Return the longest time in which any column of an output brakes inside its limits."""
        names = self.contract.outputs[output].columns
        columns = [c for c in self.contract.action.columns if c.name in names]
        return max(c.velocity / c.acceleration + c.acceleration / c.jerk for c in columns)

    def _on_joints(self, message: JointState) -> None:
        self.now_ns = time_ns(message.header.stamp)
        speeds = dict(zip(message.name, message.velocity, strict=True))
        self.joints = dict(zip(message.name, message.position, strict=True))
        moving = [abs(v) for name, v in speeds.items() if name not in OTHERS]
        self.arm_speed = max(moving)
        if self.arm_speed > JOINT_REST:
            self.arm_moved_ns = self.now_ns

    def _on_odometry(self, message: Odometry) -> None:
        twist = message.twist.twist
        self.base_speed = max(math.hypot(twist.linear.x, twist.linear.y), abs(twist.angular.z))
        if self.base_speed > BASE_REST:
            self.base_moved_ns = time_ns(message.header.stamp)

    def _on_homing(self, message: String) -> None:
        self.homing = message.data

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("emulator: messages"):
                self.messages = {pair.key: pair.value for pair in status.values}


@contextlib.contextmanager
def arena(
    folder: Path, domain: int, policy: str = "hsr_sway", root: Path = ROOT, **bridge: Any
) -> Iterator[Arena]:
    """Start backend mock; ``bridge`` are parameters of the bridge."""
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    options = Options(overrides={"bridge": bridge} if bridge else {})
    graph = describe("hsr", "mock", policy, root, options)
    with running(graph, folder, print) as session:
        yield Arena(session, load_contract(graph.contract_files))
