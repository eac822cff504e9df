"""A leader arm takes the follower over and gives it back, over real topics and two emulators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS")

from so101_rig import CALIBRATION
from so101_ros_rig import FOLDER, README, Rig, world
from std_srvs.srv import Trigger

from vla_so101.emulator.emulator import Emulator
from vla_so101.emulator.emulator import arm as emulated
from vla_so101.leader_node import LeaderNode, LeaderParams
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters

__all__ = ["world"]  # a fixture


class Pair(Rig):
    """A follower with its bridge, and a leader arm that a hand may move."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        servos, self.hand = emulated()
        self.hand.weights = [0.0] * 6  # somebody holds it
        self.leader_arm = Emulator(servos, self.hand)
        values: dict[str, object] = {
            "contract_files": (str(FOLDER / "contract.yaml"),),
            "calibration_file": "mock_calibration.json",
            "port": self.leader_arm.port,
            "reply_timeout_s": 0.02,
        }
        self.leader: LeaderNode = world.add(LeaderNode(parameter_overrides=parameters(**values)))

    def move(self, pan: float) -> None:
        """Put the leader's first joint somewhere [rad]."""
        motor = CALIBRATION["shoulder_pan"]
        self.hand.positions[0] = motor.middle + np.rad2deg(pan) * 4095 / 360 + motor.homing_offset

    def call(self, name: str) -> Trigger.Response:
        return self.world.call(Trigger, f"leader/{name}")


@pytest.fixture()
def pair(world: World) -> Iterator[Pair]:
    made = Pair(world)
    world.activate(made.bridge)
    world.until(lambda: made.joints, "joint states of the follower")
    yield made
    made.leader_arm.close()


def test_takes_over_follows_and_hands_back(pair: Pair) -> None:
    pair.world.activate(pair.leader)
    pair.move(0.3)
    pair.world.until(lambda: pair.leader._arm.newest is not None, "the leader is read")
    assert pair.pan() == pytest.approx(0.0, abs=0.01)  # it only watches so far
    assert pair.call("take_over").success
    pair.reaches(0.3)
    pair.move(-0.2)
    pair.reaches(-0.2)
    assert pair.call("hand_back").success
    pair.move(0.5)
    pair.world.until(lambda: pair.bridge._authority.selected == "policy", "the policy's turn")
    pair.command(pair.trajectory(0.1))
    pair.reaches(0.1)


def test_an_unplugged_leader_leaves_the_follower_at_rest(pair: Pair) -> None:
    pair.world.activate(pair.leader)
    pair.world.until(lambda: pair.leader._arm.newest is not None, "the leader is read")
    assert pair.call("take_over").success
    pair.move(0.2)
    pair.reaches(0.2)
    pair.leader_arm.unplug()
    pair.world.until(lambda: not pair.leader._is_chosen, "the leader gives up")

    def twenty_more() -> float:
        count = len(pair.joints)
        pair.world.until(lambda: len(pair.joints) > count + 20, "twenty more joint states")
        return pair.pan()

    at_rest = twenty_more()
    assert at_rest == pytest.approx(0.2, abs=0.02)
    assert twenty_more() == pytest.approx(at_rest, abs=0.002)


def test_does_not_take_over_without_being_active(pair: Pair) -> None:
    answer = pair.call("take_over")
    assert not answer.success and "not active" in answer.message


def test_an_arm_that_holds_torque_is_no_leader(
    pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    pair.leader_arm.servos[0].memory.put("torque", 1)
    pair.leader.trigger_configure()
    assert pair.leader.state_label == "unconfigured"
    assert "the leader arm holds torque" in capfd.readouterr().err


def test_the_readme_names_every_parameter_and_interface(pair: Pair) -> None:
    own = {"observation/joints", "teleoperation/command/joints"}
    assert undocumented(pair.leader, LeaderParams, README, own=own) == []
