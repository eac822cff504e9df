"""A policy that does not fit is refused before anything moves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from vla_core.contract import ACTION_MAX, ACTION_MIN, Contract, check, parse_policy_config
from vla_core.errors import MismatchError
from vla_core.ports import ImageSpec, PolicySpec


@pytest.fixture
def spec(contract: Contract) -> PolicySpec:
    return PolicySpec(
        name="p",
        images={"front": ImageSpec(4, 6)},
        state={"joints": ("lift", "turn", "gripper")},
        columns=contract.columns,
        units=contract.units,
        horizon=32,
        step_ns=50_000_000,
        robot="tiny",
    )


def refusal(contract: Contract, spec: PolicySpec, **config: Any) -> str:
    values: dict[str, Any] = {"name": "p", "robot": "tiny", "uri": "a:b", **config}
    with pytest.raises(MismatchError) as caught:
        check(contract, spec, parse_policy_config(values))
    return str(caught.value)


def test_a_policy_that_fits_is_accepted(contract: Contract, spec: PolicySpec) -> None:
    check(contract, spec)
    check(contract, replace(spec, robot="", images={"front": ImageSpec(0, 0)}))


def test_a_policy_for_another_robot(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, robot="so101"))
    assert "the policy was trained for 'so101', this is 'tiny'" in text


def test_a_file_for_another_robot(contract: Contract, spec: PolicySpec) -> None:
    assert "its file is for 'hsr', this is 'tiny'" in refusal(contract, spec, robot="hsr")


def test_swapped_joint_order(contract: Contract, spec: PolicySpec) -> None:
    columns = ("turn", "lift", "drive", "gripper")
    text = refusal(contract, replace(spec, columns=columns))
    assert "order of columns: expected ['lift', 'turn', 'drive', 'gripper']" in text


def test_unknown_and_missing_columns(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, columns=("lift", "yaw"), units=("rad", "rad")))
    assert "missing ['turn', 'drive', 'gripper'], unknown ['yaw']" in text


def test_another_unit(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, units=("deg", "rad", "m/s", "rad")))
    assert "unit of column 'lift': expected 'rad', the policy gives 'deg'" in text


def test_degrees_for_radians_show_in_the_statistics(contract: Contract, spec: PolicySpec) -> None:
    metadata = {
        ACTION_MIN: json.dumps([-50.0, -110.0, -0.5, 0.0]),
        ACTION_MAX: json.dumps([80.0, 110.0, 0.5, 1.0]),
    }
    text = refusal(contract, replace(spec, metadata=metadata))
    assert "column 'turn' reached 110 in training, the robot's limits are -2 to 2 rad" in text
    assert text.count("degrees instead of radians?") == 4


def test_statistics_near_the_limits_are_fine(contract: Contract, spec: PolicySpec) -> None:
    check(contract, replace(spec, metadata={ACTION_MAX: json.dumps([1.6, 2.1, 0.5, 1.05])}))


def test_unreadable_statistics_are_refused(contract: Contract, spec: PolicySpec) -> None:
    for value in ("a lot", "[1, 2]", "[1, 2, 3, NaN]"):
        assert "expected 4 finite numbers" in refusal(
            contract, replace(spec, metadata={ACTION_MIN: value})
        )


def test_a_missing_camera(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, images={"wrist": ImageSpec(4, 6)}))
    assert "image 'wrist': the robot has no such camera, it has ['front']" in text


def test_another_image_size(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, images={"front": ImageSpec(224, 224)}))
    assert "the policy expects 224 x 224 pixels (height x width), the robot gives 4 x 6" in text


def test_other_state_entries(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, state={"joints": ("turn", "lift", "gripper")}))
    assert "state 'joints': the policy expects entries ['turn', 'lift', 'gripper']" in text
    text = refusal(contract, replace(spec, state={"force": ("x",)}))
    assert "the robot has no such stream, it has ['joints']" in text


def test_rows_faster_than_the_tick(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, replace(spec, step_ns=10_000_000))
    assert "expected rows at least 20 ms apart" in text


def test_a_horizon_longer_than_the_chunk(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, spec, execution={"horizon_rows": 50})
    assert "execution.horizon_rows: expected at most 32 rows, found 50" in text


def test_another_rate_than_the_policys_own(contract: Contract, spec: PolicySpec) -> None:
    assert "rate_hz: expected 20" in refusal(contract, spec, rate_hz=30.0)


def test_a_stream_the_robot_does_not_have(contract: Contract, spec: PolicySpec) -> None:
    text = refusal(contract, spec, streams={"cam": "top"})
    assert "streams.cam: expected one of ['front', 'joints'], found 'top'" in text


def test_all_mismatches_come_at_once(contract: Contract, spec: PolicySpec) -> None:
    wrong = replace(spec, robot="x", images={"top": ImageSpec(1, 1)}, step_ns=1, horizon=1)
    text = refusal(contract, wrong)
    assert text.count("\n  - ") == 4


def test_the_join_rtc_with_a_policy_that_continues_nothing(
    contract: Contract, spec: PolicySpec
) -> None:
    text = refusal(contract, spec, execution={"join": "rtc"})
    assert "execution.join: 'rtc' needs a policy that continues a plan" in text
    config = {"name": "p", "robot": "tiny", "uri": "a:b", "execution": {"join": "rtc"}}
    check(contract, replace(spec, accepts_prefix=True), parse_policy_config(config))
