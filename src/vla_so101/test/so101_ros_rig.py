"""An emulated arm, its bridge and somebody who commands it, over real topics in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import JointState
from so101_rig import CALIBRATION
from trajectory_msgs.msg import JointTrajectory

from vla_core.contract import load_contract
from vla_core.smoothstep import smoothstep
from vla_ros import qos
from vla_ros.joints import trajectory_msg
from vla_ros.stamps import now_ns
from vla_so101.emulator_node import EmulatorNode
from vla_so101.so101_node import So101Node
from vla_testing.ros_world import World, parameters, ros_world

FOLDER = Path(__file__).parents[3] / "config" / "robots" / "so101"
CONTRACT = load_contract([str(FOLDER / "contract.yaml")])
README = Path(__file__).parents[1] / "README.md"


class Rig:
    """An emulated arm as a node, its bridge, and somebody who commands it."""

    def __init__(self, world: World, **overrides: object) -> None:
        values: dict[str, object] = {
            "contract_files": (str(FOLDER / "contract.yaml"),),
            "calibration_file": "mock_calibration.json",
            "port": "emulator",
            "rate_hz": 50.0,
            "reply_timeout_s": 0.02,
            **overrides,
        }
        self.world = world
        self.node: EmulatorNode = world.add(EmulatorNode())
        self.emulator = self.node.emulator
        self.bridge: So101Node = world.add(So101Node(parameter_overrides=parameters(**values)))
        self.joints = world.listen(JointState, "observation/joints", qos.SENSOR)
        self.command = world.talk(JointTrajectory, "command/joints", qos.COMMAND)

    def trajectory(self, shift: float, seconds: float = 0.4) -> JointTrajectory:
        """Return a motion of the first joint to ``shift`` from its middle, at rest at its end."""
        share = np.linspace(0.05, 1.0, 20)
        s, v, a = smoothstep(share)
        start = np.array(self.joints[-1].position)
        way = np.eye(6)[0] * (shift - start[0])
        return trajectory_msg(
            now_ns(self.world.tester),
            CONTRACT.columns,
            (share * seconds * 1e9).astype(int).tolist(),
            start + np.outer(s, way),
            np.outer(v, way) / seconds,
            np.outer(a, way) / seconds**2,
        )

    def pan(self) -> float:
        """Where the first joint really is [rad]."""
        middle = CALIBRATION["shoulder_pan"].middle
        return float(np.deg2rad((self.emulator.positions()[0] - middle) * 360 / 4095))

    def reaches(self, shift: float) -> None:
        self.world.until(
            lambda: abs(self.pan() - shift) < 0.005, f"pan reaches {shift}, it is at {self.pan()}"
        )

    def set(self, **values: bool) -> None:
        """Change what is wrong with the emulated arm."""
        request = SetParameters.Request(
            parameters=[
                ParameterMsg(name=name, value=ParameterValue(
                    type=ParameterType.PARAMETER_BOOL, bool_value=value))
                for name, value in values.items()
            ]
        )  # fmt: skip
        results = self.world.call(SetParameters, "emulator/set_parameters", request).results
        assert all(result.successful for result in results)

    def is_held(self) -> bool:
        return all(servo.memory.get("torque") for servo in self.emulator.servos)


@pytest.fixture()
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ros_world() as it:
        yield it
