"""The guard: what happens when the bridge's requests end in the middle of a Move."""

from __future__ import annotations

import itertools
import time

import needs_unitree  # noqa: F401  (skips this module)
import pytest
from unitree_api.msg import Request

from vla_go2_arm.emulator.emulator_node import EmulatorNode
from vla_go2_arm.guard_node import GuardNode
from vla_go2_arm.messages import fill_request
from vla_go2_arm.sport import Api, Call, call, move
from vla_ros import qos
from vla_testing.ros_world import World, parameters, ros_world

numbers = itertools.count(1)


class Rig:
    """An emulated robot, its guard, and somebody who sends the bridge's requests."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node = EmulatorNode(parameter_overrides=parameters(move_held_s=5.0, state_hz=50.0))
        world.add(self.node)
        self.guard = world.add(GuardNode(parameter_overrides=parameters(silence_s=0.5)))
        self.requests = world.listen(Request, "/api/sport/request", qos.EVENT)
        self.talk = world.talk(Request, "/api/sport/request", qos.EVENT)

    def send(self, what: Call) -> None:
        self.talk(fill_request(Request(), what, next(numbers)))

    def walk(self, ours: bool = True) -> None:
        """Send Moves until the robot walks."""

        def walks() -> bool:
            request = fill_request(Request(), move(0.3, 0.0, 0.0), next(numbers))
            request.header.identity.id *= 1 if ours else -1
            self.talk(request)
            return self.speed > 0.25

        self.world.until(walks, "the robot walks")

    @property
    def speed(self) -> float:
        return float(self.node.robot.speed)


def test_a_move_that_is_not_followed_by_anything_is_ended() -> None:
    with ros_world() as world:
        rig = Rig(world)
        rig.walk()
        world.until(lambda: rig.speed < 0.02, "the robot comes to rest")
        assert rig.guard.interventions == 1
        world.until(lambda: not rig.guard._is_stopping, "rest is seen")


@pytest.mark.parametrize("ended", ["by a stop", "by others"])
def test_the_guard_keeps_out_of_what_is_not_its_business(ended: str) -> None:
    with ros_world() as world:
        rig = Rig(world)
        rig.walk(ours=ended == "by a stop")
        if ended == "by a stop":
            rig.send(call(Api.STOP_MOVE))
        end = time.monotonic() + 1.0
        world.until(lambda: time.monotonic() > end, "twice the guard's silence")
        assert rig.guard.interventions == 0
