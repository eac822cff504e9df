"""The robot's words: functions, states, the remote, the order of the legs, the contract."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vla_core.contract import parse_contract
from vla_core.errors import LimitError, MismatchError
from vla_go2_arm import legs, sport
from vla_go2_arm.outputs import Receivers, match_outputs
from vla_go2_arm.remote import sticks_moved, takeover
from vla_so101.calibration import JOINTS

CONTRACT = Path(__file__).parents[3] / "config/robots/go2_arm/contract.yaml"
REST = {"lx": 0.0, "ly": 0.01, "rx": -0.02, "ry": 0.0}


def test_the_whitelist_has_neither_damp_nor_anything_that_jumps() -> None:
    assert {api.value for api in sport.Api} == {1002, 1003, 1004, 1005, 1008}


@pytest.mark.parametrize("values", [(3.9, 0, 0), (0, -1.1, 0), (0, 0, 4.1), (math.nan, 0, 0)])
def test_a_move_outside_the_vendors_range_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(LimitError, match=r"Move '[xyz]': expected"):
        sport.move(*values)


def test_an_answer_is_explained() -> None:
    assert sport.explain(4202) == "4202 (the motion service is not initialised)"
    assert sport.explain(1) == "1 (unknown)"


def test_a_remote_that_lies_still_is_no_takeover() -> None:
    assert takeover(REST, 0) is None and not sticks_moved(REST)


def test_a_moved_stick_and_any_key_are_a_takeover() -> None:
    assert takeover({**REST, "lx": -0.5}, 0) == "stick lx -0.50"
    assert takeover(REST, 1 << 5 | 1 << 9) == "key L2, key B"
    assert takeover({**REST, "ry": math.nan}, 0) is not None


def test_leg_joints_change_from_unitrees_order_to_that_of_ros() -> None:
    by_motor = np.arange(12.0)
    assert legs.JOINTS[:4] == ("FL_hip_joint", "FL_thigh_joint", "FL_calf_joint", "FR_hip_joint")
    assert legs.in_ros_order(by_motor).tolist() == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]


def raw() -> dict[str, Any]:
    return dict(yaml.safe_load(CONTRACT.read_text()))


def test_the_contract_has_an_arm_and_a_base() -> None:
    assert match_outputs(parse_contract(raw()), JOINTS, 0.5) == Receivers("arm", "base")


def test_wrong_joint_names_are_refused() -> None:
    text = CONTRACT.read_text().replace("elbow_flex", "elbow")
    with pytest.raises(MismatchError, match=r"joints of the arm: expected .*elbow_flex"):
        match_outputs(parse_contract(yaml.safe_load(text)), JOINTS, 0.5)


def test_a_contract_that_is_faster_than_the_robot_or_later_than_its_watchdog_is_refused() -> None:
    contract = raw()
    contract["action"]["columns"][7]["velocity"] = 1.5
    contract["outputs"]["base"]["deadline_s"] = 0.4
    with pytest.raises(MismatchError, match=r"(?s)'vy': .* at most 1, .*longer than the watchdog"):
        match_outputs(parse_contract(contract), JOINTS, 0.5)


def test_a_contract_without_a_base_is_refused() -> None:
    contract = raw()
    del contract["outputs"]["base"]
    contract["action"]["columns"] = contract["action"]["columns"][:6]
    with pytest.raises(MismatchError, match=r"one JointTrajectory .arm. and one Twist .base."):
        match_outputs(parse_contract(contract), JOINTS, 0.5)
