"""The driver against the emulated arm on a real pseudo-terminal."""

from __future__ import annotations

import numpy as np
import pytest
from so101_rig import CALIBRATION, DirectPort, Rig

from vla_core.errors import NotReadyError
from vla_so101 import registers as reg
from vla_so101.arm import Arm, ArmSettings
from vla_so101.bus import Bus
from vla_so101.emulator.emulator import arm as emulated
from vla_so101.port import PortLostError, SerialPort


def test_connects_holds_and_reads_what_the_servos_measure(rig: Rig) -> None:
    rig.arm.connect()
    before = rig.emulator.positions()
    rig.arm.hold()
    state = rig.arm.exchange()
    assert state.is_complete and state.torque.all()
    np.testing.assert_allclose(state.ticks, before, atol=1.0)
    assert state.voltages == pytest.approx(7.4) and (state.temperatures < 40).all()
    assert rig.arm.complaints() == {}


def test_switching_torque_on_does_not_move_the_arm(rig: Rig) -> None:
    # Goals of an earlier life, far from where the arm is now.
    for servo in rig.emulator.servos:
        servo.memory.put("goal", servo.memory.get("lowest"))
    rig.arm.connect()
    rig.arm.hold()
    for _ in range(10):
        rig.arm.exchange()
    _, positions = rig.emulator.truth.positions()
    assert np.ptp(positions, axis=0).max() < 2.0


def test_goes_where_it_is_told_and_reads_it_back_to_the_tick(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    goal = rig.measured() + np.array([0.2, 0.3, -0.1, -0.2, -0.3, 0.2])
    rig.arm.exchange(goal)
    tick = np.deg2rad(360 / 4095)
    np.testing.assert_allclose(rig.arm.goals(rig.arm.exchange()), goal, atol=0.6 * tick)
    rig.until(lambda: np.abs(rig.measured() - goal).max() < 1.1 * tick, "the arm arrives")


def test_a_joint_without_a_goal_is_left_alone(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    before = rig.arm.exchange().goal_ticks
    rig.arm.exchange(np.array([0.1, *[np.nan] * 5]))
    after = rig.arm.exchange().goal_ticks
    assert after[0] != before[0] and (after[1:] == before[1:]).all()


def test_goals_beyond_the_calibrated_range_end_at_its_edge(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.exchange(np.full(6, 3.5))
    assert (rig.arm.exchange().goal_ticks == [c.range_max for c in CALIBRATION.values()]).all()


def test_closing_leaves_the_arm_up(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    rig.arm.close()
    rig.arm.close()
    count = len(rig.emulator.truth.positions()[0])
    rig.until(lambda: len(rig.emulator.truth.positions()[0]) > count + 100, "0.2 s more")
    positions = rig.emulator.truth.positions()[1][count:]
    assert np.ptp(positions, axis=0).max() < 1.0
    with pytest.raises(NotReadyError, match="not connected"):
        rig.arm.exchange()


def test_a_second_connection_leaves_torque_and_goals_as_they_are(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    rig.arm.exchange(rig.measured() + np.array([0.02, 0.02, -0.02, -0.02, 0.02, 0.02]))
    goals = rig.arm.exchange().goal_ticks
    rig.arm.close()
    # Somebody changed a gain meanwhile; writing it needs the torque off, so it stays, and is told.
    rig.emulator.servos[1].memory.put("p", 32)
    rig.arm.connect()
    assert rig.arm.notes == [
        "'shoulder_lift' holds torque and keeps P_Coefficient 32 instead of 16"
    ]
    rig.arm.hold()
    state = rig.arm.exchange()
    assert (state.goal_ticks == goals).all() and state.torque.all()


def test_gains_are_kept_without_power(rig: Rig) -> None:
    rig.arm.connect()
    rig.emulator.power(False)
    rig.emulator.power(True)
    assert [servo.memory.get("p") for servo in rig.emulator.servos] == [16] * 6
    assert rig.emulator.servos[5].memory.get("torque_limit") == 500


def test_relaxing_is_only_done_when_asked(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    rig.arm.relax()
    assert not rig.arm.exchange().torque.any()


def test_an_unplugged_bus_is_told_and_the_arm_stays_up(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    rig.emulator.unplug()
    with pytest.raises(PortLostError, match="unplugged"):
        rig.arm.exchange()
    before = rig.emulator.positions()
    count = len(rig.emulator.truth.positions()[0])
    rig.until(lambda: len(rig.emulator.truth.positions()[0]) > count + 100, "0.2 s more")
    np.testing.assert_allclose(rig.emulator.positions(), before, atol=1.0)


def test_a_servo_that_falls_silent_is_not_a_number(rig: Rig) -> None:
    rig.arm.connect()
    rig.arm.hold()
    rig.emulator.servos[2].is_powered = False
    state = rig.arm.exchange()
    assert np.isnan(state.ticks).tolist() == [False, False, True, False, False, False]
    assert not state.is_complete and rig.arm.counters.failed == 1


def test_an_overloaded_servo_complains() -> None:
    servos, plant = emulated()
    servos[0].memory.put("protection_time", 10)
    with Rig(servos=servos, plant=plant) as rig:
        rig.arm.connect()
        rig.arm.hold()
        goal = rig.measured()
        plant.stops[0] = (plant.positions[0] - 1, plant.positions[0] + 1)  # it hits something
        goal[0] += 1.0

        def complains() -> bool:
            rig.arm.exchange(goal)
            return "overload" in rig.arm.complaints().get("shoulder_pan", [])

        rig.until(complains, "the servo says that it is overloaded")


def test_lost_and_damaged_packets_are_asked_for_again() -> None:
    servos = emulated()[0]
    for servo in servos:
        servo.memory.put("position", 2500)
    arm = Arm(
        ArmSettings("direct", CALIBRATION, (-0.17, 1.74)),
        lambda path, baud: DirectPort(servos, corrupt=0.02, lose=0.01, seed=5),
    )
    arm.connect()
    arm.hold()
    incomplete = 0
    for k in range(2000):
        state = arm.exchange(np.full(6, 0.3 * np.sin(k / 50)))
        incomplete += not state.is_complete
    assert arm.counters.retries > 100
    assert incomplete < 100  # both attempts hit
    assert arm.unheard > 10  # goals that were lost, found by reading them back


def test_a_port_that_is_in_use_is_refused(rig: Rig) -> None:
    rig.arm.connect()
    with pytest.raises(NotReadyError, match="is in use by another program"):
        rig.another_arm().connect()


def test_a_port_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(NotReadyError, match="no serial port /dev/ttyNONE; ports of this machine"):
        SerialPort("/dev/ttyNONE", 1_000_000)


def test_reads_fifty_times_a_second_with_time_to_spare(rig: Rig) -> None:
    """On the wire: at 1 Mbaud an exchange of goals and full states takes 3.2 ms."""
    rig.arm.connect()
    sent = 8 + 6 * 3 + 8 + 6
    received = 6 * (6 + reg.STATE_SIZE)
    assert (sent + received) * 10 / 1e6 < 0.0035
    assert Bus.attempts >= 3
