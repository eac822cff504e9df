"""The calibration command with an emulated arm and a scripted person."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from so101_rig import CALIBRATION, GRIPPER_RANGE, DirectPort

from vla_core.errors import NotReadyError, VlaError
from vla_hosting.transforms.units import parse_unit
from vla_so101.bus import Bus
from vla_so101.calibrate import HALF_TURN, Calibrator, main, parser, run, table
from vla_so101.calibration import JOINTS, MotorCalibration, load, save
from vla_so101.units import Unit, scale


class Bench:
    """Servos on a line without time, and a person who moves them when asked."""

    def __init__(self, person: Callable[[Bench, str], str]) -> None:
        self.port = DirectPort()
        self.angles = [1000.0, 2100.0, 1900.0, 2800.0, 3000.0, 3900.0]
        self.asked: list[str] = []
        self._person = person
        self.settle()

    def settle(self) -> None:
        for servo, angle in zip(self.port.servos, self.angles, strict=True):
            servo.measure(angle, 0.0, 0.0, 0.01)

    def ask(self, sentence: str) -> str:
        self.asked.append(sentence)
        return self._person(self, sentence)

    def calibrator(self) -> Calibrator:
        return Calibrator(Bus(self.port), self.ask, lambda _: None)


def careful(bench: Bench, sentence: str) -> str:
    """Move every joint 700 ticks either way when asked to."""
    if sentence.startswith("Enter when"):
        middle = list(bench.angles)
        ticks = bench.port.sent
        for way in (-700.0, 700.0):
            bench.angles = [angle + way for angle in middle]
            bench.settle()
            count = len(ticks)
            while len(ticks) < count + 4:
                time.sleep(0.001)  # until it was read twice
    return "yes"


def test_finds_middles_and_ranges_and_writes_them_to_the_servos() -> None:
    bench = Bench(careful)
    before = list(bench.angles)
    made = bench.calibrator().make()
    for joint, servo, middle in zip(JOINTS, bench.port.servos, before, strict=True):
        motor = made[joint]
        # One turn less is the same place to an encoder.
        assert (motor.homing_offset - (round(middle) - HALF_TURN)) % 4096 == 0
        assert servo.memory.get("offset") == motor.homing_offset
        expected = (0, 4095) if joint == "wrist_roll" else (HALF_TURN - 700, HALF_TURN + 700)
        assert (motor.range_min, motor.range_max) == expected


def test_a_joint_that_was_not_moved_is_refused() -> None:
    bench = Bench(lambda bench, sentence: "yes")
    with pytest.raises(VlaError, match="'shoulder_pan' was moved through 0 ticks only"):
        bench.calibrator().make()


def test_nothing_falls_without_a_yes() -> None:
    bench = Bench(lambda bench, sentence: "no")
    bench.port.servos[1].memory.put("torque", 1)
    with pytest.raises(NotReadyError, match="not confirmed"):
        bench.calibrator().make()
    assert bench.port.servos[1].memory.get("torque") == 1
    assert "FALL" in bench.asked[0]


def test_restores_a_file_and_the_servos_keep_it_without_power() -> None:
    bench = Bench(lambda bench, sentence: "yes")
    wanted = {**CALIBRATION, "elbow_flex": MotorCalibration(3, 0, -777, 500, 2500)}
    bench.calibrator().restore(wanted)
    for servo in bench.port.servos:
        servo.restart()
    assert bench.calibrator().read() == wanted


def arguments(file: Path, *more: str) -> list[str]:
    return ["--file", str(file), "--port", "direct", *more]


def test_reads_the_servos_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "arm.json"
    run(parser().parse_args(arguments(file, "--read")), open_port=lambda *_: DirectPort())
    assert load(file) == CALIBRATION


def test_a_missing_servo_is_named(tmp_path: Path) -> None:
    port = DirectPort()
    port.servos[3].is_powered = False
    with pytest.raises(NotReadyError, match="'wrist_flex': 'silent'"):
        run(parser().parse_args(arguments(tmp_path / "a.json")), open_port=lambda *_: port)


def test_shows_the_ranges_in_all_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "arm.json"
    save(file, CALIBRATION)
    assert main(["--file", str(file), "--show"]) == 0
    text = capsys.readouterr().out
    assert "-1.8144" in text and "-103.9560" in text
    assert "gripper: {low: -0.17453, high: 1.74533, policy_low: 0}" in text
    turned = {**CALIBRATION, "gripper": replace(CALIBRATION["gripper"], drive_mode=1)}
    assert "gripper: {low: 1.74533, high: -0.17453, policy_low: 0}" in table(turned, GRIPPER_RANGE)


def test_the_printed_units_turn_a_normalised_policy_into_radians() -> None:
    printed = table(CALIBRATION, GRIPPER_RANGE).partition("also else:")[2]
    ticks = np.array([1200.0, 1500.0, 1800.0, 2100.0, 2400.0, 2700.0])
    theirs = scale(CALIBRATION, JOINTS, Unit.NORMALISED).values(ticks)
    ours = scale(CALIBRATION, JOINTS, Unit.RADIANS, GRIPPER_RANGE).values(ticks)
    for i, (joint, entry) in enumerate(yaml.safe_load(printed).items()):
        unit = parse_unit(entry)
        assert joint == JOINTS[i]
        assert (theirs[i] - unit.offset) / unit.scale == pytest.approx(ours[i], abs=1e-4)


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--file", "none.json"]) == 2
    assert "--port is missing" in capsys.readouterr().err
