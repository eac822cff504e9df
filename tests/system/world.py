"""What the system tests share: a whole graph in real processes, and a bag to judge it by."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

from vla_bringup.graph import Graph, Options, describe
from vla_bringup.session import Session, running
from vla_core.contract import Contract, load_contract
from vla_core.types import NS_PER_S
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_ros.stamps import time_ns

ROOT = Path(__file__).resolve().parents[2]
MOVING, RESTING = 0.15, 0.05  # rad/s, of the fastest joint
_domains = itertools.count(1)  # 0 would be the one of this process


class World:
    """A session with ears: the newest clock, joints and speed."""

    def __init__(self, session: Session, graph: Graph, folder: Path) -> None:
        self.session, self.graph, self.folder = session, graph, folder
        self.client, self.runner = session.client, session.runner
        self.contract: Contract = load_contract(graph.contract_files)
        self.now_ns = 0
        self.speed = 0.0
        self._last: tuple[int, np.ndarray] | None = None
        self._moved_ns = 0
        node = self.client.node
        joints = self.contract.observation.state["joints"].topic
        node.create_subscription(Clock, "/clock", self._on_clock, qos.SENSOR)
        node.create_subscription(JointState, joints, self._on_joints, qos.SENSOR)

    @property
    def state(self) -> ExecutorState:
        """The newest state of the executor."""
        return self.session.state or ExecutorState(reason="not heard of")

    def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for a condition; the deadline's sentence says what did not happen."""
        self.session.until(condition, within_s, what)

    def until_mode(self, mode: int, within_s: float, what: str) -> None:
        """Wait for a mode of the executor."""
        self.until(lambda: self.state.mode == mode, within_s, what)

    def begin(self, instruction: str, seed: int) -> object:
        """Reset the scene and start a task; returns when the arm moves."""
        self.client.reset_scene(seed, instruction)
        self.until_mode(ExecutorState.MODE_IDLE, 10.0, "the executor was not idle")
        handle = self.client.start_task(instruction, time_limit_s=40.0)
        self.until(lambda: self.is_moving, 20.0, "the arm did not begin to move")
        return handle

    def until_at_rest(self, within_s: float) -> None:
        """Wait until the arm has stood still for half a second of simulated time."""
        self.until(
            lambda: self.now_ns - self._moved_ns > NS_PER_S // 2,
            within_s,
            "the arm did not come to rest",
        )

    @property
    def is_moving(self) -> bool:
        """Whether a plan is played and the arm moves."""
        return self.state.mode == ExecutorState.MODE_RUNNING and self.speed > MOVING

    def kill(self, name: str) -> int:
        """Kill a node as hard as it goes; returns the simulated time at which it was done."""
        pid = self.runner.pid(name)
        assert pid is not None
        at = self.now_ns
        os.killpg(pid, signal.SIGKILL)
        return at

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Let a process stand still for as long as this lasts."""
        pid = self.runner.pid(name)
        assert pid is not None
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)

    def braking_s(self) -> float:
        """Return the longest time in which any column comes to rest inside its limits."""
        columns = self.contract.action.columns
        return max(c.velocity / c.acceleration + c.acceleration / c.jerk for c in columns)

    def deadline_s(self) -> float:
        """Return the contract's deadline of the slowest receiver."""
        return max(output.deadline_s for output in self.contract.outputs.values())

    def _on_clock(self, message: Clock) -> None:
        self.now_ns = time_ns(message.clock)

    def _on_joints(self, message: JointState) -> None:
        at, positions = time_ns(message.header.stamp), np.array(message.position)
        if self._last is not None and at > self._last[0]:
            rate = np.abs(positions - self._last[1]) / ((at - self._last[0]) / 1e9)
            self.speed = float(rate.max())
            if self.speed > RESTING:
                self._moved_ns = at
        self._last = at, positions


@contextlib.contextmanager
def world(
    folder: Path, policy: str = "expert", root: Path = ROOT, uri: str = "", robot: str = "so101"
) -> Iterator[World]:
    """Start a simulated robot on a ROS domain that no other test of this run uses."""
    os.environ["ROS_DOMAIN_ID"] = str((os.getpid() + 37 * next(_domains)) % 100 + 1)
    options = Options(record=folder, record_images=False, uri=uri)
    graph = describe(robot, "sim", policy, root, options)
    with running(graph, folder, print) as session:
        yield World(session, graph, folder)
