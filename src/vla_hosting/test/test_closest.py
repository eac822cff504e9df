"""Of several samples the one nearest to the plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vla_core.errors import ConfigurationError
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.closest import ClosestPolicy, closest

ROW = 50_000_000
COLUMNS = ("a", "b")


def chunk(value: float, start_ns: int = 0) -> ActionChunk:
    rows = np.linspace([0.0, 0.0], [value, 100.0 * value], 8)
    return ActionChunk(rows, start_ns, ROW, COLUMNS)


class Drawing:
    """A policy with two modes that draws one of them each time."""

    spec = PolicySpec("d", {}, {}, COLUMNS, ("rad", "rad"), 8, ROW)

    def __init__(self) -> None:
        self.asked: list[Prefix | None] = []
        self._values: Iterator[float] = iter([1.0, -1.0, 0.9, -0.9] * 10)

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        self.asked.append(prefix)
        return chunk(next(self._values))

    def reset(self) -> None: ...

    def close(self) -> None: ...


def plan(value: float, first: int = 0, rows: int = 5) -> Prefix:
    return Prefix(chunk(value).values[first : first + rows], first * ROW, ROW, 0)


OBSERVATION = Observation(0, {}, {}, "go")


@pytest.mark.parametrize(("value", "expected"), [(1.0, 1.0), (-1.0, -1.0), (-0.88, -0.9)])
def test_the_sample_that_goes_on_with_the_plan_is_given(value: float, expected: float) -> None:
    policy = ClosestPolicy(Drawing(), 4)
    assert policy.infer(OBSERVATION, plan(value)).values[-1, 0] == expected


def test_only_rows_that_both_have_are_compared() -> None:
    chunks = [chunk(1.0), chunk(-1.0)]
    assert closest(chunks, plan(-1.0, first=4, rows=2)) == 1
    before = Prefix(np.ones((3, 2)), -2 * ROW, ROW, 0)
    assert closest(chunks, before) in (0, 1)
    assert closest(chunks, Prefix(np.ones((2, 2)), 50 * ROW, ROW, 0)) == 0


def test_without_a_plan_the_policy_is_asked_once() -> None:
    inside = Drawing()
    ClosestPolicy(inside, 4).infer(OBSERVATION)
    assert inside.asked == [None]


def test_a_policy_that_takes_no_plan_is_not_given_one() -> None:
    inside = Drawing()
    policy = ClosestPolicy(inside, 3)
    assert policy.spec.accepts_prefix and not inside.spec.accepts_prefix
    policy.infer(OBSERVATION, plan(1.0))
    assert inside.asked == [None] * 3


def test_one_sample_leaves_nothing_to_choose() -> None:
    with pytest.raises(ConfigurationError, match="at least 2 to choose, got 1"):
        ClosestPolicy(Drawing(), 1)
