"""Contracts say everything that is wrong with them, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vla_core.contract import load_contract, parse_contract
from vla_core.errors import ConfigurationError

ROOT = Path(__file__).parents[4]


def refusal(raw: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_contract(raw)
    return str(caught.value).splitlines()


def test_the_shipped_contract_is_right() -> None:
    folder = ROOT / "config/robots/so101"
    contract = load_contract([folder / "contract.yaml", folder / "sim.yaml"])
    assert contract.robot == "so101"
    assert contract.columns[-1] == "gripper"
    assert "objects" in contract.observation.state
    assert contract.measurements["elbow_flex"] == ("joints", "elbow_flex")


def test_ten_mistakes_are_ten_sentences(raw: dict[str, Any]) -> None:
    columns = raw["action"]["columns"]
    del raw["robot"]  # 1
    raw["observation"]["max_age_s"] = -1.0  # 2
    raw["observation"]["images"]["front"]["transport"] = "smoke"  # 3
    raw["observation"]["state"]["joints"]["type"] = "sensor_msgs/msg/Imu"  # 4
    columns[0]["jerk"] = "fast"  # 5
    columns[1]["position"] = [2.0, -2.0]  # 6
    columns[2]["unit"] = "rad"  # 7
    raw["outputs"]["arm"]["columns"][0] = "left"  # 8, and 'lift' has no receiver: 9
    raw["home"]["gripper"] = 7.0  # 10
    lines = refusal(raw)
    assert lines[0] == "contract: 10 mistakes"
    assert [line.removeprefix("  - ").split(":")[0] for line in lines[1:]] == [
        "robot",
        "observation.max_age_s",
        "observation.images.front.transport",
        "observation.state.joints.type",
        "action.columns[0].jerk",
        "action.columns[1].position",
        "action.columns[2].unit",
        "outputs.arm.columns[0]",
        "outputs",
        "home.gripper",
    ]


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "action.columns.0.velocity",
            True,
            "action.columns[0].velocity: expected a valid number, found True",
        ),
        (
            "action.columns.0.velocity",
            float("nan"),
            "action.columns[0].velocity: expected a finite number, found nan",
        ),
        (
            "action.columns.0.name",
            "turn",
            "action.columns[1].name: expected a name used once, found 'turn' again",
        ),
        (
            "action.columns.0.position",
            None,
            "action.columns[0].position: expected [lower, upper] for a joint_position, "
            "found nothing",
        ),
        (
            "action.columns.2.position",
            [0.0, 1.0],
            "action.columns[2].position: expected nothing for a base_velocity, found [0.0, 1.0]",
        ),
        (
            "outputs.arm.columns.0",
            "drive",
            "outputs.arm.columns[0]: a trajectory_msgs/msg/JointTrajectory takes "
            "['joint_position', 'gripper'], found 'drive' of kind base_velocity",
        ),
        (
            "outputs.base.fields.0",
            "linear.w",
            "outputs.base.fields[0]: expected one of ['linear.x', 'linear.y', 'linear.z', "
            "'angular.x', 'angular.y', 'angular.z'], found 'linear.w'",
        ),
        (
            "outputs.base.fields",
            [],
            "outputs.base.fields: expected one field per column ['drive'], found []",
        ),
        (
            "outputs.base.fields",
            ["angular.z"],
            "outputs.base.fields[0]: expected a column in rad/s for 'angular.z', "
            "found 'drive' in m/s",
        ),
        (
            "outputs.arm.type",
            "std_msgs/msg/String",
            "outputs.arm.type: expected one of ['trajectory_msgs/msg/JointTrajectory', "
            "'sensor_msgs/msg/JointState', 'geometry_msgs/msg/Twist', "
            "'std_msgs/msg/Float64MultiArray'], found 'std_msgs/msg/String'",
        ),
        (
            "observation.state.joints.field",
            "colour",
            "observation.state.joints.field: expected one of ['position', 'velocity', 'effort'], "
            "found 'colour'",
        ),
        (
            "observation.state.joints.entries",
            ["lift", "turn", "gripper", "lift"],
            "observation.state.joints.entries: expected each name once, found 'lift' 2 times",
        ),
        (
            "action.columns.1.measured_by",
            "joints.elbow",
            "action.columns[1].measured_by: expected one of ['joints.lift', 'joints.turn', "
            "'joints.gripper'], found 'joints.elbow'",
        ),
        (
            "home",
            {"lift": 0.0, "turn": 0.0},
            "home: expected every position column, found none for 'gripper'",
        ),
        (
            "action.workspace",
            {"frame": "base", "lower": [0.0, 0.0, 1.0], "upper": [1.0, 1.0, 0.5]},
            "action.workspace.lower[2]: expected a value below 0.5, found 1.0",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    raw: dict[str, Any], path: str, value: Any, sentence: str
) -> None:
    *parents, last = path.split(".")
    node: Any = raw
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[int(last) if isinstance(node, list) else last] = value
    assert f"  - {sentence}" in refusal(raw)


def test_unknown_keys_list_the_known_ones(raw: dict[str, Any]) -> None:
    raw["action"]["columns"][0]["vel"] = 1.0
    raw["outputs"]["arm"]["hz"] = 50
    lines = refusal(raw)
    assert lines[0] == "contract: 2 mistakes"
    assert "action.columns[0].vel: unknown key; known are ['name', 'kind', 'unit'" in lines[1]
    assert "outputs.arm.hz: unknown key; known are ['topic', 'type', 'columns'" in lines[2]


def test_end_effector_columns_are_refused_with_the_way_out(raw: dict[str, Any]) -> None:
    raw["action"]["columns"][0]["kind"] = "ee_pose"
    lines = refusal(raw)
    assert len(lines) == 2
    assert "become joint targets in the policy's output transforms" in lines[1]


def test_an_empty_file_is_a_refusal() -> None:
    assert "(whole file)" in refusal(None)[1]


def test_overlays_are_laid_over_key_by_key(tmp_path: Path) -> None:
    base, over = tmp_path / "a.yaml", tmp_path / "b.yaml"
    base.write_text((ROOT / "config/robots/so101/contract.yaml").read_text())
    over.write_text("observation: {max_age_s: 0.5}\n")
    contract = load_contract([base, over])
    assert contract.observation.max_age_s == 0.5
    assert contract.observation.max_skew_s == load_contract([base]).observation.max_skew_s


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("robot: a\nrobot: b\n")
    with pytest.raises(ConfigurationError, match="key 'robot' is written twice"):
        load_contract([file])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml: cannot be read"):
        load_contract([tmp_path / "nothing.yaml"])


def test_a_contract_survives_json(raw: dict[str, Any]) -> None:
    """Worker processes get it that way."""
    contract = parse_contract(raw)
    again = type(contract).model_validate(contract.model_dump(mode="json"))
    assert again == contract


def test_run_out_follows_from_the_kind(raw: dict[str, Any]) -> None:
    assert [column.run_out for column in parse_contract(raw).action.columns] == [
        "brake_and_hold",
        "brake_and_hold",
        "ramp_to_zero",
        "brake_and_hold",
    ]
