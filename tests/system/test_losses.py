"""What the robot does when a process dies in the middle of a motion, judged at the receiver.

One graph and one recording for all: each test breaks something, sees the arm come to rest, hears
why, and sees the task go on after the restart. The last test judges the whole recording.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from world import ROOT, World, world

from vla_data.checker import check, time_to_rest
from vla_data.recording import Recording
from vla_data.records import Series
from vla_interfaces.msg import ExecutorState
from vla_testing.tables import SafeStops

INSTRUCTION = "put the red cube on the yellow pad"
# The servos follow their targets about this much later (`vla_scenes.world`).
SERVO_LAG_S = 0.1
CHUNK_S = 1.6  # of the expert
# What -> simulated time, time to rest that is allowed [s], simulated time when it was at rest.
EVENTS: dict[str, tuple[int, float, int]] = {}
STOPS = SafeStops("tests/system/test_losses.py")
RUNNING, HOLDING = ExecutorState.MODE_RUNNING, ExecutorState.MODE_HOLDING
STOPPED = ExecutorState.MODE_STOPPED


def configuration(folder: Path) -> Path:
    """Return a configuration in which the expert needs the cameras, as learned policies do."""
    policies = folder / "config" / "policies"
    policies.mkdir(parents=True)
    (folder / "config" / "robots").symlink_to(ROOT / "config" / "robots")
    (policies / "watchful.yaml").write_text(
        "name: watchful\nrobot: so101\nuri: scripted:policies:WatchfulExpert\n"
        "streams: {joints: joints, objects: objects, front: front, wrist: wrist}\n"
        "execution: {mode: async, horizon_rows: 16, join: blend}\n"
    )
    return folder


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The running graph."""
    folder = tmp_path_factory.mktemp("losses")
    here = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
        with world(folder / "run", "watchful", configuration(folder)) as running:
            yield running
    STOPS.write(ROOT)


def comes_to_rest(arena: World, event: str, at_ns: int, plan_s: float) -> None:
    """Wait for rest and note what the recording must show; ``plan_s`` may still be played."""
    arena.until_at_rest(10.0)
    EVENTS[event] = at_ns, plan_s + arena.braking_s() + SERVO_LAG_S, arena.now_ns


def finishes(arena: World, handle: object) -> None:
    """Assert that the task goes on and is done."""
    outcome = arena.client.result(handle, 45.0)
    assert outcome.success, outcome


def test_a_killed_policy_is_missed_and_the_task_goes_on_with_the_next_one(arena: World) -> None:
    handle = arena.begin(INSTRUCTION, 11)
    left = arena.state.plan_left
    at = arena.kill("policy")
    # What is planned is still played: that is the safety net of a long chunk.
    comes_to_rest(arena, "policy killed", at, max(left, CHUNK_S))
    arena.until_mode(HOLDING, 5.0, "the executor did not hold without a policy")
    assert arena.state.reason
    arena.until_mode(RUNNING, 30.0, "the executor did not go on with the new policy")
    finishes(arena, handle)


def test_a_killed_executor_leaves_the_arm_in_its_braking_tail(arena: World) -> None:
    handle = arena.begin(INSTRUCTION, 12)
    at = arena.kill("executor")
    arena.session.state = None
    comes_to_rest(arena, "executor killed", at, arena.deadline_s())
    arena.until(lambda: arena.session.state is not None, 30.0, "no new executor came")
    arena.until_mode(RUNNING, 30.0, "the task did not go on under a renewed lease")
    finishes(arena, handle)


def test_lost_cameras_are_named_and_the_task_goes_on_when_they_are_back(arena: World) -> None:
    handle = arena.begin(INSTRUCTION, 13)
    at, left = arena.now_ns, arena.state.plan_left
    set_cameras(arena, False)
    comes_to_rest(arena, "cameras lost", at, max(left, CHUNK_S))
    arena.until_mode(HOLDING, 5.0, "the executor did not hold without cameras")
    arena.until(lambda: "front" in arena.state.reason or "wrist" in arena.state.reason, 3.0,
                "the reason does not name a camera")  # fmt: skip
    set_cameras(arena, True)
    arena.until_mode(RUNNING, 10.0, "the executor did not go on with the cameras")
    finishes(arena, handle)


@pytest.mark.slow
def test_a_stop_while_the_arm_moves_does_not_wait_for_the_plan(arena: World) -> None:
    arena.begin(INSTRUCTION, 14)
    at = arena.now_ns
    arena.client.stop()
    comes_to_rest(arena, "./vla stop", at, arena.deadline_s())
    arena.until_mode(STOPPED, 5.0, "the executor did not stop")
    arena.client.reset()


def test_the_recording_shows_rest_in_time_and_no_limit_violated(arena: World) -> None:
    assert set(EVENTS) >= {"policy killed", "executor killed", "cameras lost"}
    arena.runner.stop()
    recording = Recording(arena.folder / "bag")
    joints = recording.series["joints"]
    for event, (at, allowed_s, until) in EVENTS.items():
        STOPS.judge(event, "arm", time_to_rest(stretch(joints, until), at), allowed_s)
    # Late commands are what this is about; every other kind must not occur.
    assert not [str(v) for v in check(recording).violations if v.kind != "gap"]


def stretch(series: Series, until_ns: int) -> Series:
    """Return the samples before a time."""
    kept = series.stamps_ns <= until_ns
    return replace(
        series,
        stamps_ns=series.stamps_ns[kept],
        arrived_ns=series.arrived_ns[kept],
        values=series.values[kept],
    )


def set_cameras(arena: World, publish: bool) -> None:
    """Silence the cameras, or bring them back."""
    value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=publish)
    request = SetParameters.Request(parameters=[Parameter(name="publish_cameras", value=value)])
    answer = arena.client.call(SetParameters, "bridge/set_parameters", request)
    assert answer.results[0].successful, answer.results[0].reason
