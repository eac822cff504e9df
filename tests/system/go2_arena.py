"""The Go2 with arm on its emulators: the running graph, and what the robot really does."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image, JointState

from vla_bringup.graph import Options, describe
from vla_bringup.session import Session, running
from vla_core.contract import load_contract
from vla_core.errors import NotReadyError, VlaError
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_testing.tables import SafeStops

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src" / "vla_go2_arm" / "test"))

# Of the emulated robot: velocities follow with this time constant.
LAG_S = 0.15
WALKS, RESTS = 0.15, 0.03  # m/s, turning counted at 0.25 m
ARM_MOVES, ARM_RESTS = 0.2, 0.05  # rad/s
# A state that is late for so long is lost, on a test machine.
STATE_TIMEOUT_S = 1.0
PLAN_S = 1.6  # of the policy
# What a busy machine may add to all of this.
SLACK_S = 0.6
_domains = itertools.count()


class Arena:
    """The running graph, and what the emulated robot really does."""

    def __init__(self, session: Session, stops: SafeStops) -> None:
        from unitree_api.msg import Request
        from unitree_go.msg import WirelessController

        self.session, self.client, self.runner = session, session.client, session.runner
        self.stops = stops
        self.contract = load_contract(session.runner.graph.contract_files)
        self.speed = self.arm_speed = 0.0
        self.moved_s = self.arm_moved_s = 0.0
        self.requests: list[Any] = []
        self.pictures = 0
        self._joints: tuple[float, np.ndarray] | None = None
        self._task: Any = None
        node = self.client.node
        node.create_subscription(Twist, "go2/velocity", self._on_velocity, 10)
        node.create_subscription(JointState, "emulator/joints", self._on_joints, qos.SENSOR)
        node.create_subscription(Request, "/api/sport/request", self.requests.append, qos.EVENT)
        front = self.contract.observation.images["front"].topic
        node.create_subscription(Image, front, self._on_picture, qos.SENSOR)
        self.remote = node.create_publisher(WirelessController, "go2/remote", 10)

    @property
    def state(self) -> ExecutorState:
        return self.session.state or ExecutorState(reason="not heard of")

    def until(self, condition: Callable[[], object], within_s: float, what: str) -> None:
        self.session.until(lambda: bool(condition()), within_s, what)

    def begin(self) -> None:
        """Start a task; returns when base and arm move. What was killed may not be back yet."""
        for _ in range(4):
            self.until(self._is_idle, 40.0, "the executor did not become idle")
            self._task = self.client.start_task("patrol", time_limit_s=60.0)
            with contextlib.suppress(NotReadyError):
                return self.until(self._moves, 15.0, "it does not move")
            self.recover()
        raise AssertionError(f"four tasks and no motion; executor: {self.state.reason}")

    def rests_after(self, what: str, event: Callable[[], object], within_s: float) -> None:
        """Let something happen and measure the time until base and arm rest for good."""
        began = time.monotonic()
        event()
        self.until(
            lambda: time.monotonic() - max(self.moved_s, self.arm_moved_s) > 0.6,
            within_s + 10.0,
            f"{what}: it does not come to rest",
        )
        figures = max(0.0, self.moved_s - began), max(0.0, self.arm_moved_s - began)
        for part, took_s in zip(("base", "arm"), figures, strict=True):
            self.stops.judge(what, part, took_s, within_s + SLACK_S)

    def kill(self, *names: str) -> None:
        for name in names:
            pid = self.runner.pid(name)
            assert pid is not None
            os.killpg(pid, signal.SIGKILL)

    def recover(self) -> None:
        """End the task, clear latched stops and wait for idle."""
        self.remote.publish(self.remote.msg_type())
        self._task.cancel_goal_async()
        self.until(self._reset, 40.0, "the stop was not cleared")

    def set(self, node: str, **values: bool) -> None:
        parameters = [
            Parameter(
                name=name,
                value=ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value),
            )
            for name, value in values.items()
        ]
        request = SetParameters.Request(parameters=parameters)
        answer = self.client.call(SetParameters, f"{node}/set_parameters", request)
        assert all(result.successful for result in answer.results)

    def _reset(self) -> bool:
        # Somebody may not be back yet.
        with contextlib.suppress(VlaError):
            self.client.reset()
        return self._is_idle()

    def _moves(self) -> bool:
        return self.speed > WALKS and self.arm_speed > ARM_MOVES

    def _is_idle(self) -> bool:
        return self.state.mode == ExecutorState.MODE_IDLE

    def _on_velocity(self, msg: Twist) -> None:
        self.speed = float(np.hypot(msg.linear.x, msg.linear.y)) + 0.25 * abs(msg.angular.z)
        if self.speed > RESTS:
            self.moved_s = time.monotonic()

    def _on_joints(self, msg: JointState) -> None:
        at = msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9
        positions = np.array(msg.position)
        if self._joints is None:
            self._joints = at, positions
        elif at - self._joints[0] > 0.04:
            rates = np.abs(positions - self._joints[1]) / (at - self._joints[0])
            self.arm_speed, self._joints = float(rates.max()), (at, positions)
            if self.arm_speed > ARM_RESTS:
                self.arm_moved_s = time.monotonic()

    def _on_picture(self, _: Image) -> None:
        self.pictures += 1


@contextlib.contextmanager
def go2_arena(
    folder: Path,
    stops: SafeStops,
    policy: str = "patrol",
    root: Path = ROOT,
    video_hz: float = 5.0,
) -> Iterator[Arena]:
    """Start backend mock on a domain that no other test of this run uses."""
    os.environ["ROS_DOMAIN_ID"] = str((os.getpid() + 11 + 37 * next(_domains)) % 100 + 1)
    overrides: dict[str, Any] = {
        "go2": {"video_hz": video_hz},
        # Emulated servos share two cores with all the rest: their answers take longer.
        "bridge": {"state_timeout_s": STATE_TIMEOUT_S, "reply_timeout_s": 0.05},
    }
    graph = describe("go2_arm", "mock", policy, root, Options(overrides=overrides))
    with running(graph, folder, print) as session:
        yield Arena(session, stops)


def after_silence_s(arena: Arena) -> float:
    """Return how long base or arm may move when commands end: deadline, ramp, the body's lag."""
    contract = arena.contract
    ramp = max(c.velocity / c.acceleration for c in contract.action.columns if not c.is_position)
    base = contract.outputs["base"].deadline_s + ramp + 4 * LAG_S
    arm = max(
        c.velocity / c.acceleration + c.acceleration / c.jerk
        for c in contract.action.columns
        if c.is_position
    )
    return max(base, contract.outputs["arm"].deadline_s + arm + 0.1)
