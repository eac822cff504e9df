"""A bridge in this process, an emulated robot in a thread, and an arm that obeys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needs_unitree  # noqa: F401  (skips this module)
import numpy as np
from geometry_msgs.msg import Twist
from rclpy.executors import SingleThreadedExecutor
from unitree_api.msg import Request

from vla_core.contract import load_contract
from vla_go2_arm.bridge_node import Go2ArmNode
from vla_go2_arm.emulator.emulator_node import EmulatorNode
from vla_ros import qos
from vla_ros.joints import twist_msg
from vla_ros.quick import QuickTopics
from vla_testing.ros_world import World, parameters, ros_world

CONTRACT_FILE = str(Path(__file__).parents[3] / "config/robots/go2_arm/contract.yaml")
CONTRACT = load_contract([CONTRACT_FILE])
HOME = np.array([CONTRACT.home[name] for name in CONTRACT.outputs["arm"].columns])
FIELDS = CONTRACT.outputs["base"].fields


@dataclass(frozen=True)
class Reading:
    """As the driver's."""

    positions: Any
    velocities: Any


class ObedientArm:
    """An arm that is where it was told to be, until it is unplugged."""

    def __init__(self) -> None:
        self.goal = HOME.copy()
        self.holds = False
        self.unplugged = False
        self.refusal: Exception | None = None

    @property
    def trouble(self) -> str:
        return "port /dev/ttyACM0 is gone" if self.unplugged else ""

    def connect(self, now_ns: int) -> None:
        """Always there, unless a test says why not."""
        if self.refusal is not None:
            raise self.refusal

    def hold(self) -> None:
        self.holds = True

    def recover(self) -> None:
        """Nothing protects itself."""

    def step(self, goals: Any, now_ns: int) -> Reading | None:
        if self.unplugged:
            return None
        if goals is not None:
            self.goal = goals
        return Reading(self.goal, self.goal * 0)

    def close(self) -> None:
        """Nothing is held."""


class Bridge(Go2ArmNode):
    """The bridge with an obedient arm."""

    def __init__(self, **options: Any) -> None:
        self.obedient = ObedientArm()
        super().__init__(**options)

    def make_arm(self) -> ObedientArm:
        return self.obedient


class Rig:
    """One robot on its own topics, its bridge, and somebody who commands the base."""

    def __init__(self, world: World, emulated: dict[str, Any], bridged: dict[str, Any]) -> None:
        self.world = world
        # Slower than the real one, and patience: a test machine may be busy with other things.
        emulated = {"state_hz": 50.0, **emulated}
        bridged = {"state_timeout_s": 1.0, **bridged}
        self.robot = EmulatorNode(parameter_overrides=parameters(**emulated))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.robot)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._running = True
        self._thread.start()
        values = {"contract_files": (CONTRACT_FILE,), **bridged}
        self.bridge: Bridge = world.add(Bridge(parameter_overrides=parameters(**values)))
        self._quick = QuickTopics(self.bridge, self._on_crash)
        self.crash: BaseException | None = None
        self.requests: list[Request] = world.listen(Request, "/api/sport/request", qos.EVENT)
        self.command = world.talk(Twist, "command/base", qos.COMMAND)
        self._timer: Any = None

    def drive(self, vx: float, vy: float = 0.0, vyaw: float = 0.0) -> None:
        """Command a velocity 50 times a second from now on."""
        self.let_go()
        values = np.array([vx, vy, vyaw])
        self._timer = self.world.tester.create_timer(
            0.02, lambda: self.command(twist_msg(FIELDS, values))
        )

    def let_go(self) -> None:
        """Command nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def walk(self, vx: float = 0.3) -> None:
        """Drive until the robot walks."""
        self.drive(vx)
        self.world.until(lambda: self.speed > 0.8 * vx, "the robot walks")

    def comes_to_rest(self) -> None:
        self.world.until(lambda: self.speed < 0.02, "the robot comes to rest")

    def apis(self) -> list[int]:
        return [request.header.identity.api_id for request in self.requests]

    @property
    def speed(self) -> float:
        return float(self.robot.robot.speed)

    def close(self) -> None:
        self._quick.stop()
        self._running = False
        self._thread.join(timeout=10.0)
        self.robot.destroy_node()
        assert self.crash is None, self.crash

    def _spin(self) -> None:
        while self._running:
            self._executor.spin_once(timeout_sec=0.05)

    def _on_crash(self, error: BaseException) -> None:
        self.crash = error


@contextmanager
def rig(emulated: dict[str, Any] | None = None, **bridged: Any) -> Iterator[Rig]:
    """Give a rig to one test."""
    with ros_world() as world:
        it = Rig(world, emulated or {}, bridged)
        try:
            yield it
        finally:
            # The bridge first: it waits for the robot's rest.
            it.bridge.take_down()
            it.close()
