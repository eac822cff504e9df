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


class PrefixConformance(PolicyConformance):
    """And what every policy must do that says it accepts a prefix (real-time chunking)."""

    tolerance = 0.02  # of rows that are continued [SI]; a policy that keeps them exactly: 0
    rows = 6  # of the plan that is continued; four of them are committed

    def test_says_that_it_accepts_a_prefix(self, policy: Policy) -> None:
        assert policy.spec.accepts_prefix
        assert policy.infer(policy.spec.example()).prefix_rows == 0

    def test_continues_its_own_plan_from_a_later_observation(self, policy: Policy) -> None:
        plan, later = self._plan(policy)
        chunk = policy.infer(later, plan)
        assert chunk.start_ns == later.as_of_ns
        assert 1 <= chunk.prefix_rows <= 4
        kept = slice(0, chunk.prefix_rows)
        np.testing.assert_allclose(chunk.values[kept], plan.values[kept], atol=self.tolerance)

    def test_reads_a_plan_between_its_own_rows(self, policy: Policy) -> None:
        """Knots as an executor sends them: on the rows of the chunk before."""
        plan, later = self._plan(policy)
        step_ns = plan.step_ns
        early = replace(plan, start_ns=plan.start_ns - step_ns // 2)
        chunk = policy.infer(later, early)
        assert chunk.prefix_rows >= 1
        between = (plan.values[:-1] + plan.values[1:]) / 2
        widest = float(np.abs(np.diff(plan.values, axis=0)).max())
        off = np.abs(chunk.values[: chunk.prefix_rows] - between[: chunk.prefix_rows])
        assert off.max() <= self.tolerance + widest  # grippers are held: up to half a step

    def test_a_plan_that_has_ended_changes_nothing(self, policy: Policy) -> None:
        plan, later = self._plan(policy)
        policy.reset()
        alone = policy.infer(later)
        policy.reset()
        past = replace(plan, start_ns=plan.start_ns - 1000 * plan.step_ns)
        np.testing.assert_array_equal(policy.infer(later, past).values, alone.values)

    def test_rows_beyond_its_chunk_change_nothing(self, policy: Policy) -> None:
        plan, later = self._plan(policy)
        horizon = policy.spec.horizon
        values = np.repeat(plan.values[:1], horizon, axis=0)
        policy.reset()
        short = policy.infer(later, replace(plan, values=values))
        policy.reset()
        beyond = np.concatenate([values, values[:3] + 1.0])
        long = policy.infer(later, replace(plan, values=beyond))
        np.testing.assert_array_equal(short.values, long.values)

    def test_one_row_is_enough_and_the_rest_stays_free(self, policy: Policy) -> None:
        """Rows that do not exist are not filled in: the end is nearer to a free end."""
        plan, later = self._plan(policy)
        far = plan.values + 0.2
        policy.reset()
        free = policy.infer(later).values
        policy.reset()
        one = policy.infer(later, replace(plan, values=far[:1])).values
        policy.reset()
        many = np.repeat(far[:1], policy.spec.horizon, axis=0)
        whole = policy.infer(later, replace(plan, values=many)).values
        assert np.abs(one[-1] - free[-1]).max() <= np.abs(whole[-1] - free[-1]).max()

    def test_says_the_same_for_the_same_plan_after_a_reset(self, policy: Policy) -> None:
        plan, later = self._plan(policy)
        policy.reset()
        first = policy.infer(later, plan)
        policy.reset()
        np.testing.assert_array_equal(policy.infer(later, plan).values, first.values)

    def test_leaves_the_plan_as_it_is(self, policy: Policy) -> None:
        plan, later = self._plan(policy)
        plan.values.flags.writeable = False
        policy.infer(later, plan)

    @pytest.mark.parametrize("bad", ["narrow", "empty", "nan"])
    def test_refuses_a_plan_that_is_none(self, policy: Policy, bad: str) -> None:
        plan, later = self._plan(policy)
        values = {
            "narrow": plan.values[:, 1:],
            "empty": plan.values[:0],
            "nan": np.full_like(plan.values, np.nan),
        }[bad]
        with pytest.raises(VlaError, match="prefix"):
            policy.infer(later, replace(plan, values=values))
        assert policy.infer(later, plan).horizon >= 1

    def _plan(self, policy: Policy) -> tuple[Prefix, Observation]:
        """Return the rest of a first chunk as an executor would, and the observation after it."""
        policy.reset()
        before = policy.infer(replace(policy.spec.example(), as_of_ns=AS_OF_NS))
        step_ns = before.step_ns
        later = replace(policy.spec.example(), as_of_ns=AS_OF_NS + 2 * step_ns)
        values = before.values[2 : 2 + self.rows].copy()
        until_ns = later.as_of_ns + 4 * step_ns
        return Prefix(values, later.as_of_ns, step_ns, until_ns), later


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
