"""Requests, replies and retries on a line without time."""

from __future__ import annotations

import pytest
from so101_rig import DirectPort

from vla_so101 import registers as reg
from vla_so101.bus import Bus, NoReplyError, Presence
from vla_so101.emulator.emulator import arm


def test_reads_and_writes_registers() -> None:
    bus = Bus(DirectPort())
    assert bus.ping(3) and not bus.ping(7)
    assert bus.read(2, reg.HOMING_OFFSET) == -369
    bus.write(2, reg.GOAL_POSITION, 2000)
    assert bus.read(2, reg.GOAL_POSITION) == 2000


def test_reads_all_servos_in_one_request() -> None:
    port = DirectPort()
    found = Bus(port).sync_read([1, 2, 3, 4, 5, 6], 9, 4)
    assert len(port.sent) == 1
    assert int.from_bytes(found[6][:2], "little") == 2027


def test_asks_again_only_those_whose_reply_was_damaged() -> None:
    port = DirectPort(corrupt=0.2, seed=3)
    bus = Bus(port, attempts=50)
    for _ in range(200):
        assert sorted(bus.sync_read([1, 2, 3, 4, 5, 6], 40, 31)) == [1, 2, 3, 4, 5, 6]
    assert bus.counters.retries > 50 and bus.counters.failed == 0
    repeated = [sent for sent in port.sent if len(sent) < 14]
    assert repeated, "no request for fewer than six servos"


def test_no_wrong_value_comes_through_a_bad_line() -> None:
    bus = Bus(DirectPort(corrupt=0.3, seed=1), attempts=100)
    for _ in range(300):
        assert bus.read(4, reg.MAX_POSITION) == 3121
        bus.write(4, reg.GOAL_POSITION, 1500)
        assert bus.read(4, reg.GOAL_POSITION) == 1500


def test_a_servo_that_does_not_answer_is_named() -> None:
    bus = Bus(DirectPort(lose=1.0), attempts=3)
    with pytest.raises(NoReplyError, match="servo 5 on direct does not answer after 3 attempts"):
        bus.read(5, reg.ID)
    assert bus.counters.failed == 1


def test_two_servos_with_one_id_collide_and_a_bad_line_does_not_look_like_it() -> None:
    servos = [*arm()[0], *arm([0.4] * 6)[0][:1]]
    servos[-1].memory.put("offset", 17)
    bus = Bus(DirectPort(servos))
    assert bus.survey(1, 0, 40) is Presence.COLLIDES
    assert bus.survey(2, 0, 40) is Presence.THERE
    assert bus.survey(9, 0, 40) is Presence.SILENT
    assert Bus(DirectPort(corrupt=0.05, lose=0.05, seed=2)).survey(2, 0, 40) is Presence.THERE


class LatePort(DirectPort):
    """Its answers come one request too late."""

    def __init__(self) -> None:
        super().__init__()
        self._late = b""

    def send(self, data: bytes) -> None:
        super().send(data)
        self._answer, self._late = self._late, self._answer


def test_a_late_reply_is_not_taken_for_the_answer_to_the_next_request() -> None:
    bus = Bus(LatePort(), attempts=2)
    for register in (reg.HOMING_OFFSET, reg.MIN_POSITION, reg.MAX_POSITION, reg.GOAL_POSITION):
        with pytest.raises(NoReplyError):
            bus.read(2, register)
    assert bus.survey(2, 0, 40) is Presence.SILENT  # late, but not damaged
