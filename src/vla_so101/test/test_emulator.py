"""The emulator alone: no code of the driver, memory, falling, protection."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from vla_so101.emulator.emulator import arm
from vla_so101.emulator.memory import Memory
from vla_so101.emulator.plant import Drive, FirstOrderArm
from vla_so101.emulator.servo import Servo
from vla_so101.emulator.wire import Code, Listener

PACKAGE = Path(__file__).parents[1] / "vla_so101"
DRIVER = (
    "registers",
    "packet",
    "port",
    "bus",
    "state",
    "handshake",
    "arm",
    "units",
    "calibration",
)
TORQUE, GOAL, LOCK, PAN_OFFSET = 40, 42, 55, 31


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_emulator_and_driver_share_no_code() -> None:
    for path in (PACKAGE / "emulator").glob("*.py"):
        ours = {name for name in imports(path) if name.startswith("vla_")}
        assert all(name.startswith("vla_so101.emulator") for name in ours), path.name
        assert "serial" not in imports(path), path.name
    for name in DRIVER:
        assert not [i for i in imports(PACKAGE / f"{name}.py") if "emulator" in i], name


def test_hears_instructions_behind_noise_and_in_pieces() -> None:
    ping = bytes.fromhex("ffff010201fb")
    for noise in (b"", b"\xff", b"\x12\xff\xff", b"\xff\xff\x01\x00", b"\xff\xff\x01\x01"):
        listener = Listener()
        for byte in noise:
            listener.hear(bytes([byte]))
        listener.silence()
        heard = [i for byte in b"\xff" + ping for i in listener.hear(bytes([byte]))]
        assert [(i.target, i.code) for i in heard] == [(1, Code.PING)], noise
    assert Listener().hear(ping[:-1] + b"\x00") == []


def test_memory_outlives_the_power_only_where_and_when_it_shall() -> None:
    memory = Memory(offset=-5)
    assert memory.get("offset") == -5
    memory.write(PAN_OFFSET, b"\x09\x00")  # locked: gone with the power
    assert memory.get("offset") == 9
    memory.restart()
    assert memory.get("offset") == -5
    memory.write(LOCK, b"\x00")
    memory.write(PAN_OFFSET, b"\x09\x08")
    memory.write(TORQUE, b"\x01")
    memory.restart()
    assert memory.get("offset") == -9 and memory.get("torque") == 0


def test_sensors_cannot_be_written() -> None:
    servo = Servo()
    status = servo.obey(Code.WRITE, bytes([56, 0, 0]))
    assert status is not None and status[4] & 0x10


def test_a_joint_follows_its_target_inside_its_speed() -> None:
    plant = FirstOrderArm([1000.0], [(0.0, 4095.0)], [0.0])
    for _ in range(1000):
        before = plant.positions[0]
        plant.step([Drive(3000.0, 1.0, 25_400.0)], 0.002)
        assert abs(plant.positions[0] - before) <= 3070 * 0.002 + 1e-9
    assert plant.positions[0] == pytest.approx(3000.0, abs=0.5)


def test_an_arm_without_torque_falls_and_one_with_torque_does_not() -> None:
    servos, plant = arm([0.5] * 6)
    before = list(plant.positions)
    for servo, position in zip(servos, before, strict=True):
        servo.memory.put("goal", round(position) - servo.memory.get("offset"))
        servo.memory.put("torque", 1)
    for _ in range(500):
        plant.step([servo.drive() for servo in servos], 0.002)
    assert plant.positions == pytest.approx(before, abs=1.0)
    servos[1].memory.put("torque", 0)
    for _ in range(250):
        plant.step([servo.drive() for servo in servos], 0.002)
    assert plant.positions[1] - before[1] < -300
    assert plant.positions[0] == pytest.approx(before[0], abs=1.0)


def test_a_blocked_servo_protects_itself_and_says_so() -> None:
    servo = Servo(protection_time=50)
    servo.store(bytes([TORQUE, 1]))
    for _ in range(300):
        servo.measure(2000.0, 0.0, 1.0, 0.002)
    assert servo.is_overloaded and servo.drive().strength == pytest.approx(0.2)
    status = servo.obey(Code.PING, b"")
    assert status is not None and status[4] == 0x20
    servo.store(bytes([TORQUE, 1]))
    assert not servo.is_overloaded
