"""When to ask, and for how long to wait."""

from __future__ import annotations

import math

import pytest

from vla_core.execution import Execution, ExecutorSettings, Request, Task
from vla_core.execution.trigger import RequestTrigger
from vla_core.types import Epoch

MS = 1_000_000
S = 1_000_000_000


def trigger(**execution: object) -> RequestTrigger:
    task = Task("t", "go", "p", ("a",), 32, 50 * MS, 16, Execution(**execution))  # type: ignore[arg-type]
    return RequestTrigger(task, ExecutorSettings())


def request(sent_ns: int = 0) -> Request:
    return Request(1, Epoch(1, 1), "p", "go", sent_ns, None)


def teach(one: RequestTrigger, latency_s: float, count: int = 10) -> None:
    for _ in range(count):
        one.used(round(latency_s * S), 0, 0)


def test_asks_at_once_without_a_plan() -> None:
    assert trigger().is_due(0, None, 0.0)


def test_asks_at_once_while_the_latency_is_not_known() -> None:
    one = trigger()
    assert math.isnan(one.threshold_s) and one.is_due(0, 0.7, 0.0)
    one.used(9 * S, 0, 0)
    one.used(9 * S, 0, 0)
    assert math.isnan(one.threshold_s), "the first two answers are warm-up"


def test_asks_when_the_horizon_left_is_shorter_than_an_answer_takes() -> None:
    one = trigger()
    teach(one, 0.2)
    assert one.threshold_s == pytest.approx(0.3)
    assert not one.is_due(0, 0.31, 0.0) and one.is_due(0, 0.3, 0.0)


def test_a_given_share_overrules_the_latency() -> None:
    one = trigger(threshold=0.25)
    teach(one, 0.2)
    assert one.threshold_s == pytest.approx(0.2)


def test_an_old_observation_is_a_reason_to_ask() -> None:
    one = trigger(refresh_s=0.5)
    teach(one, 0.1)
    assert not one.is_due(0, 0.7, 0.5) and one.is_due(0, 0.7, 0.51)


def test_one_request_is_in_flight_at_most() -> None:
    one = trigger()
    one.sent(request())
    assert not one.is_due(S, None, 0.0)
    one.answered()
    assert one.is_due(S, None, 0.0)


def test_the_first_answer_may_take_long() -> None:
    one = trigger()
    one.sent(request())
    assert not one.has_timed_out(29 * S) and one.has_timed_out(30 * S)
    assert one.in_flight is None


def test_later_answers_are_waited_for_by_what_was_measured() -> None:
    one = trigger()
    one.answered()
    teach(one, 0.2)
    one.sent(request())
    assert not one.has_timed_out(1999 * MS) and one.has_timed_out(2 * S)
    slow = trigger()
    slow.answered()
    teach(slow, 1.5)
    slow.sent(request())
    assert not slow.has_timed_out(5 * S) and slow.has_timed_out(6 * S)


def test_the_time_out_doubles_until_an_answer_comes() -> None:
    one = trigger()
    one.answered()
    for expected_s in (2, 4, 8):
        one.sent(request())
        assert not one.has_timed_out(expected_s * S - 1) and one.has_timed_out(expected_s * S)
    one.answered()
    one.sent(request())
    assert one.has_timed_out(2 * S)


def test_pauses_grow_with_failures_and_end_with_an_answer() -> None:
    one = trigger()
    pauses = []
    for _ in range(7):
        one.failed(0)
        pause = next(ms for ms in range(0, 2000, 10) if one.is_due(ms * MS, None, 0.0))
        pauses.append(pause)
    assert pauses == [50, 100, 200, 400, 800, 1000, 1000]
    one.answered()
    one.failed(0)
    assert one.is_due(50 * MS, None, 0.0)


def test_synchronous_execution_never_asks_in_motion() -> None:
    one = trigger(synchronous=True)
    assert one.is_due(0, None, 0.0) and not one.is_due(0, 0.01, 9.0)


def test_falls_back_to_synchronous_and_returns() -> None:
    one = trigger()
    teach(one, 0.9)  # more than half of 31 x 50 ms
    assert "inference takes 0.90 s, more than half of the chunk (0.78 s)" in one.synchronous_reason
    teach(one, 0.2, 8)
    assert one.synchronous_reason, "two of the newest ten were slow"
    teach(one, 0.2, 1)
    assert one.synchronous_reason == "", "nine of ten answers are fast enough again"
    assert one.is_due(0, 0.7, 0.0), "but the slow ones in the window still make it ask early"


def test_one_spike_does_not_make_it_synchronous() -> None:
    one = trigger()
    teach(one, 0.2, 30)
    one.used(5 * S, 0, 0)
    assert one.synchronous_reason == ""


def test_one_slow_answer_of_few_does_not_make_it_synchronous_but_two_do() -> None:
    one = trigger()
    teach(one, 0.7, 5)
    one.used(S, 0, 0)
    assert one.synchronous_reason == ""
    one.used(S, 0, 0)
    assert "inference takes 1.00 s" in one.synchronous_reason


def test_a_first_answer_that_is_slow_makes_it_synchronous_and_a_fast_one_asynchronous() -> None:
    one = trigger()
    teach(one, 0.9, 3)  # two of them warm-up
    assert one.synchronous_reason
    one.used(round(0.2 * S), 0, 0)
    assert one.synchronous_reason == ""


def test_answers_just_below_the_limit_make_it_asynchronous_again() -> None:
    one = trigger()
    teach(one, 0.8, 4)
    assert one.synchronous_reason
    teach(one, 0.75, 16)  # the limit is 0.775
    assert one.synchronous_reason, "not yet: they flicker around it"
    teach(one, 0.73, 9)
    assert one.synchronous_reason == ""


def test_a_threshold_longer_than_the_horizon_asks_all_the_time() -> None:
    one = trigger()
    teach(one, 0.75)
    assert one.threshold_s > 0.8 and one.is_due(0, 0.8, 0.0)


def test_another_policy_is_another_story() -> None:
    one = trigger()
    same = Task("u", "stop", "p", ("a",), 32, 50 * MS)
    assert one.serves(same)
    assert not one.serves(Task("u", "go", "q", ("a",), 32, 50 * MS))
    assert not one.serves(Task("u", "go", "p", ("a",), 16, 50 * MS))
