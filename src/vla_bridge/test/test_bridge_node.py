"""The bridge base class and the relay node with real topics: whose commands, for how long."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Twist
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.bridge import BridgeNode
from vla_bridge.bridge_node import RelayNode, RelayParams
from vla_bridge.relays import starting_now
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_interfaces.msg import EmergencyStop
from vla_interfaces.srv import SelectSource
from vla_ros import qos
from vla_ros.joints import trajectory_arrays, trajectory_msg, twist_msg
from vla_ros.stamps import now_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

MS = 1_000_000
ROOT = Path(__file__).parents[3]
CONTRACT_FILE = str(ROOT / "config/robots/so101/contract.yaml")
CONTRACT = load_contract([CONTRACT_FILE])
HOME = np.array([CONTRACT.home[name] for name in CONTRACT.columns])


class Arm(BridgeNode):
    """A robot that is where it was told to be."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.positions = HOME.copy()
        self.written: list[np.ndarray] = []
        self.speeds: list[np.ndarray] = []
        self.calls: list[str] = []
        self.moved = threading.Event()

    def connect(self) -> None:
        self.calls.append("connect")

    def disconnect(self) -> None:
        self.calls.append("disconnect")

    def read(self) -> np.ndarray:
        return self.positions

    def write(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        self.written.append(positions)
        self.speeds.append(velocities)
        if np.isfinite(positions).all():
            self.positions = positions

    def safe_stop(self) -> None:
        self.calls.append("safe_stop")


class Rig:
    """A bridge and somebody who commands it."""

    def __init__(self, world: World, **overrides: object) -> None:
        files: dict[str, object] = {"contract_files": (CONTRACT_FILE,)}
        self.world = world
        self.arm: Arm = world.add(Arm(parameter_overrides=parameters(**{**files, **overrides})))
        self.sources = world.listen(String, "bridge/source", qos.STATE)
        self.policy = world.talk(JointTrajectory, "command/joints", qos.COMMAND)
        self.teleoperation = world.talk(
            JointTrajectory, "teleoperation/command/joints", qos.COMMAND
        )
        self.emergency = world.talk(EmergencyStop, "emergency_stop", qos.EVENT)

    def trajectory(self, shift: float = 0.1, length_ns: int = 300 * MS) -> JointTrajectory:
        """Return a motion of the first joint by ``shift``, at rest at its end."""
        share = np.linspace(0.1, 1.0, 10)
        smooth = share**3 * (10 - 15 * share + 6 * share**2)
        speed = 30 * share**2 * (1 - share) ** 2 / (length_ns * 1e-9)
        bend = (60 * share - 180 * share**2 + 120 * share**3) / (length_ns * 1e-9) ** 2
        column = np.eye(6)[0] * shift
        times = (share * length_ns).astype(int)
        return trajectory_msg(
            now_ns(self.world.tester),
            CONTRACT.columns,
            times.tolist(),
            self.arm.positions + np.outer(smooth, column),
            np.outer(speed, column),
            np.outer(bend, column),
        )

    def moved(self) -> float:
        return float(np.abs(self.arm.positions - HOME).max())

    def reaches(self, shift: float) -> None:
        self.world.until(
            lambda: math.isclose(self.moved(), shift, abs_tol=1e-9),
            f"the arm moves by {shift}, it moved by {self.moved()}",
        )

    def stays(self) -> None:
        """Show that nothing moves, by twenty more ticks."""
        count, here = len(self.arm.written), self.arm.positions
        self.world.until(lambda: len(self.arm.written) > count + 20, "twenty more ticks")
        np.testing.assert_array_equal(self.arm.positions, here)

    def select(self, source: str) -> SelectSource.Response:
        request = SelectSource.Request(source=source)
        return self.world.call(SelectSource, "bridge/select_source", request)


@pytest.fixture()
def world() -> Iterator[World]:
    with ros_world() as it:
        yield it


@pytest.fixture()
def rig(world: World) -> Rig:
    return Rig(world)


def test_plays_a_trajectory_to_its_end_and_holds(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    rig.policy(rig.trajectory(0.1))
    rig.reaches(0.1)
    rig.stays()
    path = np.array([q[0] for q in rig.arm.written if np.isfinite(q[0])])
    assert (np.diff(path) >= -1e-12).all() and np.diff(path).max() < 0.02


def test_writes_nan_before_the_first_command(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    rig.world.until(lambda: rig.arm.written, "a tick")
    assert np.isnan(rig.arm.written[0]).all() and not rig.arm.speeds[0].any()


def test_takes_no_command_while_inactive(rig: Rig) -> None:
    rig.policy(rig.trajectory(0.1))
    for _ in range(3):
        assert rig.select("policy").success  # the marker: the command came before it
    rig.world.activate(rig.arm)
    rig.stays()
    assert rig.moved() == 0.0


def test_listens_to_the_selected_source_alone(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    rig.teleoperation(rig.trajectory(0.1))
    rig.stays()
    assert rig.select("teleoperation").success
    rig.policy(rig.trajectory(-0.1))
    rig.teleoperation(rig.trajectory(0.05))
    rig.reaches(0.05)
    assert rig.sources[-1].data == "teleoperation"


def test_an_unknown_source_is_refused_with_the_known_ones(rig: Rig) -> None:
    response = rig.select("magic")
    assert not response.success
    assert "policy" in response.message and "teleoperation" in response.message


def test_an_emergency_stop_is_latched_and_the_tail_is_played(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    rig.policy(rig.trajectory(0.1))
    rig.world.until(lambda: rig.moved() > 0.01, "the arm moves")
    rig.emergency(EmergencyStop(source="operator", reason="test"))
    rig.world.until(lambda: rig.arm.is_stopped, "the stop is latched")
    rig.reaches(0.1)  # the last command ends at rest, by itself
    rig.policy(rig.trajectory(-0.1))
    rig.stays()
    assert "stopped: operator: test" in rig.sources[-1].data
    assert not rig.select("policy").success
    assert rig.world.call(Trigger, "bridge/reset").success
    rig.policy(rig.trajectory(-0.1))
    rig.reaches(0.0)


def test_the_stop_service_latches_too(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    assert rig.world.call(Trigger, "bridge/stop").success
    rig.policy(rig.trajectory(0.1))
    rig.stays()
    assert rig.moved() == 0.0


def test_deactivation_in_motion_plays_the_tail_first(rig: Rig) -> None:
    rig.world.activate(rig.arm)
    rig.policy(rig.trajectory(0.1))
    rig.world.until(lambda: rig.moved() > 0.01, "the arm moves")
    rig.arm.trigger_deactivate()
    assert rig.moved() == pytest.approx(0.1, abs=1e-6)
    assert rig.arm.calls[-1] == "safe_stop"
    rig.arm.trigger_cleanup()
    assert rig.arm.calls[-1] == "disconnect"


@pytest.mark.parametrize("spoilt", ["nan", "joints", "jump", "motion"])
def test_malformed_commands_move_nothing(
    rig: Rig, capfd: pytest.CaptureFixture[str], spoilt: str
) -> None:
    rig.world.activate(rig.arm)
    msg = rig.trajectory(0.1)
    if spoilt == "nan":
        msg.points[3].positions[0] = math.nan
    elif spoilt == "joints":
        msg.joint_names[0] = "elbow"
    elif spoilt == "jump":
        msg = rig.trajectory(60.0)
    else:
        msg.points = msg.points[:5]  # ends in motion
    rig.policy(msg)
    text = ""

    def refused() -> bool:
        nonlocal text
        text += capfd.readouterr().err
        return "refused" in text

    rig.world.until(refused, "the refusal in the log")
    rig.stays()
    assert rig.moved() == 0.0


def test_a_crash_of_the_robots_write_stops(rig: Rig) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the bus is gone")

    rig.arm.write = fail  # type: ignore[method-assign]
    rig.world.activate(rig.arm)
    rig.world.until(lambda: rig.arm.is_stopped, "the stop is latched")
    rig.world.until(lambda: "safe_stop" in rig.arm.calls, "the robot's own safe stop")


@pytest.mark.parametrize(
    ("overrides", "text"),
    [({"source": "magic"}, "'source'.*magic"), ({"rate_hz": 0.1}, "'rate_hz'.*got 0.1")],
)
def test_a_wrong_parameter_stops_the_node_at_start(
    world: World, overrides: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Rig(world, **overrides)


# A robot with a base, a gripper and an arm, for the relay.


@pytest.fixture()
def mobile(tmp_path: Path) -> str:
    raw = yaml.safe_load(Path(CONTRACT_FILE).read_text())
    speed = {"kind": "base_velocity", "velocity": 1.0, "acceleration": 2.0, "jerk": 50.0}
    raw["action"]["columns"] += [
        {"name": "base_x", "unit": "m/s", **speed},
        {"name": "base_yaw", "unit": "rad/s", **speed},
    ]
    raw["outputs"]["arm"]["columns"].remove("gripper")
    raw["outputs"]["gripper"] = {
        "topic": "command/gripper",
        "type": "std_msgs/msg/Float64MultiArray",
        "columns": ["gripper"],
        "deadline_s": 0.1,
    }
    raw["outputs"]["base"] = {
        "topic": "command/base",
        "type": "geometry_msgs/msg/Twist",
        "columns": ["base_x", "base_yaw"],
        "fields": ["linear.x", "angular.z"],
        "deadline_s": 0.1,
    }
    file = tmp_path / "contract.yaml"
    file.write_text(yaml.safe_dump(raw))
    return str(file)


COMMANDS = {f"command/{name}" for name in ("joints", "gripper", "base")}
NAMED_BY_FILES = {
    "arm_controller/joint_trajectory",
    "gripper_controller/commands",
    "cmd_vel",
    *(f"{source}{topic}" for source in ("", "teleoperation/", "homing/") for topic in COMMANDS),
}
RELAYS: dict[str, object] = {
    "trajectory_relays": ("arm=arm_controller/joint_trajectory",),
    "position_relays": ("gripper=gripper_controller/commands",),
    "twist_relays": ("base=cmd_vel",),
}


def relay(world: World, contract: str, **overrides: object) -> RelayNode:
    values = {"contract_files": (contract,), **RELAYS, **overrides}
    return world.add(RelayNode(parameter_overrides=parameters(**values)))


def test_relays_a_twist_and_stops_it_after_silence(world: World, mobile: str) -> None:
    node = relay(world, mobile)
    heard = world.listen(Twist, "cmd_vel", qos.COMMAND)
    command = world.talk(Twist, "command/base", qos.COMMAND)
    world.activate(node)
    command(twist_msg(("linear.x", "angular.z"), np.array([0.2, -0.1])))
    world.until(lambda: heard and heard[-1].linear.x == 0.2, "the twist is relayed")
    world.until(lambda: heard[-1].linear.x == 0.0, "the base stops after silence")
    speeds = np.array([msg.linear.x for msg in heard])
    assert (np.diff(speeds[speeds.argmax() :]) <= 0).all()
    assert heard[-1].angular.z == 0.0


def test_a_stop_ends_a_twist_that_goes_on(world: World, mobile: str) -> None:
    node = relay(world, mobile)
    heard = world.listen(Twist, "cmd_vel", qos.COMMAND)
    command = world.talk(Twist, "command/base", qos.COMMAND)
    emergency = world.talk(EmergencyStop, "emergency_stop", qos.EVENT)
    world.activate(node)
    timer = world.tester.create_timer(
        0.02, lambda: command(twist_msg(("linear.x", "angular.z"), np.array([0.2, 0.0])))
    )
    world.until(lambda: heard and heard[-1].linear.x == 0.2, "the twist is relayed")
    emergency(EmergencyStop(source="operator", reason="test"))
    world.until(lambda: heard[-1].linear.x == 0.0, "the base stops")
    timer.cancel()


def test_relays_plain_positions_and_holds_them(world: World, mobile: str) -> None:
    node = relay(world, mobile)
    heard = world.listen(Float64MultiArray, "gripper_controller/commands", qos.COMMAND)
    command = world.talk(Float64MultiArray, "command/gripper", qos.COMMAND)
    world.activate(node)
    command(Float64MultiArray(data=[0.7]))
    world.until(lambda: len(heard) > 15, "the position is held")
    assert {tuple(msg.data) for msg in heard} == {(0.7,)}


def test_relays_a_trajectory_at_once_without_the_time_that_has_passed(
    world: World, mobile: str
) -> None:
    node = relay(world, mobile)
    heard = world.listen(JointTrajectory, "arm_controller/joint_trajectory", qos.COMMAND)
    command = world.talk(JointTrajectory, "command/joints", qos.COMMAND)
    world.activate(node)
    joints = CONTRACT.columns[:5]
    rows = np.tile(HOME[:5], (3, 1))
    times = [20 * MS, 40 * MS, 60 * MS]
    command(trajectory_msg(now_ns(world.tester), joints, times, rows, rows * 0, rows * 0))
    world.until(lambda: heard, "the trajectory is relayed")
    assert heard[0].header.stamp.sec == 0 and heard[0].header.stamp.nanosec == 0
    assert 0 < trajectory_arrays(heard[0], joints)[0][-1] <= 60 * MS


def test_a_relayed_trajectory_loses_its_past() -> None:
    rows = np.arange(3.0)[:, None]
    msg = trajectory_msg(1000 * MS, ["a"], [20 * MS, 40 * MS, 60 * MS], rows, rows, rows)
    left = starting_now(msg, ("a",), 1030 * MS)
    assert left is not None
    times, positions, _, _ = trajectory_arrays(left, ["a"])
    assert times.tolist() == [10 * MS, 30 * MS] and positions[:, 0].tolist() == [1.0, 2.0]
    assert starting_now(msg, ("a",), 1060 * MS) is None


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"twist_relays": ()}, r"outputs \['base'\] are relayed nowhere"),
        ({"twist_relays": ("bas=cmd_vel",)}, "unknown output 'bas'"),
        ({"twist_relays": ("base",)}, "expected output=topic"),
        ({"position_relays": ("gripper=a", "base=b")}, "cannot be relayed so"),
    ],
)
def test_relays_are_checked_at_start(
    world: World, mobile: str, overrides: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        relay(world, mobile, **overrides)


def test_the_readme_names_every_parameter_and_interface(world: World, mobile: str) -> None:
    node = relay(world, mobile)
    readme = Path(__file__).parents[1] / "README.md"
    assert undocumented(node, RelayParams, readme, own=NAMED_BY_FILES) == []


def test_the_node_imports_no_torch() -> None:
    code = "import sys, vla_bridge.bridge_node; sys.exit('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
