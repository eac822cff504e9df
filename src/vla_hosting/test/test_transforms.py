"""Conversions between the robot's words and a policy's: what goes in, what comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_core.contract import ACTION_MAX, Contract, check
from vla_core.errors import ConfigurationError, MismatchError
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.transforms import ConvertedPolicy, build_chain, parse_unit

JOINTS = ("pan", "lift", "gripper")
STEP_NS = 50_000_000
STATE = np.array([0.1, -0.2, 0.5])


class Echo:
    """Answers with given rows and remembers what it was asked."""

    def __init__(self, rows: Sequence[Sequence[float]] = ((0.0,) * 3,) * 2, **spec: Any) -> None:
        self._rows = np.array(rows, np.float64)
        self.asked: Observation | None = None
        self.prefix: Prefix | None = None
        described: dict[str, Any] = {
            "name": "inside",
            "images": {"front": ImageSpec(12, 16)},
            "state": {"joints": JOINTS},
            "columns": JOINTS,
            "units": ("rad",) * 3,
            "horizon": len(rows),
            "step_ns": STEP_NS,
            "accepts_prefix": True,
        }
        self.spec = PolicySpec(**{**described, **spec})

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        self.spec.validate(observation)
        self.asked, self.prefix = observation, prefix
        return ActionChunk(self._rows, observation.as_of_ns, STEP_NS, self.spec.columns)

    def reset(self) -> None: ...

    def close(self) -> None: ...


def observed(**changes: Any) -> Observation:
    images = {name: np.full((24, 32, 3), 9, np.uint8) for name in ("front", "wrist")}
    seen = Observation(1_000, images, {"joints": STATE}, "Pick it UP.", {"joints": 5})
    return replace(seen, **changes)


def prefix_of(rows: Sequence[Sequence[float]], start_ns: int = 1_000) -> Prefix:
    return Prefix(np.array(rows), start_ns, STEP_NS, start_ns + STEP_NS)


def convert(policy: Echo, contract: Contract, configure: Any, **keys: Any) -> ConvertedPolicy:
    config = configure("scripted:a:b", **keys)
    return ConvertedPolicy(policy, build_chain(config, contract, policy.spec))


def values(policy: ConvertedPolicy, prefix: Prefix | None = None) -> NDArray[np.float64]:
    return policy.infer(observed(), prefix).values


def resize(**size: int) -> dict[str, Any]:
    return {"resize": {"height_px": 12, "width_px": 16, **size}}


def test_without_conversions_only_the_name_changes(contract: Contract, configure: Any) -> None:
    policy = convert(Echo(images={}), contract, configure)
    assert policy.spec == replace(Echo(images={}).spec, name="tested")
    assert policy.infer(observed()).ages_ns == {"joints": 5}


def test_degrees_go_in_and_come_out_as_radians(contract: Contract, configure: Any) -> None:
    policy = Echo([[90.0, 0.0, 1.0], [-180.0, 0.0, 1.0]], images={}, units=("deg", "deg", "rad"))
    converted = convert(
        policy, contract, configure, conversions=[{"units": {"pan": "deg", "lift": "deg"}}]
    )
    assert converted.spec.units == ("rad",) * 3
    np.testing.assert_allclose(values(converted)[:, 0], [math.pi / 2, -math.pi])
    assert policy.asked is not None
    np.testing.assert_allclose(
        policy.asked.state["joints"], [math.degrees(0.1), math.degrees(-0.2), 0.5]
    )


def test_normalised_ranges_map_their_ends(contract: Contract, configure: Any) -> None:
    policy = Echo([[-100.0, 100.0, 0.0], [0.0, 0.0, 100.0]], images={}, units=("",) * 3)
    units = {
        "pan": {"low": -2.0, "high": 1.0},
        "lift": {"low": 1.0, "high": -1.0},
        "gripper": {"low": -0.2, "high": 1.8, "policy_low": 0.0, "policy_high": 100.0},
    }
    converted = convert(policy, contract, configure, conversions=[{"units": units}])
    np.testing.assert_allclose(values(converted), [[-2.0, -1.0, -0.2], [-0.5, 0.0, 1.8]])
    assert policy.asked is not None
    np.testing.assert_allclose(policy.asked.state["joints"], [40.0, 20.0, 35.0])


def test_a_policy_that_says_radians_is_not_converted_from_degrees(
    contract: Contract, configure: Any
) -> None:
    with pytest.raises(MismatchError, match=r"units.pan says 'deg', but the policy .* 'rad'"):
        convert(Echo(), contract, configure, conversions=[{"units": {"pan": "deg"}}])


def test_ranges_of_the_training_data_are_converted_too(contract: Contract, configure: Any) -> None:
    metadata = {ACTION_MAX: json.dumps([90.0, 0.5, 1.0])}
    policy = Echo(images={}, units=("deg", "rad", "rad"), metadata=metadata)
    converted = convert(policy, contract, configure, conversions=[{"units": {"pan": "deg"}}])
    assert json.loads(converted.spec.metadata[ACTION_MAX])[0] == pytest.approx(math.pi / 2)
    check(contract, converted.spec)


def test_deltas_start_from_the_state_the_chunk_was_conditioned_on(
    contract: Contract, configure: Any
) -> None:
    policy = Echo([[1.0, 1.0, 1.0], [2.0, 2.0, 1.0]], images={})
    arguments = {"stream": "joints", "columns": ["pan", "lift"]}
    relative = convert(policy, contract, configure, conversions=[{"relative_to_state": arguments}])
    np.testing.assert_allclose(values(relative), [[1.1, 0.8, 1.0], [2.1, 1.8, 1.0]])
    accumulated = convert(policy, contract, configure, conversions=[{"accumulated": arguments}])
    np.testing.assert_allclose(values(accumulated), [[1.1, 0.8, 1.0], [3.1, 2.8, 1.0]])


def test_the_anchor_may_be_another_entry(contract: Contract, configure: Any) -> None:
    arguments = {"stream": "joints", "columns": ["pan"], "anchors": {"pan": "gripper"}}
    policy = convert(
        Echo(images={}), contract, configure, conversions=[{"relative_to_state": arguments}]
    )
    assert values(policy)[0].tolist() == [0.5, 0.0, 0.0]


def test_deltas_in_degrees_are_added_in_degrees_and_then_converted(
    contract: Contract, configure: Any
) -> None:
    policy = Echo([[90.0, 0.0, 0.0]] * 2, images={}, units=("deg", "rad", "rad"))
    converted = convert(
        policy,
        contract,
        configure,
        conversions=[
            {"units": {"pan": "deg"}},
            {"relative_to_state": {"stream": "joints", "columns": ["pan"]}},
        ],
    )
    np.testing.assert_allclose(values(converted)[:, 0], 0.1 + math.pi / 2)


@pytest.mark.parametrize("kind", ["relative_to_state", "accumulated"])
def test_a_prefix_goes_in_as_the_deltas_that_would_come_out_as_it(
    contract: Contract, configure: Any, kind: str
) -> None:
    rows = [[0.3, 0.4, 0.5], [0.6, 0.4, 0.1]]
    conversions = [
        {"units": {"gripper": {"low": 0.0, "high": 1.0}}},
        {kind: {"stream": "joints", "columns": ["pan", "lift"]}},
    ]
    policy = Echo(images={}, units=("rad", "rad", ""))
    values(convert(policy, contract, configure, conversions=conversions), prefix_of(rows))
    assert policy.prefix is not None
    back = Echo(policy.prefix.values.tolist(), images={}, units=("rad", "rad", ""))
    converted = convert(back, contract, configure, conversions=conversions)
    np.testing.assert_allclose(values(converted), rows, atol=1e-12)


def test_the_first_row_of_a_later_prefix_has_no_accumulated_delta(
    contract: Contract, configure: Any
) -> None:
    arguments = {"stream": "joints", "columns": ["pan"]}
    policy = Echo(images={})
    converted = convert(policy, contract, configure, conversions=[{"accumulated": arguments}])
    rows = [[0.3, 0.4, 0.5], [0.7, 0.4, 0.1]]
    converted.infer(observed(), prefix_of(rows, start_ns=7_000))
    assert policy.prefix is not None
    np.testing.assert_allclose(policy.prefix.values, [[0.4, 0.4, 0.1]])
    assert policy.prefix.start_ns == 7_000 + policy.prefix.step_ns
    converted.infer(observed(), prefix_of(rows[:1], start_ns=7_000))
    assert policy.prefix is None


@pytest.mark.skipif(find_spec("cv2") is None, reason="no OpenCV: nothing can be resized")
def test_streams_are_renamed_and_images_resized(contract: Contract, configure: Any) -> None:
    policy = Echo(images={"cam": ImageSpec(12, 16)}, state={"qpos": JOINTS})
    converted = convert(
        policy,
        contract,
        configure,
        streams={"cam": "wrist", "qpos": "joints"},
        conversions=[resize()],
    )
    assert dict(converted.spec.images) == {"wrist": ImageSpec(0, 0)}
    assert dict(converted.spec.state) == {"joints": JOINTS}
    check(contract, converted.spec)
    values(converted)
    assert policy.asked is not None
    assert policy.asked.images["cam"].shape == (12, 16, 3)


def test_one_stream_may_be_two_inputs(contract: Contract, configure: Any) -> None:
    policy = Echo(images={"a": ImageSpec(24, 32), "b": ImageSpec(24, 32)})
    converted = convert(
        policy,
        contract,
        configure,
        streams={"a": "front", "b": "front", "joints": "joints"},
    )
    assert list(converted.spec.images) == ["front"]
    values(converted)
    assert policy.asked is not None
    assert policy.asked.images["a"] is policy.asked.images["b"]


def test_columns_are_renamed_and_put_in_the_contracts_order(
    contract: Contract, configure: Any
) -> None:
    policy = Echo(
        [[1.0, 2.0, 3.0]] * 2, images={}, columns=("j3", "pan", "lift"), units=("m", "rad", "rad")
    )
    converted = convert(
        policy, contract, configure, conversions=[{"reorder": {}}, {"rename": {"j3": "gripper"}}]
    )
    assert converted.spec.columns == JOINTS
    assert converted.spec.units == ("rad", "rad", "m")
    assert values(converted, prefix_of([[7.0, 8.0, 9.0]]))[0].tolist() == [2.0, 3.0, 1.0]
    assert policy.prefix is not None
    assert policy.prefix.values.tolist() == [[9.0, 7.0, 8.0]]


def test_a_declared_order_is_put_right(contract: Contract, configure: Any) -> None:
    order = ["gripper", "pan", "lift"]
    policy = Echo([[1.0, 2.0, 3.0]] * 2, images={}, columns=tuple(order))
    converted = convert(policy, contract, configure, columns=order)
    assert values(converted)[0].tolist() == [2.0, 3.0, 1.0]


def test_a_declared_order_that_the_policy_denies_is_refused(
    contract: Contract, configure: Any
) -> None:
    with pytest.raises(ConfigurationError, match="columns: expected the policy's"):
        convert(Echo(), contract, configure, columns=["gripper", "pan", "lift"])


def test_state_entries_are_chosen_in_the_policys_order(contract: Contract, configure: Any) -> None:
    policy = Echo(images={}, state={"joints": ("gripper", "pan")})
    select = {"stream": "joints", "entries": ["gripper", "pan"]}
    converted = convert(policy, contract, configure, conversions=[{"select": select}])
    values(converted)
    assert policy.asked is not None
    assert policy.asked.state["joints"].tolist() == [0.5, 0.1]
    assert dict(converted.spec.state) == {"joints": JOINTS}


def test_an_instruction_is_normalised_and_put_in_its_template(
    contract: Contract, configure: Any
) -> None:
    policy = Echo(images={})
    template = {"template": "In: What should the robot do to {instruction}?\nOut:"}
    values(convert(policy, contract, configure, conversions=[{"instruction": template}]))
    assert policy.asked is not None
    assert policy.asked.instruction == "In: What should the robot do to pick it up?\nOut:"


def test_units_a_policy_cannot_say_are_those_of_the_contract(
    contract: Contract, configure: Any
) -> None:
    policy = convert(Echo(images={}, units=("",) * 3), contract, configure)
    assert policy.spec.units == ("rad",) * 3


@pytest.mark.parametrize(
    ("conversion", "sentence"),
    [
        ({"resise": {}}, r"conversions\[0\]: unknown conversion 'resise'; known are"),
        ({"resize": {"height_px": 3}}, r"conversions\[0\].resize: 'width_px' is missing"),
        ({"resize": {"height": 3}}, r"unknown \['height'\]; known are \['height_px'"),
        (resize(width_px=0), "whole number above 0, got 0"),
        ({"resize": {"images": ["top"], "height_px": 3, "width_px": 3}}, r"unknown \['top'\]"),
        ({"units": {"elbow": "deg"}}, r"unknown \['elbow'\]; known are"),
        ({"units": {"pan": "turns"}}, "pan: expected 'deg' or {low, high} in SI, got 'turns'"),
        ({"units": {"pan": {"low": 1.0, "high": 1.0}}}, "not empty"),
        ({"units": {"pan": {"low": 1.0}}}, "expected low and high"),
        ({"rename": {"j9": "pan"}}, r"unknown \['j9'\]"),
        ({"select": {"stream": "joints", "entries": ["x"]}}, r"unknown \['x'\]"),
        ({"accumulated": {"stream": "base", "columns": []}}, r"unknown \['base'\]"),
        ({"instruction": {"template": "no place"}}, "expected '{instruction}' in it"),
        ({"a": {}, "b": {}}, "expected one name"),
        ({"units": ["pan"]}, r"expected a dict, got \['pan'\]"),
    ],
)
def test_a_mistake_in_a_conversion_says_where(
    contract: Contract, configure: Any, conversion: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        convert(Echo(), contract, configure, conversions=[conversion])


def test_streams_that_do_not_fit_are_all_named(contract: Contract, configure: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        convert(Echo(), contract, configure, streams={"front": "front", "depth": "wrist"})
    assert "expected 'joints'" in str(caught.value)
    assert "streams.depth: the policy takes no such input" in str(caught.value)


def test_degrees_are_the_whole_circle() -> None:
    unit = parse_unit("deg")
    assert unit.scale * math.pi + unit.offset == pytest.approx(180.0)
