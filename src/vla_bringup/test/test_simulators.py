"""Gazebo and Isaac Sim behind the shipped contracts, and RealSense cameras: made, not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_bringup import simulators
from vla_bringup.executables import advice, find
from vla_bringup.graph import Graph, Options, Process, describe, policies_for
from vla_bringup.realsense import split
from vla_core.contract import Contract, load_contract
from vla_core.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
ROBOTS = ["so101", "hsr", "go2_arm"]


def graph(robot: str, backend: str, realsense: str = "") -> Graph:
    policy = policies_for(ROOT, robot)[0]
    return describe(robot, backend, policy, ROOT, Options(realsense=split(realsense)))


def contract(robot: str) -> Contract:
    return load_contract([ROOT / f"config/robots/{robot}/contract.yaml"])


def listed(process: Process, parameter: str) -> dict[str, str]:
    """Return the `left=right` entries of a parameter."""
    entries = process.parameters.get(parameter, [])
    assert isinstance(entries, list)
    return dict(entry.split("=", 1) for entry in entries)


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("backend", ["gazebo", "isaac"])
def test_each_output_of_each_robot_is_relayed_once(robot: str, backend: str) -> None:
    bridge = graph(robot, backend).process("bridge")
    kinds = ("trajectory_relays", "position_relays", "state_relays", "twist_relays")
    relayed = [name for kind in kinds for name in listed(bridge, kind)]
    assert sorted(relayed) == sorted(contract(robot).outputs)


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("backend", ["gazebo", "isaac"])
def test_the_whole_graph_follows_the_simulated_clock(robot: str, backend: str) -> None:
    processes = {p.name: p for p in graph(robot, backend).processes}
    assert {"bridge", "policy", "executor", "router"} <= processes.keys()
    assert processes["bridge"].lifecycle
    assert all(p.parameters["use_sim_time"] for n, p in processes.items() if n != "supervisor")


@pytest.mark.parametrize("robot", ROBOTS)
def test_gazebo_fills_every_image_stream_under_the_contracts_name(robot: str) -> None:
    carrier = graph(robot, "gazebo").process("gazebo_bridge")
    for name, stream in contract(robot).observation.images.items():
        seen = f"/{robot}/{name}/image"
        assert f"{seen}@sensor_msgs/msg/Image[ignition.msgs.Image" in carrier.arguments
        assert carrier.remappings[seen] == f"/{robot}/{stream.topic}"
        info = carrier.remappings[f"/{robot}/{name}/camera_info"]
        assert info == f"/{robot}/{stream.topic}/camera_info"


def test_gazebo_carries_the_clock_and_a_base_without_controller() -> None:
    go2 = graph("go2_arm", "gazebo")
    assert set(go2.process("gazebo_bridge").arguments) >= {
        "/clock@rosgraph_msgs/msg/Clock[ignition.msgs.Clock",
        "/go2_arm/cmd_vel@geometry_msgs/msg/Twist]ignition.msgs.Twist",
        "/go2_arm/odometry@nav_msgs/msg/Odometry[ignition.msgs.Odometry",
    }
    assert listed(go2.process("bridge"), "twist_relays") == {"base": "cmd_vel"}
    assert go2.process("bridge").parameters["odometry"] == "odometry"


def test_a_base_with_a_controller_of_its_own_does_not_pass_through_gazebo() -> None:
    hsr = graph("hsr", "gazebo")
    assert not [a for a in hsr.process("gazebo_bridge").arguments if "Twist" in a]
    relays = listed(hsr.process("bridge"), "twist_relays")
    assert relays == {"base": "/omni_base_controller/cmd_vel"}


def test_isaac_takes_all_joints_by_one_name() -> None:
    relays = listed(graph("hsr", "isaac").process("bridge"), "state_relays")
    assert set(relays) == {"arm", "gripper", "head"} and set(relays.values()) == {"/joint_command"}


@pytest.mark.parametrize("robot", ROBOTS)
def test_isaac_fills_every_image_stream(robot: str) -> None:
    relays = listed(graph(robot, "isaac").process("bridge"), "image_relays")
    assert relays == {name: f"/{name}/rgb" for name in contract(robot).observation.images}


def test_names_that_differ_are_given_by_the_robots_file() -> None:
    made = simulators.backend(
        "isaac",
        contract("so101"),
        {"images": {"front": "/rgb"}, "outputs": {"arm": "/joints"}, "joint_states": "/states"},
    )
    parameters = made["nodes"][0]["parameters"]
    assert parameters["image_relays"] == ["front=/rgb", "wrist=/wrist/rgb"]
    assert parameters["state_relays"] == ["arm=/joints"]
    assert parameters["joint_states"] == "/states"


@pytest.mark.parametrize(
    ("topics", "text"),
    [
        (
            {"images": {"left": "/rgb"}},
            r"'topics.images.left': .* \['front', 'wrist'",
        ),
        ({"arm": "/joints"}, r"'topics.arm': expected one of \['images', 'joint_states'"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(topics: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        simulators.backend("gazebo", contract("so101"), topics)


def test_an_unknown_simulator_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown simulator 'bullet'.*gazebo.*isaac"):
        simulators.backend("bullet", contract("so101"), {})


def test_compressed_streams_have_an_image_bridge_of_their_own() -> None:
    real = load_contract([ROOT / f"config/robots/hsr/{n}.yaml" for n in ("contract", "real")])
    made = simulators.backend("gazebo", real, {})
    (head,) = (node for node in made["nodes"] if node["name"] == "head_image_bridge")
    assert head["package"] == "ros_gz_image" and head["arguments"] == ["/hsr/head/image"]
    told = "/head_rgbd_sensor/rgb/image_rect_color"
    assert head["remappings"]["/hsr/head/image/compressed"] == f"{told}/compressed"


@pytest.mark.parametrize("file", ["gazebo", "isaac"])
def test_each_launch_file_says_that_it_was_not_run(file: str) -> None:
    text = (ROOT / "launch" / f"{file}.launch.py").read_text()
    assert "NOT RUN AGAINST THE SIMULATOR" in text.split('"""')[1] and "NOT_RUN" in text


# RealSense.


@pytest.mark.parametrize("robot", ["so101", "go2_arm"])
def test_a_realsense_takes_the_place_of_the_usb_camera_of_its_stream(robot: str) -> None:
    process = graph(robot, "real", "wrist=0123").process("wrist_camera")
    assert (process.package, process.namespace) == ("realsense2_camera", f"/{robot}")
    assert process.remappings["~/color/image_raw"] == "observation/images/wrist"
    assert process.parameters["serial_no"] == "_0123"
    assert process.parameters["rgb_camera.color_profile"] == "320x240x30"
    assert "contract_files" not in process.parameters


def test_the_other_camera_stays_what_it_was() -> None:
    assert graph("so101", "real", "wrist").process("front_camera").package == "vla_cameras"


def test_a_stream_without_a_camera_gets_one() -> None:
    process = graph("hsr", "real", "external").process("external_camera")
    assert process.parameters["rgb_camera.color_profile"] == "640x480x30"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("left", r"expected a stream of \['front', 'wrist'\]"),
        ("front,front=1", "'front' has a camera already"),
        ("front=1,wrist", "each needs its serial number"),
    ],
)
def test_cameras_that_cannot_be_told_apart_are_refused(wanted: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        graph("so101", "real", wanted)


# What is not installed.


def test_a_package_of_others_that_is_absent_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ament_index_python")
    monkeypatch.setenv("ROS_DISTRO", "humble")
    text = r"'ros_gz_nothing' is not installed.*sudo apt install ros-humble-ros-gz-nothing"
    with pytest.raises(ConfigurationError, match=text):
        find("ros_gz_nothing", "parameter_bridge")


def test_a_package_of_ours_that_is_absent_is_to_be_built() -> None:
    assert "./vla" in advice("vla_bridge") and "apt" not in advice("vla_bridge")
