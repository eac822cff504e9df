"""Packets to the byte, and found again in damaged streams."""

from __future__ import annotations

import random

import pytest

from vla_core.errors import ConfigurationError
from vla_so101 import packet
from vla_so101 import registers as reg
from vla_so101.packet import StatusFinder


def status(id_: int, data: bytes, error: int = 0) -> bytes:
    body = bytes([id_, len(data) + 2, error]) + data
    return b"\xff\xff" + body + bytes([~sum(body) & 0xFF])


def test_packets_are_those_of_the_protocol() -> None:
    # From Feetech's communication protocol: ping of servo 1; write of 1000 to address 42.
    assert packet.instruction(1, packet.PING) == bytes.fromhex("ffff010201fb")
    assert packet.instruction(1, packet.WRITE, b"\x2a\xe8\x03") == bytes.fromhex(
        "ffff0105032ae803e1"
    )
    assert packet.sync_read([1, 2], 56, 8) == bytes.fromhex("fffffe06823808010236")
    assert packet.sync_write(42, {1: b"\x00\x08", 2: b"\x01\x08"}) == bytes.fromhex(
        "fffffe0a832a02010008020108" + "34"
    )


@pytest.mark.parametrize(
    ("register", "value", "raw"),
    [
        (reg.GOAL_POSITION, 2047, "ff07"),
        (reg.GOAL_POSITION, -5, "0580"),
        (reg.HOMING_OFFSET, -369, "7109"),
        (reg.HOMING_OFFSET, 2047, "ff07"),
        (reg.PRESENT_LOAD, -200, "c804"),
        (reg.TORQUE_ENABLE, 1, "01"),
    ],
)
def test_signed_registers_are_sign_and_magnitude(
    register: reg.Register, value: int, raw: str
) -> None:
    assert register.encode(value).hex() == raw
    assert register.decode(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("register", "value"), [(reg.HOMING_OFFSET, 2048), (reg.TORQUE_ENABLE, 256), (reg.ID, -1)]
)
def test_a_value_that_does_not_fit_is_refused(register: reg.Register, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"'{register.name}': expected .* got {value}"):
        register.encode(value)


def test_finds_packets_in_pieces_and_behind_noise() -> None:
    stream = b"\x00\xff" + status(1, b"\x11\x22") + b"\xff" + status(2, b"\xff\xff")
    for cut in range(len(stream)):
        finder = StatusFinder(2)
        found = finder.feed(stream[:cut]) + finder.feed(stream[cut:])
        assert [(s.id, s.data.hex()) for s in found] == [(1, "1122"), (2, "ffff")]
        assert finder.skipped == 3


def test_a_damaged_packet_costs_itself_alone() -> None:
    dice = random.Random(0)
    for _ in range(500):
        packets = [status(i, bytes(dice.randrange(256) for _ in range(8))) for i in range(1, 7)]
        victim = dice.randrange(6)
        damaged = bytearray(packets[victim])
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        stream = b"".join([*packets[:victim], bytes(damaged), *packets[victim + 1 :]])
        found = StatusFinder(8).feed(stream)
        healthy = [i for i in range(1, 7) if i != victim + 1]
        assert [s.id for s in found if s.id in healthy] == healthy


def test_the_error_byte_is_told_in_words() -> None:
    assert StatusFinder(0).feed(status(3, b"", 0x25))[0].error == 0x25
    assert reg.error_names(0x25) == ["voltage", "overheat", "overload"]


def test_a_sound_reply_of_another_length_is_older_not_damaged() -> None:
    finder = StatusFinder(4)
    found = finder.feed(status(1, b"\x01") + status(2, b"1234") + status(3, b"123456") + b"\xff")
    assert [s.id for s in found] == [2] and finder.skipped == 0
