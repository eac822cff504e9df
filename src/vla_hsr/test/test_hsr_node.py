"""The bridge beside the emulator: what it refuses before motion, and names on the wire."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("control_msgs")
pytest.importorskip("tmc_control_msgs")

from control_msgs.msg import JointTrajectoryControllerState
from sensor_msgs.msg import CompressedImage
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.bridge import SOURCES
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError, NotReadyError, ObservationError
from vla_hsr import hsr_node
from vla_hsr.emulator.emulator_node import EmulatorNode
from vla_hsr.guard_node import GuardNode, GuardParams
from vla_hsr.homing_node import HsrHomingNode, HsrHomingParams
from vla_hsr.hsr_node import HsrNode, HsrParams
from vla_ros import qos
from vla_ros.images import image_from_msg
from vla_ros.joints import trajectory_msg
from vla_ros.stamps import now_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "config/robots/hsr"
FILES = (str(FOLDER / "contract.yaml"), str(FOLDER / "real.yaml"))
HEAD_STATE = "/head_trajectory_controller/controller_state"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # One process: nothing is heard while an activation waits.
    monkeypatch.setattr(hsr_node, "HEARD_WITHIN_S", 0.0)
    with ros_world() as world:
        yield world


def bridge(world: World, **overrides: object) -> HsrNode:
    values: dict[str, object] = {"contract_files": FILES, **overrides}
    node: HsrNode = world.add(HsrNode(parameter_overrides=parameters(**values)))
    return node


def emulator(world: World) -> EmulatorNode:
    node: EmulatorNode = world.add(EmulatorNode(parameter_overrides=parameters(pictures=False)))
    return node


def configured(world: World, **overrides: object) -> HsrNode:
    """Return a bridge that has heard the robot."""
    node = bridge(world, **overrides)
    node.trigger_configure()
    assert node.state_label == "inactive"
    world.until(lambda: not node.unheard(), "the robot is heard")
    return node


def test_a_robot_that_is_not_heard_is_not_moved(world: World) -> None:
    node = bridge(world)
    node.trigger_configure()
    with pytest.raises(NotReadyError, match="'/joint_states': no joint states heard yet"):
        node.on_start()
    node.trigger_activate()
    assert node.state_label == "inactive"
    with pytest.raises(ObservationError, match="no joint states"):
        node.read()


def test_a_controller_with_other_joints_is_refused_by_name(world: World) -> None:
    emulator(world)
    node = configured(world)
    tell = world.talk(JointTrajectoryControllerState, HEAD_STATE, qos.EVENT)
    wrong = JointTrajectoryControllerState(joint_names=["neck_pan_joint", "head_tilt_joint"])

    def refused() -> bool:
        tell(wrong)
        return "neck_pan_joint" in node.trouble()

    world.until(refused, "the other joints are heard")
    node.heard_controller("head", wrong)
    with pytest.raises(NotReadyError, match=r"'head': the contract sends .*neck_pan_joint"):
        node.on_start()


def test_a_pressed_button_refuses_to_start_and_a_released_one_does_not(world: World) -> None:
    robot = emulator(world)
    node = configured(world)
    robot.press("base_b_bumper_sensor", True)
    world.until(lambda: node.trouble(), "the bumper is heard")
    with pytest.raises(NotReadyError, match="'/base_b_bumper_sensor' is pressed"):
        node.on_start()
    robot.press("base_b_bumper_sensor", False)
    world.until(lambda: not node.trouble(), "the release is heard")
    node.trigger_activate()
    assert node.state_label == "active"


@pytest.mark.parametrize(
    ("package", "overrides"),
    [("control_msgs", {}), ("tmc_control_msgs", {"gripper_mode": "force"})],
)
def test_a_missing_vendor_message_is_refused_when_the_bridge_is_configured(
    world: World, monkeypatch: pytest.MonkeyPatch, package: str, overrides: dict[str, object]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    node = bridge(world, **overrides)
    with pytest.raises(NotReadyError, match=f"needs {package}/.*not installed"):
        node.connect()
    node.trigger_configure()
    assert node.state_label == "unconfigured"


def test_force_without_an_action_is_refused(world: World) -> None:
    ros1 = (FILES[0], str(FOLDER / "ros1.yaml"))
    node = bridge(world, names="ros1", gripper_mode="force", contract_files=ros1)
    with pytest.raises(NotReadyError, match="names 'ros1' have none: use 'position'"):
        node.connect()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"names": "ros3"}, "expected one of"),
        ({"gripper_mode": "hard"}, "expected 'position' or 'force'"),
        (
            {"contract_files": (str(ROOT / "config/robots/so101/contract.yaml"),)},
            "the HSR takes the outputs",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_at_start(
    world: World, overrides: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        bridge(world, **overrides)


def test_a_column_in_another_unit_is_refused_at_start(world: World, tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    lift = "name: arm_lift_joint, kind: joint_position, unit: "
    text = (FOLDER / "contract.yaml").read_text().replace(f"{lift}m,", f"{lift}rad,")
    contract.write_text(text)
    with pytest.raises(ConfigurationError, match="'arm_lift_joint': expected m, found rad"):
        bridge(world, contract_files=(str(contract), FILES[1]))


def test_columns_reach_their_joint_whatever_order_the_sender_has(world: World) -> None:
    robot = emulator(world)
    node = configured(world)
    node.trigger_activate()
    assert node.state_label == "active"
    wire: list[Any] = world.listen(
        JointTrajectory, "/head_trajectory_controller/joint_trajectory", qos.COMMAND
    )
    send = world.talk(JointTrajectory, "command/head", qos.COMMAND)
    goal = {"head_tilt_joint": -0.1, "head_pan_joint": 0.05}
    rows = np.array([list(goal.values())])
    still = np.zeros_like(rows)

    def arrived() -> bool:
        if not wire:
            stamp = now_ns(world.tester)
            send(trajectory_msg(stamp, list(goal), [1_500_000_000], rows, still, still))
        return bool(wire) and robot.controllers["head_trajectory_controller"].is_done

    world.until(arrived, "the head goes where it was sent")
    position = robot.joints.position
    world.until(
        lambda: all(abs(position[name] - value) < 0.01 for name, value in goal.items()),
        "the joints follow",
    )
    assert wire[0].joint_names == ["head_pan_joint", "head_tilt_joint"]  # the contract's
    assert wire[0].header.stamp.sec == 0


def test_the_emulated_cameras_are_those_of_the_contract(world: World) -> None:
    contract = load_contract(FILES)
    world.add(EmulatorNode())
    for name in ("head", "hand"):
        stream = contract.observation.images[name]
        heard = world.listen(CompressedImage, stream.topic, qos.SENSOR)
        world.until(lambda heard=heard: heard, f"a picture of '{name}'")  # type: ignore[misc]
        assert stream.transport == "compressed"
        expected = (stream.height_px, stream.width_px, 3)
        assert image_from_msg(heard[0]).shape == expected


def test_the_readmes_name_every_parameter_and_interface(world: World, tmp_path: Path) -> None:
    both = tmp_path / "README.md"
    texts = [(ROOT / f"src/{name}/README.md").read_text() for name in ("vla_bridge", "vla_hsr")]
    both.write_text("".join(texts))
    nodes = (
        (HsrNode, HsrParams),
        (HsrHomingNode, HsrHomingParams),
        (GuardNode, GuardParams),
    )
    for kind, params in nodes:
        values = parameters(contract_files=FILES)
        node = world.add(kind(namespace="/hsr", parameter_overrides=values))
        if kind is HsrNode:
            node.trigger_configure()
            outputs = {output.topic for output in node.contract.outputs.values()}
        # `~/`: the source `homing` and the node `homing` have one name.
        prefixes = ("", "~/", *(f"{source}/" for source in SOURCES))
        own = {prefix + topic for prefix in prefixes for topic in outputs}
        assert undocumented(node, params, both, own) == []
