"""What the base is told, with time as a number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vla_core.types import NS_PER_S
from vla_go2_arm.posture import BaseState
from vla_go2_arm.sport import Api, Call
from vla_go2_arm.walker import FOLLOW_WITHIN_NS, SETTLE_NS, Walker, WalkerSettings

MS = NS_PER_S // 1000
TICK = 20 * MS
STILL, FORWARD = np.zeros(3), np.array([0.3, 0.0, 0.0])
LIMITS = (0.5, 0.3, 0.8)


class Rig:
    """A walker and a robot that obeys, a tick of 20 ms at a time."""

    def __init__(self, service: str = "mcf", code: int = 100, mode: int = 0) -> None:
        self.walker = Walker(WalkerSettings(LIMITS), service)
        self.now = NS_PER_S
        self.code, self.mode = code, mode
        self.velocity = np.zeros(3)
        self.tells = self.advances = True
        self.stamp = -28_000_000 * NS_PER_S  # the robot's clock is a year behind
        self.sent: list[tuple[int, Call]] = []

    def tick(self, wanted: np.ndarray, age: int | None = 0, count: int = 1) -> list[Call]:
        """Go on by so many ticks; return what was sent in them."""
        before = len(self.sent)
        for _ in range(count):
            self.now += TICK
            self.stamp += TICK if self.advances else 0
            if self.tells:
                state = BaseState(
                    self.stamp, np.zeros(3), np.zeros(3), self.velocity, self.mode, self.code
                )
                self.walker.see(state, self.now)
            call = self.walker.tick(wanted, age, self.now)
            if call is not None:
                self.sent.append((self.now, call))
        return [call for _, call in self.sent[before:]]


def apis(calls: list[Call]) -> list[int]:
    return [call.api_id for call in calls]


def test_a_velocity_becomes_a_move_at_each_tick() -> None:
    rig = Rig()
    calls = rig.tick(np.array([0.3, -0.1, 0.4]), count=3)
    assert apis(calls) == [Api.MOVE] * 3
    assert json.loads(calls[0].parameter) == pytest.approx({"x": 0.3, "y": -0.1, "z": 0.4})
    assert calls[0].noreply


def test_nothing_is_sent_before_the_first_command() -> None:
    assert Rig().tick(STILL, age=None, count=50) == []


def test_a_zero_velocity_is_a_stop_and_not_dropped() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    assert apis(rig.tick(STILL)) == [Api.STOP_MOVE]


def test_stops_are_repeated_until_the_state_shows_rest() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    rig.velocity = FORWARD  # the stop is lost, or the robot still walks
    calls = rig.tick(STILL, count=50)
    assert apis(calls) == [Api.STOP_MOVE] * 10  # each tenth of a second for one second
    rig.velocity = STILL
    rig.tick(STILL, count=15)
    assert not rig.walker.is_stopping
    assert rig.tick(STILL, count=50) == []


def test_rest_that_was_told_before_the_stop_does_not_count() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=50)  # a robot that does not move yet: it tells rest all the time
    rig.tick(STILL)
    assert rig.walker.is_stopping


def test_silence_of_half_a_second_stops_whatever_the_ramp_says() -> None:
    rig = Rig()
    rig.tick(FORWARD, age=500 * MS)
    assert apis(rig.tick(FORWARD, age=501 * MS)) == [Api.STOP_MOVE]


def test_a_velocity_that_is_not_finite_stops() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    assert apis(rig.tick(np.array([np.nan, 0.0, 0.0]))) == [Api.STOP_MOVE]


def test_a_velocity_beyond_the_limits_is_clamped_and_counted() -> None:
    rig = Rig()
    (call,) = rig.tick(np.array([9.0, -9.0, 9.0]))
    assert json.loads(call.parameter) == pytest.approx({"x": 0.5, "y": -0.3, "z": 0.8})
    assert rig.walker.clamped == 1


def test_a_state_that_is_not_told_any_more_stops_and_says_so() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    rig.tells = False
    assert apis(rig.tick(FORWARD, count=15)) == [Api.MOVE] * 15
    assert apis(rig.tick(FORWARD)) == [Api.STOP_MOVE]
    assert "has not advanced for 0.32 s" in str(rig.walker.problem(rig.now))
    # Nobody knows whether it rests: stops go on.
    assert apis(rig.tick(STILL, count=100)) == [Api.STOP_MOVE] * 20


def test_a_state_whose_stamp_stands_still_is_a_frozen_firmware() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    rig.advances = False
    assert apis(rig.tick(FORWARD, count=20))[-1] == Api.STOP_MOVE
    assert "has not advanced" in str(rig.walker.problem(rig.now))


def test_a_robot_that_answers_move_and_stands_still_is_noticed() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=FOLLOW_WITHIN_NS // TICK)
    assert rig.walker.problem(rig.now) is None
    rig.tick(FORWARD, count=3)
    assert "has not moved for 2.0 s of Move" in str(rig.walker.problem(rig.now))


def test_a_robot_that_follows_is_not_accused() -> None:
    rig = Rig()
    rig.velocity = FORWARD
    rig.tick(FORWARD, count=500)
    assert rig.walker.problem(rig.now) is None


@pytest.mark.parametrize("before", [1002, 1004, 1006, 7777])
def test_after_standing_up_move_is_held_back_for_ten_seconds(before: int) -> None:
    rig = Rig(code=before)
    rig.tick(STILL)
    rig.code = 1013
    rig.tick(STILL)
    assert rig.tick(FORWARD, count=SETTLE_NS // TICK - 1) == []
    assert rig.walker.settles_s(rig.now) < 0.1
    assert apis(rig.tick(FORWARD, count=2))[-1] == Api.MOVE


@pytest.mark.parametrize(
    ("service", "code", "mode", "said"),
    [
        ("mcf", 1002, 1, "locked joints"),
        ("mcf", 1001, 1, "lies, sits or is damped"),
        ("mcf", 2012, 1, "something of its own"),
        ("mcf", 4711, 1, "does not know"),
        ("normal", 100, 6, "locked joints"),
        ("normal", 100, 7, "lies, sits or is damped"),
        ("ai", 100, 99, "does not know"),
    ],
)
def test_only_a_standing_robot_is_told_to_move(
    service: str, code: int, mode: int, said: str
) -> None:
    rig = Rig(service, code, mode)
    assert rig.tick(FORWARD, count=10) == []
    assert said in str(rig.walker.problem(rig.now))


@pytest.mark.parametrize(("service", "code", "mode"), [("mcf", 100, 7), ("normal", 1001, 1)])
def test_new_firmware_tells_its_posture_in_error_code_and_old_in_mode(
    service: str, code: int, mode: int
) -> None:
    assert apis(Rig(service, code, mode).tick(FORWARD)) == [Api.MOVE]


def test_a_stop_does_not_fight_an_operator_who_drives() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    rig.walker.operator(True)
    rig.walker.halt()
    rig.velocity = FORWARD  # by the sticks
    assert apis(rig.tick(FORWARD, age=None, count=50)) == [Api.STOP_MOVE]  # ends our own Move
    rig.walker.operator(False)
    assert apis(rig.tick(STILL, age=None, count=10)) == [Api.STOP_MOVE] * 2


def test_a_new_move_after_a_stop_owes_a_new_stop() -> None:
    rig = Rig()
    rig.tick(FORWARD, count=5)
    rig.tick(STILL, count=30)
    assert not rig.walker.is_stopping
    rig.tick(FORWARD)
    assert apis(rig.tick(STILL)) == [Api.STOP_MOVE]
