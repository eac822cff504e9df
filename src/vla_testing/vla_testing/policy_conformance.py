"""What every policy must do, whatever is behind it.

A test class inherits `PolicyConformance` and makes the policy; the suite closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vla_core.errors import VlaError
from vla_core.ports import Policy
from vla_core.types import ActionChunk, Observation, Prefix

AS_OF_NS = 1_700_000_000_123_456_789


class PolicyConformance:
    """The promises of `vla_core.ports.Policy`, of a policy as `load_policy` returns it."""

    def make_policy(self) -> Policy:
        """Return a new policy; overridden by each adapter's test."""
        raise NotImplementedError

    @pytest.fixture
    def policy(self) -> Iterator[Policy]:
        policy = self.make_policy()
        yield policy
        policy.close()

    def test_describes_itself_completely(self, policy: Policy) -> None:
        spec = policy.spec
        assert spec.name
        assert spec.columns
        assert len(set(spec.columns)) == len(spec.columns) == len(spec.units)
        assert all(unit in ("rad", "m", "rad/s", "m/s") for unit in spec.units)
        assert spec.horizon >= 1
        assert spec.step_ns > 0

    def test_answers_its_own_example(self, policy: Policy) -> None:
        chunk = policy.infer(policy.spec.example())
        assert chunk.columns == policy.spec.columns
        assert chunk.step_ns == policy.spec.step_ns
        assert 1 <= chunk.horizon <= policy.spec.horizon
        assert chunk.values.dtype == np.float64
        assert np.isfinite(chunk.values).all()

    def test_starts_at_the_instant_of_the_observation(self, policy: Policy) -> None:
        chunk = policy.infer(replace(policy.spec.example(), as_of_ns=AS_OF_NS))
        assert chunk.start_ns == AS_OF_NS

    def test_hands_on_the_ages_of_the_streams(self, policy: Policy) -> None:
        ages = {name: 7_000_000 + i for i, name in enumerate(_streams(policy))}
        chunk = policy.infer(replace(policy.spec.example(), ages_ns=ages))
        assert dict(chunk.ages_ns) == ages

    def test_leaves_the_observation_as_it_is(self, policy: Policy) -> None:
        example = policy.spec.example()
        arrays: list[Any] = [*example.images.values(), *example.state.values()]
        for array in arrays:
            array.flags.writeable = False
        policy.infer(example)

    def test_says_the_same_again_after_a_reset(self, policy: Policy) -> None:
        policy.reset()
        first = policy.infer(policy.spec.example())
        policy.infer(policy.spec.example())
        policy.reset()
        again = policy.infer(policy.spec.example())
        np.testing.assert_array_equal(first.values, again.values)

    def test_refuses_a_prefix_that_it_cannot_continue(self, policy: Policy) -> None:
        prefix = _prefix(policy)
        if policy.spec.accepts_prefix:
            assert policy.infer(policy.spec.example(), prefix).prefix_rows <= len(prefix.values)
        else:
            with pytest.raises(VlaError, match="prefix"):
                policy.infer(policy.spec.example(), prefix)

    def test_refuses_an_observation_without_an_image(self, policy: Policy) -> None:
        example = policy.spec.example()
        for name in example.images:
            rest = {k: v for k, v in example.images.items() if k != name}
            with pytest.raises(VlaError, match=name):
                policy.infer(replace(example, images=rest))

    def test_refuses_a_state_that_is_missing_or_of_another_length(self, policy: Policy) -> None:
        example = policy.spec.example()
        for name, values in example.state.items():
            rest = {k: v for k, v in example.state.items() if k != name}
            for state in (rest, {**rest, name: values[1:]}):
                with pytest.raises(VlaError, match=name):
                    policy.infer(replace(example, state=state))

    def test_refuses_a_state_that_is_not_finite(self, policy: Policy) -> None:
        example = policy.spec.example()
        for name, values in example.state.items():
            bad = np.full_like(values, np.nan)
            with pytest.raises(VlaError, match=name):
                policy.infer(replace(example, state={**example.state, name: bad}))

    def test_answers_after_a_refusal(self, policy: Policy) -> None:
        example = policy.spec.example()
        empty = replace(example, images={}, state={})
        if _streams(policy):
            with pytest.raises(VlaError):
                policy.infer(empty)
        assert policy.infer(example).horizon >= 1

    def test_may_be_asked_by_another_thread_than_the_one_that_made_it(
        self, policy: Policy
    ) -> None:
        chunks: list[ActionChunk] = []
        thread = threading.Thread(target=lambda: chunks.append(policy.infer(_example(policy))))
        thread.start()
        thread.join(30.0)
        assert len(chunks) == 1

    def test_may_be_closed_twice_and_then_answers_nothing(self, policy: Policy) -> None:
        policy.close()
        policy.close()
        with pytest.raises(VlaError):
            policy.infer(policy.spec.example())


def _example(policy: Policy) -> Observation:
    return policy.spec.example()


def _streams(policy: Policy) -> list[str]:
    return [*policy.spec.images, *policy.spec.state]


def _prefix(policy: Policy) -> Prefix:
    return Prefix(
        values=np.zeros((2, len(policy.spec.columns))),
        start_ns=0,
        step_ns=policy.spec.step_ns,
        committed_until_ns=2 * policy.spec.step_ns,
    )
