"""The bridge with real topics, a real pseudo-terminal and emulated servos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS")

from diagnostic_msgs.msg import DiagnosticArray
from so101_rig import CALIBRATION
from so101_ros_rig import CONTRACT, FOLDER, README, Rig, world
from std_srvs.srv import Trigger

from vla_core.errors import ConfigurationError
from vla_ros import qos
from vla_so101 import calibration
from vla_so101.emulator_node import EmulatorParams
from vla_so101.so101_node import ArmParams
from vla_testing.readme import undocumented
from vla_testing.ros_world import World

__all__ = ["world"]  # a fixture


@pytest.fixture()
def rig(world: World) -> Rig:
    return Rig(world)


def test_reads_before_it_may_move_and_holds_from_activation_on(rig: Rig) -> None:
    rig.bridge.trigger_configure()
    rig.world.until(lambda: rig.joints, "joint states")
    assert not rig.is_held()
    assert list(rig.joints[0].name) == list(CONTRACT.columns)
    before = rig.emulator.positions()
    rig.bridge.trigger_activate()
    assert rig.is_held()
    count = len(rig.joints)
    rig.world.until(lambda: len(rig.joints) > count + 10, "ten more joint states")
    np.testing.assert_allclose(rig.emulator.positions(), before, atol=1.5)


def test_a_command_moves_the_arm_and_is_read_back(rig: Rig) -> None:
    rig.world.activate(rig.bridge)
    rig.world.until(lambda: rig.joints, "joint states")
    rig.command(rig.trajectory(0.2))
    rig.reaches(0.2)
    rig.world.until(lambda: abs(rig.joints[-1].position[0] - 0.2) < 0.003, "it is read back")


def test_deactivation_cleanup_and_destruction_leave_the_arm_up(rig: Rig) -> None:
    rig.world.activate(rig.bridge)
    rig.bridge.trigger_deactivate()
    rig.bridge.trigger_cleanup()
    assert rig.is_held()
    rig.world.activate(rig.bridge)
    assert rig.is_held()


def test_an_unplugged_bus_stops_and_the_arm_is_found_again(rig: Rig) -> None:
    rig.world.activate(rig.bridge)
    rig.world.until(lambda: rig.joints, "joint states")
    rig.set(plugged=False)
    rig.world.until(lambda: rig.bridge.is_stopped, "the stop is latched")
    before = rig.emulator.positions()
    refused = rig.world.call(Trigger, "bridge/reset")
    assert not refused.success and "not found again yet" in refused.message
    rig.set(plugged=True)
    count = len(rig.joints)
    rig.world.until(lambda: len(rig.joints) > count + 5, "joint states are back")
    assert rig.is_held()
    np.testing.assert_allclose(rig.emulator.positions(), before, atol=1.5)
    assert rig.bridge.is_stopped  # a person decides when to go on
    rig.command(rig.trajectory(0.2))
    assert rig.world.call(Trigger, "bridge/reset").success
    rig.command(rig.trajectory(0.1))
    rig.reaches(0.1)


def test_a_loss_of_power_is_told_and_latched(rig: Rig) -> None:
    rig.world.activate(rig.bridge)
    heard = rig.world.listen(DiagnosticArray, "/diagnostics", qos.EVENT)
    rig.set(powered=False)
    rig.world.until(lambda: rig.bridge.is_stopped, "the stop is latched")
    rig.set(powered=True)

    def said() -> bool:
        statuses = [s for array in heard for s in array.status if s.name.endswith("servos")]
        return any("lost their torque" in s.message for s in statuses)

    rig.world.until(said, "the diagnostics say that the torque is gone")


def test_diagnostics_have_load_temperature_and_voltage(rig: Rig) -> None:
    rig.world.activate(rig.bridge)
    heard = rig.world.listen(DiagnosticArray, "/diagnostics", qos.EVENT)

    def values(name: str) -> dict[str, str]:
        found = [s for array in heard for s in array.status if s.name == f"bridge: {name}"]
        return {v.key: v.value for v in found[-1].values} if found else {}

    rig.world.until(lambda: "elbow_flex_voltage_v" in values("servos"), "the servos' values")
    servos = values("servos")
    assert servos["elbow_flex_voltage_v"] == "7.4" and float(servos["gripper_temperature_c"]) < 60
    assert abs(float(servos["shoulder_lift_load"])) <= 1
    assert float(values("bus")["rate_hz"]) > 20


def test_another_arm_is_refused_before_anything_moves(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    entry = CALIBRATION["gripper"]
    changed = calibration.MotorCalibration(entry.id, 0, entry.homing_offset + 5, 2027, 3483)
    calibration.save(other, {**CALIBRATION, "gripper": changed})
    rig = Rig(world, calibration_file=str(other))
    rig.bridge.trigger_configure()
    assert rig.bridge.state_label == "unconfigured"
    assert "'gripper' homing_offset: file 1578, servo 1573" in capfd.readouterr().err
    assert not rig.is_held()


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"port": ""}, "parameter 'port': expected a path"),
        ({"calibration_file": "none.json"}, "cannot read the calibration"),
        ({"joint_offsets": ("elbow=0.1",)}, "expected joint=radians with a joint of"),
        ({"joint_offsets": ("elbow_flex=10deg",)}, "found 'elbow_flex=10deg'"),
    ],
)
def test_wrong_parameters_stop_the_node_at_start(
    world: World, overrides: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Rig(world, **overrides)


def test_the_shipped_mock_calibration_is_the_emulators(rig: Rig) -> None:
    shipped = calibration.load(FOLDER / "mock_calibration.json")
    assert shipped == CALIBRATION
    for servo, motor in zip(rig.emulator.servos, shipped.values(), strict=True):
        names = ("id", "offset", "lowest", "highest")
        found = tuple(servo.memory.get(name) for name in names)
        assert found == (motor.id, motor.homing_offset, motor.range_min, motor.range_max)


def test_the_readme_names_every_parameter_and_interface(rig: Rig) -> None:
    outputs = {f"{source}command/joints" for source in ("", "teleoperation/", "homing/")}
    assert undocumented(rig.bridge, ArmParams, README, own=outputs) == []
    assert undocumented(rig.node, EmulatorParams, README, own=set()) == []
