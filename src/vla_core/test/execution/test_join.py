"""Joins take over smoothly, and do not pile up."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_core.contract import Contract
from vla_core.contract.policy_config import JoinName
from vla_core.errors import ConfigurationError
from vla_core.execution.curve import Blend, Constant, Spline
from vla_core.execution.join import JOINS, Seam, blend, blend_duration_ns, join_named

MS = 1_000_000
ROW, STEP = 50 * MS, 20 * MS


def seam(contract: Contract, gap: float, at_ns: int = 0, old: Any = None) -> Seam:
    columns = contract.action.columns
    new = Spline(np.full((32, 4), gap), at_ns, ROW, columns)
    rest = Constant(np.zeros(4))
    return Seam(old or rest, rest, new, at_ns, at_ns + 31 * ROW, STEP, columns)


def test_unknown_joins_list_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"one of \['replace', 'blend', .*found 'mix'"):
        join_named("mix")


def test_a_policys_file_may_name_every_join() -> None:
    assert tuple(JOINS) == get_args(JoinName)


def test_replace_is_the_new_plan(contract: Contract) -> None:
    one = seam(contract, 0.1)
    assert join_named("replace")(one) is one.new


@settings(max_examples=30, deadline=None)
@given(gap=st.floats(1e-4, 0.4))
def test_a_blend_keeps_to_its_share_of_the_limits(gap: float) -> None:
    from vla_core.contract import parse_contract

    contract = parse_contract(_raw())
    curve = blend(seam(contract, gap))
    at = np.arange(0, 1550 * MS, MS, dtype=np.int64)
    _, first, second = curve.sample(at)
    jerk = np.abs(np.diff(second, axis=0)) / 1e-3
    for i, column in enumerate(contract.action.columns[:2]):
        assert np.abs(first[:, i]).max() <= 0.5 * column.velocity * 1.001
        assert np.abs(second[:, i]).max() <= 0.5 * column.acceleration * 1.001
        assert jerk[:, i].max() <= 0.5 * column.jerk * 1.001
    drive = contract.action.columns[2]
    assert np.abs(first[:, 2]).max() <= 0.5 * drive.acceleration * 1.001


def _raw() -> dict[str, Any]:
    limits = {"velocity": 2.0, "acceleration": 12.0, "jerk": 150.0}
    joint = {"kind": "joint_position", "unit": "rad", "position": [-1.0, 1.0], **limits}
    stream = {"topic": "j", "type": "sensor_msgs/msg/JointState", "entries": ["a", "b", "g"]}
    return {
        "robot": "r",
        "observation": {"max_age_s": 0.1, "max_skew_s": 0.1, "state": {"j": stream}},
        "action": {
            "step_s": 0.02,
            "columns": [
                {"name": "a", **joint},
                {"name": "b", **joint, "jerk": 60.0},
                {"name": "d", "kind": "base_velocity", "unit": "m/s", **limits},
                {"name": "g", **joint, "kind": "gripper"},
            ],
        },
        "outputs": {
            "all": {
                "topic": "c",
                "type": "std_msgs/msg/Float64MultiArray",
                "columns": ["a", "b", "d", "g"],
                "deadline_s": 0.1,
            }
        },
        "tracking_error": {"limit": 0.5, "duration_s": 0.5},
    }


def test_a_small_gap_is_closed_quickly_and_a_large_one_slowly(contract: Contract) -> None:
    durations = [blend_duration_ns(seam(contract, gap)) for gap in (0.0, 0.01, 0.1, 0.4)]
    assert durations == sorted(durations)
    assert durations[0] == 2 * STEP
    assert durations[-1] < 31 * ROW


def test_the_gripper_does_not_slow_a_blend_down(contract: Contract) -> None:
    one = seam(contract, 0.0)
    open_ = Spline(np.tile([0.0, 0.0, 0.0, 1.0], (32, 1)), 0, ROW, contract.action.columns)
    object.__setattr__(one, "new", open_)
    assert blend_duration_ns(one) == 2 * STEP


def test_blends_that_are_over_are_dropped(contract: Contract) -> None:
    first = blend(seam(contract, 0.01))
    later = blend(seam(contract, 0.02, 1000 * MS, old=first))
    assert isinstance(later, Blend) and not isinstance(later.old, Blend)


def test_chunks_faster_than_blends_do_not_nest_for_ever(contract: Contract) -> None:
    curve: Any = Constant(np.zeros(4))
    for i in range(20):
        curve = blend(seam(contract, 0.02 * (-1) ** i, i * STEP, old=curve))
    depth = 0
    while isinstance(curve, Blend):
        curve, depth = curve.old, depth + 1
    assert depth <= 3


def test_flattening_a_chain_changes_nothing_that_matters(contract: Contract) -> None:
    curve: Any = Constant(np.zeros(4))
    for i in range(6):
        before = curve
        now = i * STEP
        curve = blend(seam(contract, 0.02 * (-1) ** i, now, old=curve))
        at = np.array([now])
        for mine, its in zip(curve.sample(at), before.sample(at), strict=True):
            assert mine[:, :2] == pytest.approx(its[:, :2], abs=0.02)
        assert curve.sample(at)[0][:, :2] == pytest.approx(before.sample(at)[0][:, :2], abs=1e-9)
