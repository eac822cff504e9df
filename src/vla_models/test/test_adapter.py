"""The policy as the stack sees it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_core.errors import InferenceError, MismatchError
from vla_core.ports import Policy
from vla_models.examples import JOINTS, observation, tiny_checkpoint
from vla_models.nano.adapter import NanoPolicy


@pytest.fixture
def policy() -> NanoPolicy:
    return NanoPolicy(tiny_checkpoint(), threads=1)


def test_answers_with_a_chunk_of_absolute_targets(policy: NanoPolicy) -> None:
    seen = observation()
    chunk = policy.infer(seen)
    assert isinstance(policy, Policy)
    assert chunk.values.shape == (5, 3) and chunk.columns == JOINTS
    assert chunk.start_ns == seen.as_of_ns and chunk.step_ns == policy.spec.step_ns
    moved = replace(seen, state={"joints": seen.state["joints"] + 100.0})
    # Far from everything it knows, the answer is still about where the arm is.
    assert np.abs(policy.infer(moved).values - chunk.values).min() > 50


def test_the_same_observation_gives_the_same_chunk(policy: NanoPolicy) -> None:
    np.testing.assert_array_equal(
        policy.infer(observation()).values, policy.infer(observation()).values
    )


def test_the_text_is_encoded_when_the_instruction_changes_only(
    policy: NanoPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    encode = policy._network.encode_text
    monkeypatch.setattr(policy._network, "encode_text", lambda w: calls.append(1) or encode(w))
    for text in ("put the red cube", "put the red cube", "put the blue cube", "put the red cube"):
        policy.infer(observation(text))
    policy.reset()
    policy.infer(observation("put the red cube"))
    assert len(calls) == 2


def test_another_instruction_gives_another_chunk(policy: NanoPolicy) -> None:
    red, blue = (policy.infer(observation(f"put the {c} cube")).values for c in ("red", "blue"))
    assert np.abs(red - blue).max() > 1e-6


@pytest.mark.parametrize("empty", ["", "   ", "?!"])
def test_an_empty_instruction_is_refused(policy: NanoPolicy, empty: str) -> None:
    with pytest.raises(InferenceError, match="instruction is empty"):
        policy.infer(observation(empty))


def test_a_meaningless_instruction_is_answered(policy: NanoPolicy) -> None:
    assert np.isfinite(policy.infer(observation("colourless ideas sleep furiously")).values).all()


def test_a_missing_camera_is_refused_by_name(policy: NanoPolicy) -> None:
    seen = observation()
    with pytest.raises(MismatchError, match="wrist"):
        policy.infer(replace(seen, images={"front": seen.images["front"]}))


def test_stages_are_timed(policy: NanoPolicy) -> None:
    assert set(policy.infer(observation()).stages_ns) == {"text", "preprocess", "infer"}
