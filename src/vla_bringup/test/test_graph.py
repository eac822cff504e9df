"""The graph of the shipped robots, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_bringup.executables import parameter_file
from vla_bringup.graph import Graph, Options, describe, policies_for, robots
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError, MismatchError

ROOT = Path(__file__).resolve().parents[3]


def so101(policy: str = "expert", options: Options | None = None) -> Graph:
    """Return the shipped graph of the simulated SO-101."""
    return describe("so101", "sim", policy, ROOT, options)


@pytest.fixture
def two_robots(tmp_path: Path) -> Path:
    """A configuration with a second robot that has no policy."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "policies").symlink_to(ROOT / "config" / "policies")
    for name in ("so101", "other"):
        folder = tmp_path / "config" / "robots" / name
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir()
        for file in (ROOT / "config" / "robots" / "so101").iterdir():
            (folder / file.name).write_text(
                file.read_text().replace("robot: so101", f"robot: {name}")
            )
    return tmp_path


def test_has_the_nodes_of_the_picture() -> None:
    names = [process.name for process in so101().processes]
    assert names == ["bridge", "policy", "executor", "router", "supervisor"]


@pytest.mark.parametrize(
    ("robot", "backend", "policy"),
    [("so101", "real", "demo"), ("so101", "teleoperation", "demo"), ("go2_arm", "real", "patrol")],
)
def test_real_robots_have_a_camera_for_each_image_stream(
    robot: str, backend: str, policy: str
) -> None:
    graph = describe(robot, backend, policy, ROOT)
    cameras = [process for process in graph.processes if process.executable == "camera_node"]
    assert {str(camera.parameters.get("stream", "front")) for camera in cameras} == {
        *load_contract(graph.contract_files).observation.images
    }


def test_the_robot_is_activated_first_and_what_commands_it_last() -> None:
    supervisor = so101().process("supervisor")
    assert supervisor.parameters["nodes"] == ["bridge", "policy", "executor"]


def test_everything_runs_in_the_namespace_of_the_robot() -> None:
    assert {process.namespace for process in so101().processes} == {"/so101"}


def test_simulated_time_is_for_all_but_the_supervisor() -> None:
    simulated = {p.name: p.parameters["use_sim_time"] for p in so101().processes}
    assert simulated.pop("supervisor") is False
    assert all(simulated.values())


def test_object_poses_are_published_only_for_a_policy_that_takes_them() -> None:
    assert so101("expert").process("bridge").parameters["publish_objects"] is True
    assert so101("demo").process("bridge").parameters["publish_objects"] is False


def test_records_only_when_asked(tmp_path: Path) -> None:
    recorded = so101(options=Options(record=tmp_path))
    assert recorded.process("recorder").parameters["directory"] == str(tmp_path)
    assert not recorded.process("recorder").respawn


def test_latency_and_synchronous_mode_reach_their_nodes() -> None:
    graph = so101(options=Options(latency_injected_s=0.4, synchronous=True))
    assert graph.process("policy").parameters["latency_injected_s"] == 0.4
    assert graph.process("executor").parameters["mode"] == "sync"


def test_a_policy_may_be_somewhere_else_than_its_file_says() -> None:
    graph = so101(options=Options(uri="ws://127.0.0.1:8000"))
    assert graph.process("policy").parameters["uri"] == "ws://127.0.0.1:8000"


def test_what_moves_the_robot_comes_before_what_only_watches() -> None:
    graph = so101(options=Options(record=Path("somewhere")))
    nice = {process.name: process.nice for process in graph.processes}
    assert nice["bridge"] == nice["executor"] < nice["policy"] < nice["recorder"]


def test_without_options_the_files_decide() -> None:
    assert "latency_injected_s" not in so101().process("policy").parameters
    assert "mode" not in so101().process("executor").parameters


def test_overrides_come_last() -> None:
    graph = so101(options=Options(overrides={"bridge": {"seed": 7}}))
    assert graph.process("bridge").parameters["seed"] == 7


def test_an_unknown_robot_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown robot 'so102'.*so101"):
        describe("so102", "sim", "expert", ROOT)


def test_an_unknown_backend_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no backend 'dream'.*sim"):
        describe("so101", "dream", "expert", ROOT)


def test_a_backend_may_have_a_usual_policy_and_else_one_must_be_named() -> None:
    assert describe("hsr", "sim", "", ROOT).policy == "hsr_expert"
    assert describe("so101", "sim", "", ROOT).policy == "demo"
    with pytest.raises(ConfigurationError, match=r"no usual policy.*hsr_airoa"):
        describe("hsr", "real", "", ROOT)


def test_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown policy 'nobody'.*demo.*expert"):
        describe("so101", "sim", "nobody", ROOT)


def test_a_policy_for_another_robot_is_refused(two_robots: Path) -> None:
    with pytest.raises(MismatchError, match=r"policy 'expert' is for robot 'so101', not for 'oth"):
        describe("other", "sim", "expert", two_robots)
    assert robots(two_robots) == ["other", "so101"]
    assert policies_for(two_robots, "other") == []


def test_a_wrong_contract_is_refused_with_its_mistakes(two_robots: Path) -> None:
    contract = two_robots / "config" / "robots" / "so101" / "contract.yaml"
    contract.write_text(contract.read_text().replace("deadline_s: 0.1", "deadline_s: -1.0"))
    with pytest.raises(ConfigurationError, match=r"outputs\.arm\.deadline_s"):
        describe("so101", "sim", "expert", two_robots)


def test_a_robot_may_have_values_of_its_own_for_a_node(two_robots: Path) -> None:
    (two_robots / "config" / "robots" / "so101" / "nodes.yaml").write_text("router: {lease_hz: 9}")
    assert (
        describe("so101", "sim", "expert", two_robots).process("router").parameters["lease_hz"]
        == 9
    )


def test_parameter_files_name_the_node_with_its_namespace() -> None:
    text = parameter_file(so101().process("executor"))
    assert text.startswith("/so101/executor:\n  ros__parameters:\n")
