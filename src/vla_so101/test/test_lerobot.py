"""LeRobot itself against us: its Feetech client talks to the emulator, its code checks our units.

Both run in LeRobot's own environment; the emulator is on a pseudo-terminal here.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from so101_rig import CALIBRATION, Rig

from vla_so101 import registers as reg
from vla_so101.emulator.faults import Faults

pytestmark = pytest.mark.slow  # LeRobot takes its time to start
HERE = Path(__file__).parent
TIMEOUT_S = 110  # LeRobot imports torch
PYTHON = HERE.parents[2] / ".vla" / "envs" / "lerobot" / "bin" / "python"


def lerobot(script: str, *arguments: str) -> str:
    """Run a script with LeRobot's interpreter and return what it printed."""
    command = [str(PYTHON), str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _needs_lerobot() -> None:
    if not PYTHON.exists():
        pytest.skip("no LeRobot here: ./vla setup --extra lerobot")
    probe = [str(PYTHON), "-c", "import lerobot, scservo_sdk"]
    if subprocess.run(probe, capture_output=True, timeout=60).returncode:
        pytest.skip("LeRobot's environment is not complete: ./vla setup --extra lerobot")


def test_the_table_of_units_is_what_lerobot_computes_now() -> None:
    kept = json.loads((HERE / "lerobot_units.json").read_text())
    assert json.loads(lerobot("lerobot_units.py"))["cases"] == kept["cases"]


def test_lerobots_follower_connects_to_the_emulator_and_moves_it(tmp_path: Path) -> None:
    """Its handshake, calibration check, configuration, sync read and sync write."""
    with Rig(faults=Faults(latency_s=0.0005)) as rig:
        # LeRobot switches torque on without a goal; ours here would go to the one it has.
        for servo in rig.emulator.servos:
            servo.memory.put("goal", servo.memory.get("position"))
        file = tmp_path / "calibration.json"
        file.write_text(json.dumps({j: vars(c) for j, c in CALIBRATION.items()}))
        said = json.loads(lerobot("lerobot_follower.py", rig.emulator.port, str(file)))
        # What it read, in its degrees, is where the joints were.
        middles = np.array([c.middle for c in CALIBRATION.values()])
        for moment in ("before", "after"):
            ticks = np.array(said[f"{moment}_raw"])
            degrees = (ticks - middles)[:5] * 360 / 4095
            np.testing.assert_allclose(said[moment][:5], degrees, atol=1e-9)
        np.testing.assert_allclose(said["after"][:5], said["asked"][:5], atol=0.2)
        assert abs(said["after"][5] - said["asked"][5]) < 0.2
        assert said["is_calibrated"] and not said["takes_another"]
        assert said["model"] == reg.MODEL_NUMBER_STS3215
        # And our driver finds the arm as LeRobot left it.
        np.testing.assert_allclose(rig.emulator.positions(), said["after_raw"], atol=1.5)
        rig.arm.connect()
        state = rig.arm.exchange()
        np.testing.assert_allclose(state.ticks, said["after_raw"], atol=1.5)
        assert rig.arm.notes == [] and state.torque.all()
