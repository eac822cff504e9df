"""Ctrl-C waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from vla_bringup.client import Client
from vla_bringup.interrupts import INTERRUPTS, postponed


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Let both signals raise KeyboardInterrupt, as in the command line; put back afterwards."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, interrupt) for number in INTERRUPTS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", INTERRUPTS)
def test_a_step_is_finished_before_the_interrupt_comes_up(number: signal.Signals) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), postponed():
        signal.raise_signal(number)
        steps.append("finished")
    assert steps == ["finished"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)  # no longer held back


def test_an_interrupt_is_not_lost_behind_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), postponed():
        signal.raise_signal(signal.SIGINT)
        raise ValueError


def test_an_error_without_interrupt_comes_through_and_the_handlers_are_back() -> None:
    before = [signal.getsignal(number) for number in INTERRUPTS]
    with pytest.raises(ValueError), postponed():
        raise ValueError
    assert [signal.getsignal(number) for number in INTERRUPTS] == before


def test_a_client_finishes_its_callback_before_the_interrupt_comes_up() -> None:
    steps = []

    def callback() -> None:
        signal.raise_signal(signal.SIGINT)
        steps.append("finished")

    with Client("so101") as client, pytest.raises(KeyboardInterrupt):
        client.node.create_timer(0.001, callback)
        for _ in range(100):
            client.spin(0.05)
    assert steps == ["finished"]


def test_other_threads_leave_signals_alone() -> None:
    before, during = signal.getsignal(signal.SIGINT), []

    def step() -> None:
        with postponed():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert during == [before]
