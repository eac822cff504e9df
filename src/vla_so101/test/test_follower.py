"""What is wrong with an arm under commands, as sentences; on a line without time."""

from __future__ import annotations

import numpy as np
import pytest
from so101_rig import CALIBRATION, GRIPPER_RANGE, DirectPort

from vla_core.errors import NotReadyError
from vla_so101.arm import Arm, ArmSettings
from vla_so101.follower import RETRY_NS, SILENT_NS, Follower
from vla_so101.port import PortLostError

S = 1_000_000_000


class Plug:
    """A port that can be pulled out."""

    def __init__(self) -> None:
        self.line = DirectPort()
        self.is_in = True
        for servo in self.line.servos:
            servo.memory.put("position", 2300)

    def open(self, path: str, baud_rate: int) -> DirectPort:
        if not self.is_in:
            raise NotReadyError("no serial port")
        return self.line

    def pull(self) -> None:
        self.is_in = False

        def gone(_: object) -> None:
            raise PortLostError("the port is gone")

        self.line.send = gone  # type: ignore[method-assign, assignment]

    def put_back(self) -> None:
        self.is_in = True
        del self.line.send  # type: ignore[method-assign]


@pytest.fixture()
def plug() -> Plug:
    return Plug()


@pytest.fixture()
def follower(plug: Plug) -> Follower:
    made = Follower(Arm(ArmSettings("direct", CALIBRATION, GRIPPER_RANGE), plug.open))
    made.connect(0)
    made.hold()
    return made


def test_reads_and_sends(follower: Follower) -> None:
    reading = follower.step(np.zeros(6), S)
    assert reading is not None and not follower.trouble
    assert reading.state.goal_ticks[0] == round(CALIBRATION["shoulder_pan"].middle)


def test_a_lost_port_is_trouble_until_it_is_back_and_checked(
    plug: Plug, follower: Follower
) -> None:
    plug.pull()
    assert follower.step(None, S) is None
    assert follower.is_lost and "gone" in follower.trouble
    plug.put_back()
    assert follower.step(None, S + RETRY_NS // 2) is None  # not at every tick
    assert follower.step(None, S + RETRY_NS) is not None
    assert not follower.is_lost and not follower.trouble


def test_another_arm_on_the_same_plug_is_not_taken(plug: Plug, follower: Follower) -> None:
    plug.pull()
    follower.step(None, S)
    plug.put_back()
    plug.line.servos[0].memory.put("offset", 77)
    assert follower.step(None, S + RETRY_NS) is None
    assert follower.is_lost and "'shoulder_pan' homing_offset" in follower.trouble


def test_a_servo_may_miss_a_tick_but_not_half_a_second(plug: Plug, follower: Follower) -> None:
    follower.step(None, S)
    plug.line.servos[4].is_powered = False
    assert follower.step(None, S + SILENT_NS) is None and not follower.trouble
    follower.step(None, S + SILENT_NS + 1)
    assert "['wrist_roll'] do not answer" in follower.trouble


def test_lost_torque_is_trouble_and_reading_goes_on(plug: Plug, follower: Follower) -> None:
    plug.line.servos[2].memory.put("torque", 0)
    assert follower.step(None, S) is not None
    assert "['elbow_flex'] lost their torque" in follower.trouble


def test_an_overload_stops_and_is_cleared_by_recovering(plug: Plug, follower: Follower) -> None:
    servo = plug.line.servos[1]
    servo.is_overloaded = True
    follower.step(None, S)
    assert follower.trouble == "servos complain: 'shoulder_lift': overload"
    follower.recover()
    follower.step(None, S + 1)
    assert not follower.trouble and servo.memory.get("torque") == 1


def test_a_gripper_that_presses_is_no_reason_to_stop(plug: Plug, follower: Follower) -> None:
    plug.line.servos[5].is_overloaded = True
    follower.step(None, S)
    assert not follower.trouble and follower.arm.complaints() == {"gripper": ["overload"]}
