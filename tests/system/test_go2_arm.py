"""The Go2 with arm against its emulators: a task through the chunk path, and every way to lose it.

One graph for all: each test breaks something while the base walks and the arm moves, and measures
at the emulated robot, on one steady clock, when both rest.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from go2_arena import (
    LAG_S,
    PLAN_S,
    ROOT,
    STATE_TIMEOUT_S,
    Arena,
    after_silence_s,
    go2_arena,
)

from vla_interfaces.msg import ExecutorState
from vla_testing.tables import SafeStops

if not importlib.util.find_spec("unitree_go"):
    pytest.skip("unitree_go is not installed, nor its stand-in built", allow_module_level=True)

STOPS = SafeStops("tests/system/test_go2_arm.py")


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The running graph."""
    with go2_arena(tmp_path_factory.mktemp("go2_arm"), STOPS) as running:
        yield running
    STOPS.write(ROOT)


def test_a_task_moves_base_and_arm_and_every_request_is_valid(arena: Arena) -> None:
    import wire

    arena.begin()
    count = len(arena.requests)
    arena.until(lambda: len(arena.requests) > count + 100, 20.0, "no requests")
    arena.until(lambda: arena.pictures > 5, 10.0, "no pictures of the front camera")
    assert arena.state.mode == ExecutorState.MODE_RUNNING
    arena.rests_after("./vla stop", arena.client.stop, after_silence_s(arena))
    wrong = [(wire.mistakes(request), request) for request in arena.requests]
    assert [found for found in wrong if found[0]] == []
    arena.recover()


def test_a_killed_executor_leaves_base_and_arm_at_rest(arena: Arena) -> None:
    arena.begin()
    arena.rests_after("executor killed", lambda: arena.kill("executor"), after_silence_s(arena))
    arena.recover()


def test_a_killed_bridge_is_ended_by_its_guard(arena: Arena) -> None:
    arena.begin()
    guard_s = 0.2 + 4 * LAG_S
    arena.rests_after("bridge killed", lambda: arena.kill("bridge"), guard_s + 0.1)
    arena.recover()


def test_a_touched_remote_stops_the_executor_as_well(arena: Arena) -> None:
    from unitree_go.msg import WirelessController

    arena.begin()
    arena.rests_after(
        "remote touched",
        lambda: arena.remote.publish(WirelessController(keys=1 << 8)),
        after_silence_s(arena),
    )
    assert "operator has taken over (key A)" in arena.state.reason
    arena.recover()


@pytest.mark.slow
def test_a_killed_policy_ends_with_its_plan(arena: Arena) -> None:
    arena.begin()
    arena.rests_after(
        "policy killed", lambda: arena.kill("policy"), PLAN_S + after_silence_s(arena)
    )
    arena.recover()


@pytest.mark.slow
def test_without_bridge_and_guard_the_firmware_ends_the_last_move(arena: Arena) -> None:
    arena.begin()
    firmware_s = 1.0 + 4 * LAG_S
    arena.rests_after("bridge and guard killed", lambda: arena.kill("bridge", "guard"), firmware_s)
    arena.recover()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent", "frozen"])
def test_a_state_that_is_lost_stops_all(arena: Arena, fault: str) -> None:
    arena.begin()
    arena.rests_after(
        f"state {fault}",
        lambda: arena.set("go2", **{fault: True}),
        STATE_TIMEOUT_S + after_silence_s(arena),
    )
    assert "has not advanced" in arena.state.reason
    arena.set("go2", **{fault: False})
    arena.recover()


@pytest.mark.slow
def test_an_unplugged_arm_stops_all_and_does_not_drop(arena: Arena) -> None:
    arena.begin()
    arena.rests_after(
        "arm unplugged",
        lambda: arena.set("emulator", plugged=False),
        after_silence_s(arena) + 0.3,
    )
    arena.set("emulator", plugged=True)
    arena.recover()
