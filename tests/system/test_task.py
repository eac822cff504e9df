"""From nothing to a task that is done, through every process, and all that people ask meanwhile.

One graph and one recording for all tests of this file; the last one judges the recording.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from action_msgs.msg import GoalStatus
from world import World, world

from vla_data.checker import check
from vla_data.recording import Recording
from vla_interfaces.action import RunTask
from vla_interfaces.msg import ExecutorState

RED, BLUE = "put the red cube on the yellow pad", "put the blue cube on the purple pad"
# Below this factor neither late commands nor starved ticks are the stack's doing.
VALID_REAL_TIME_FACTOR = 0.98


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The running graph."""
    with world(tmp_path_factory.mktemp("task")) as running:
        yield running


def test_a_task_succeeds_and_leaves_the_robot_at_rest(arena: World) -> None:
    outcome = arena.client.result(arena.begin(RED, 1), 40.0)
    assert outcome.success
    assert outcome.how == "completed"
    assert outcome.policy == "expert"
    arena.until_mode(ExecutorState.MODE_IDLE, 3.0, "the executor did not become idle")
    arena.until_at_rest(3.0)


def test_an_empty_instruction_is_refused_with_a_sentence(arena: World) -> None:
    outcome = arena.client.run_task("  ")
    assert outcome.how == "refused"
    assert "instruction is empty" in outcome.message


def test_a_second_task_is_refused_while_one_runs(arena: World) -> None:
    handle = arena.begin(RED, 2)
    assert "is running" in arena.client.run_task(BLUE).message
    assert arena.client.result(handle, 40.0).success


def test_a_canceled_task_brakes_and_ends_as_canceled(arena: World) -> None:
    handle = arena.begin(BLUE, 3)
    arena.client.wait(handle.cancel_goal_async(), 5.0, "nobody took the cancel")  # type: ignore[attr-defined]
    answer = arena.client.wait(handle.get_result_async(), 10.0, "the task did not end")  # type: ignore[attr-defined]
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.ended == RunTask.Result.ENDED_CANCELED
    arena.until_at_rest(3.0)


def test_a_stop_is_latched_until_reset(arena: World) -> None:
    handle = arena.begin(RED, 4)
    arena.client.stop()
    arena.until_mode(ExecutorState.MODE_STOPPED, 2.0, "the executor did not stop")
    arena.until_at_rest(3.0)
    assert arena.client.result(handle, 10.0).how == "stopped"
    assert arena.client.run_task(RED).how in ("refused", "stopped")
    assert arena.state.mode == ExecutorState.MODE_STOPPED
    arena.client.reset()
    arena.until_mode(ExecutorState.MODE_IDLE, 5.0, "the executor did not become ready")
    assert arena.client.result(arena.begin(RED, 4), 40.0).success


def test_a_running_task_does_not_move_the_robot_after_its_time_limit(arena: World) -> None:
    arena.client.reset_scene(5)
    # A goal that no pose of the scene reaches within the limit.
    outcome = arena.client.run_task(RED, time_limit_s=1.0)
    assert outcome.how == "time limit"
    assert not outcome.success
    arena.until_at_rest(3.0)


def test_the_recording_shows_no_violation_and_no_starved_tick(arena: World) -> None:
    arena.runner.stop()
    recording = Recording(arena.folder / "bag")
    verdict = check(recording)
    factor = min(recording.clock.factor(task.start_ns, task.end_ns) for task in recording.tasks)
    timing = {"gap"} if factor < VALID_REAL_TIME_FACTOR else set()
    assert not {kind: n for kind, n in verdict.by_kind.items() if kind not in timing}, [
        str(violation) for violation in verdict.violations[:5]
    ]
    if factor >= VALID_REAL_TIME_FACTOR:
        assert verdict.execution.starved == 0
