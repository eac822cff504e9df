"""Robots that drive: a task done through every process, and the base at rest when nobody commands.

One graph and one recording per robot; the last test judges the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from sensor_msgs.msg import JointState
from world import ROOT, World, world

from vla_core.types import NS_PER_S
from vla_data.checker import check
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_ros.stamps import time_ns
from vla_testing.tables import SafeStops

pytestmark = pytest.mark.timeout(240)

DRIVING, RESTING = 0.08, 0.01  # m/s
# From a command until a base follows it, in the simulation (`vla_scenes.stage.base`) [s].
LAG_S = 0.08
STOPS = SafeStops("tests/system/test_bases.py")


@dataclass(frozen=True)
class Driver:
    """A robot, its expert, what the truth calls its base, and what it is told."""

    robot: str
    policy: str
    base: str
    instruction: str


DRIVERS = (
    Driver("hsr", "hsr_expert", "base", "fetch the red can"),
    Driver("go2_arm", "go2_arm_expert", "trunk", "go to the red cube and lift it"),
)


class Road:
    """Where the base truly is, and how fast."""

    def __init__(self, world: World, driver: Driver) -> None:
        self.world, self.driver = world, driver
        self.speed, self.moved_ns = 0.0, 0
        self._track: list[tuple[int, np.ndarray]] = []
        topic = world.contract.observation.state["objects"].topic
        world.client.node.create_subscription(JointState, topic, self._on_truth, qos.SENSOR)

    def _on_truth(self, message: JointState) -> None:
        index = [message.name.index(f"{self.driver.base}.{axis}") for axis in "xy"]
        at, place = time_ns(message.header.stamp), np.array(message.position)[index]
        # Over a tenth of a second, so that the sway of a gait does not count as driving.
        self._track = [(t, p) for t, p in self._track if at - NS_PER_S // 10 <= t < at]
        if self._track:
            before, there = self._track[0]
            self.speed = float(np.linalg.norm(place - there)) / ((at - before) / NS_PER_S)
            if self.speed > RESTING:
                self.moved_ns = at
        self._track.append((at, place))


@pytest.fixture(scope="module", params=DRIVERS, ids=lambda driver: driver.robot)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    """The running graph of one robot."""
    driver: Driver = request.param
    folder = tmp_path_factory.mktemp(driver.robot)
    with world(folder, driver.policy, robot=driver.robot) as running:
        yield Road(running, driver)
    STOPS.write(ROOT)


def test_the_expert_does_its_task_through_the_chunk_path(road: Road) -> None:
    client = road.world.client
    client.reset_scene(1_000_000, road.driver.instruction)
    outcome = client.run_task(road.driver.instruction, time_limit_s=40.0)
    assert outcome.success, outcome
    assert outcome.policy == road.driver.policy


def test_a_base_whose_executor_was_killed_is_at_rest_within_its_deadline(road: Road) -> None:
    arena = road.world
    arena.client.reset_scene(1_000_001, road.driver.instruction)
    arena.until_mode(ExecutorState.MODE_IDLE, 20.0, "the executor was not idle")
    arena.client.start_task(road.driver.instruction, time_limit_s=40.0)
    arena.until(lambda: road.speed > DRIVING, 40.0, "the base did not begin to drive")
    bases = [c for c in arena.contract.action.columns if not c.is_position]
    ramp_s = max(c.velocity / c.acceleration for c in bases)
    allowed = arena.contract.outputs["base"].deadline_s + ramp_s + 3 * LAG_S + 0.1
    # The watchdog runs on the steady clock: on a machine that falls behind, simulated time is
    # shorter than that, never longer. Without a supervisor nobody activates the next executor,
    # which would go on with the task.
    with arena.frozen("supervisor"):
        killed_ns = arena.kill("executor")
        arena.until(
            lambda: arena.now_ns - max(road.moved_ns, killed_ns) > NS_PER_S,
            30.0,
            "the base did not come to rest",
        )
    took_s = max(0, road.moved_ns - killed_ns) / NS_PER_S
    STOPS.judge(f"{road.driver.robot}: executor killed", "base", took_s, allowed)


def test_no_command_left_its_limits(road: Road) -> None:
    road.world.runner.stop()
    found = check(road.world.folder / "bag").violations
    # A gap is this machine's scheduling.
    assert not [str(violation) for violation in found if violation.kind != "gap"]
