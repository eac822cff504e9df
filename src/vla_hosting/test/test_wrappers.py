from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import ChunkError, InferenceError, MismatchError, NonFiniteError
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.wrappers import CheckedPolicy, LatencyPolicy, TimedPolicy
from vla_testing.clock import FakeClock
from vla_testing.policies import HoldPolicy, MisbehavingPolicy


@pytest.fixture
def hold(contract: Contract, configure: Any) -> HoldPolicy:
    return HoldPolicy(configure("scripted:x:Y"), contract)


@pytest.fixture
def misbehaving(contract: Contract, configure: Any) -> CheckedPolicy:
    return CheckedPolicy(MisbehavingPolicy(configure("scripted:x:Y"), contract))


@pytest.mark.parametrize(
    ("misdeed", "error", "sentence"),
    [
        ("nan", NonFiniteError, "NaN or infinity first at row 0, column 'pan'"),
        ("narrow", ChunkError, "columns: expected"),
        ("swapped", ChunkError, "columns: expected"),
        ("late", ChunkError, r"observation's instant \[ns\]: expected 0, got 1"),
        ("fast", ChunkError, r"step \[ns\]: expected 50000000, got 25000000"),
        ("long", ChunkError, "rows, at most: expected 8, got 16"),
        ("raise", InferenceError, "policy 'hold': ZeroDivisionError: somebody divided by zero"),
    ],
)
def test_refuses_an_answer_that_breaks_the_spec(
    misbehaving: CheckedPolicy, misdeed: str, error: type[Exception], sentence: str
) -> None:
    example = replace(misbehaving.spec.example(), instruction=misdeed)
    with pytest.raises(error, match=sentence):
        misbehaving.infer(example)
    assert misbehaving.infer(misbehaving.spec.example()).horizon == 8


def test_refuses_a_prefix_of_another_width(contract: Contract, configure: Any) -> None:
    config = configure("scripted:x:Y", options={"prefix": True})
    policy = CheckedPolicy(HoldPolicy(config, contract))
    with pytest.raises(MismatchError, match=r"prefix expected \(T, 3\), got \(2, 4\)"):
        policy.infer(policy.spec.example(), Prefix(np.zeros((2, 4)), 0, 1, 0))


def test_names_the_entry_that_is_not_finite(hold: HoldPolicy) -> None:
    example = replace(hold.spec.example(), state={"joints": np.array([0.0, np.inf, 0.0])})
    with pytest.raises(MismatchError, match="state 'joints' has NaN or infinity at 'lift'"):
        CheckedPolicy(hold).infer(example)


def test_refuses_two_threads_at_once(hold: HoldPolicy) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(HoldPolicy):
        def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
            entered.set()
            assert leave.wait(10.0)
            return super().infer(observation, prefix)

    hold.__class__ = Slow
    policy = CheckedPolicy(hold)
    thread = threading.Thread(target=lambda: policy.infer(policy.spec.example()))
    thread.start()
    assert entered.wait(10.0)
    with pytest.raises(InferenceError, match="asked by two threads at once"):
        policy.infer(policy.spec.example())
    leave.set()
    thread.join(10.0)
    assert policy.infer(policy.spec.example()).horizon == 8


def test_notes_the_time_of_a_policy_that_does_not(hold: HoldPolicy) -> None:
    clock = FakeClock()
    slow = LatencyPolicy(hold, 0.2, sleep=clock.sleep)
    chunk = TimedPolicy(TimedPolicy(slow, clock.ns), clock.ns).infer(hold.spec.example())
    assert chunk.stages_ns == {"injected": 200_000_000, "hosting": 0}
    assert set(TimedPolicy(hold).infer(hold.spec.example()).stages_ns) == {"infer"}


def test_injects_a_constant_latency(hold: HoldPolicy) -> None:
    clock = FakeClock()
    policy = LatencyPolicy(hold, 0.2, sleep=clock.sleep)
    for _ in range(3):
        policy.infer(hold.spec.example())
    assert clock.seconds() == pytest.approx(0.6)


def test_injects_a_lognormal_latency_with_the_given_median(hold: HoldPolicy) -> None:
    waits: list[float] = []
    policy = LatencyPolicy(hold, 0.2, spread=0.5, sleep=waits.append)
    for _ in range(2000):
        policy.infer(hold.spec.example())
    assert np.median(waits) == pytest.approx(0.2, rel=0.05)
    assert np.std(np.log(waits)) == pytest.approx(0.5, rel=0.05)
