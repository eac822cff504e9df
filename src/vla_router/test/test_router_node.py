"""The router node with a fake executor: tasks in, lease out, and how each one ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.task import Future
from std_srvs.srv import Trigger

from vla_core.errors import ConfigurationError
from vla_interfaces.action import ExecuteTask, RunTask
from vla_interfaces.msg import EmergencyStop, Epoch, ExecutorState, Route, TaskLease
from vla_interfaces.srv import JudgeTask, ReportOutcome
from vla_ros import qos
from vla_router.router_node import RouterNode, RouterParams
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

ROOT = Path(__file__).parents[3]
POLICY_FILES = (str(ROOT / "config/policies/demo.yaml"), str(ROOT / "config/policies/expert.yaml"))
Result = RunTask.Result


class Desk:
    """Everything around the router: operator, executor, bridge, judge."""

    def __init__(self, world: World, **overrides: object) -> None:
        self.world, tester = world, world.tester
        self.goals: list[Any] = []
        self.ended: Future = Future()
        self.executor = self._executor()
        self.resets: list[str] = []
        for name in ("executor", "bridge"):
            tester.create_service(Trigger, f"{name}/reset", self._on_reset(name))
        self.verdict = JudgeTask.Response(known=True, success=False)
        tester.create_service(JudgeTask, "sim/judge_task", lambda *_: self.verdict)
        files: dict[str, object] = {"policy_files": POLICY_FILES}
        self.node = world.add(RouterNode(parameter_overrides=parameters(**{**files, **overrides})))
        self.leases = world.listen(TaskLease, "task_lease", qos.COMMAND)
        self.routes = world.listen(Route, "route", qos.STATE)
        self.stops = world.listen(EmergencyStop, "emergency_stop", qos.EVENT)
        self._state = world.talk(ExecutorState, "executor/state", qos.EVENT)
        self.is_silent = False
        self.boot_id, self.mode = 1, ExecutorState.MODE_IDLE
        tester.create_timer(0.05, self._tell_state)
        self.client = ActionClient(tester, RunTask, "run_task")
        self.feedback: list[RunTask.Feedback] = []
        self.result: Any = None
        self.handle: Any = None

    def _executor(self) -> ActionServer:
        return ActionServer(
            self.world.tester,
            ExecuteTask,
            "executor/execute_task",
            self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    async def _execute(self, handle: Any) -> ExecuteTask.Result:
        self.goals.append(handle)
        self.ended = ended = Future()
        result = await ended
        if handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _on_reset(self, name: str) -> Any:
        def reset(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self.resets.append(name)
            response.success = True
            return response

        return reset

    def _tell_state(self) -> None:
        if self.is_silent:
            return
        msg = ExecutorState(epoch=Epoch(boot_id=self.boot_id, counter=1), mode=self.mode)
        self._state(msg)
        if self.goals and self.goals[-1].is_cancel_requested and not self.ended.done():
            self.ended.set_result(
                ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_CANCELED, message="at rest")
            )

    def run(self, words: str = "pick", policy: str = "", limit: float = 0.0) -> None:
        self.world.until(self.client.server_is_ready, "run_task is there")
        goal = RunTask.Goal(instruction=words, policy=policy, time_limit=limit)
        hear = self.feedback.append
        self.handle = self.world.ask(
            lambda: self.client.send_goal_async(goal, lambda msg: hear(msg.feedback)), "run_task"
        )
        self.result = None
        assert self.handle.accepted
        self.handle.get_result_async().add_done_callback(
            lambda done: setattr(self, "result", done.result().result)
        )

    def begin(self, **goal: Any) -> None:
        self.run(**goal)
        self.world.until(lambda: self.goals, "the executor gets the task")

    def outcome(self) -> RunTask.Result:
        self.world.until(lambda: self.result, "the task ends")
        return self.result


@pytest.fixture()
def world() -> Iterator[World]:
    with ros_world() as it:
        yield it


@pytest.fixture()
def desk(world: World) -> Desk:
    return Desk(world)


def test_passes_a_task_to_the_executor_under_a_lease(desk: Desk) -> None:
    desk.begin()
    goal = desk.goals[0].request
    assert goal.instruction == "pick" and goal.policy == "demo"
    desk.world.until(lambda: len(desk.leases) >= 3, "the lease is renewed")
    assert {lease.task_id for lease in desk.leases} == {goal.task_id}
    assert desk.routes[-1].policy == "demo" and "default" in desk.routes[-1].reason


def test_there_is_no_lease_without_a_task(desk: Desk) -> None:
    desk.begin()
    desk.handle.cancel_goal_async()
    desk.outcome()
    count = len(desk.leases)
    assert desk.world.call(Trigger, "reset").success  # the marker: a step or two later
    assert len(desk.leases) <= count + 1


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ({"words": " "}, "the instruction is empty"),
        ({"policy": "magic"}, "unknown policy 'magic'; known: ['demo', 'expert']"),
        ({"limit": -1.0}, "time_limit"),
        ({"limit": float("nan")}, "time_limit"),
    ],
)
def test_refuses_with_a_sentence(desk: Desk, goal: dict[str, Any], text: str) -> None:
    desk.run(**goal)
    result = desk.outcome()
    assert result.ended == Result.ENDED_REFUSED and text in result.message
    assert not desk.goals and not desk.leases


def test_refuses_a_second_task(desk: Desk) -> None:
    desk.begin()
    desk.run(words="another")
    result = desk.outcome()
    assert result.ended == Result.ENDED_REFUSED and "is running" in result.message
    assert len(desk.goals) == 1


def test_takes_the_policy_that_is_named(desk: Desk) -> None:
    desk.begin(policy="expert")
    assert desk.goals[0].request.policy == "expert"
    assert desk.routes[-1].policy == "expert" and "named" in desk.routes[-1].reason


def test_cancel_brings_the_executor_to_rest_first(desk: Desk) -> None:
    desk.begin()
    desk.handle.cancel_goal_async()
    result = desk.outcome()
    assert result.ended == Result.ENDED_CANCELED and result.success == Result.SUCCESS_UNKNOWN
    assert desk.ended.done()


def test_the_time_limit_ends_the_task(desk: Desk) -> None:
    desk.begin(limit=0.3)
    result = desk.outcome()
    assert result.ended == Result.ENDED_TIME_LIMIT and "0.3 s" in result.message
    assert result.success == Result.SUCCESS_UNKNOWN


def test_the_judge_ends_a_task_that_succeeded(world: World) -> None:
    desk = Desk(world, judge_service="sim/judge_task")
    desk.begin()
    desk.verdict = JudgeTask.Response(known=True, success=True)
    result = desk.outcome()
    assert (result.ended, result.success) == (Result.ENDED_COMPLETED, Result.SUCCESS_YES)


def test_time_up_before_the_judge_is_content_means_no(world: World) -> None:
    desk = Desk(world, judge_service="sim/judge_task")
    desk.begin(limit=0.5)
    result = desk.outcome()
    assert (result.ended, result.success) == (Result.ENDED_TIME_LIMIT, Result.SUCCESS_NO)


def test_what_no_judge_knows_is_unknown(world: World) -> None:
    desk = Desk(world, judge_service="sim/judge_task")
    desk.verdict = JudgeTask.Response(known=False, message="no such task")
    desk.begin(limit=0.5)
    assert desk.outcome().success == Result.SUCCESS_UNKNOWN


def test_an_executor_that_refuses_ends_the_task(world: World) -> None:
    desk = Desk(world, executor_within_s=0.0)  # nobody has started a moment ago
    desk.begin()
    desk.ended.set_result(
        ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_REFUSED, message="not ready: loading")
    )
    result = desk.outcome()
    assert result.ended == Result.ENDED_REFUSED and "loading" in result.message


def test_a_refusal_right_after_the_start_is_asked_again(desk: Desk) -> None:
    desk.begin()
    desk.ended.set_result(
        ExecuteTask.Result(
            ended=ExecuteTask.Result.ENDED_REFUSED, message="policy 'demo': not heard of"
        )
    )
    desk.world.until(lambda: len(desk.goals) == 2, "the executor is asked again")
    assert desk.goals[1].request.task_id == desk.goals[0].request.task_id


def test_a_stopped_executor_ends_the_task(desk: Desk) -> None:
    desk.begin()
    desk.ended.set_result(
        ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_STOPPED, message="emergency stop")
    )
    assert desk.outcome().ended == Result.ENDED_STOPPED


def test_a_restarted_executor_gets_the_task_again(desk: Desk) -> None:
    desk.begin()
    first = desk.goals[0].request.task_id
    desk.world.until(lambda: desk.node._running.boot_id == 1, "the executor is known")
    desk.boot_id, desk.mode = 2, ExecutorState.MODE_INACTIVE
    desk.world.until(
        lambda: desk.node._executor.state.epoch.boot_id == 2, "the restart is noticed"
    )
    assert len(desk.goals) == 1
    desk.mode = ExecutorState.MODE_IDLE
    desk.world.until(lambda: len(desk.goals) == 2, "the executor gets the task again")
    assert desk.goals[1].request.task_id == first
    desk.ended.set_result(
        ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_REFUSED, message="not heard of yet")
    )
    desk.world.until(lambda: len(desk.goals) == 3, "it gets the task once more")
    assert desk.result is None


def test_an_executor_that_does_not_come_back_ends_the_task(world: World) -> None:
    desk = Desk(world, executor_within_s=0.3)
    desk.begin()
    desk.is_silent = True
    result = desk.outcome()
    assert result.ended == Result.ENDED_FAILED and "lost" in result.message


def test_an_operator_may_end_a_task_as_done(desk: Desk) -> None:
    desk.begin()
    task_id = desk.goals[0].request.task_id
    report = ReportOutcome.Request(task_id=task_id, success=True)
    assert desk.world.call(ReportOutcome, "report_outcome", report).accepted
    result = desk.outcome()
    assert (result.ended, result.success) == (Result.ENDED_COMPLETED, Result.SUCCESS_YES)
    again = desk.world.call(ReportOutcome, "report_outcome", report)
    assert again.accepted
    unknown = desk.world.call(
        ReportOutcome, "report_outcome", ReportOutcome.Request(task_id="nonsense")
    )
    assert not unknown.accepted and task_id in unknown.message


def test_stop_goes_to_everybody_and_reset_to_executor_and_bridge(desk: Desk) -> None:
    assert desk.world.call(Trigger, "stop").success
    desk.world.until(lambda: desk.stops, "the emergency stop")
    assert desk.stops[0].source == "operator"
    response = desk.world.call(Trigger, "reset")
    assert response.success and sorted(desk.resets) == ["bridge", "executor"]


def test_feedback_tells_policy_and_time(desk: Desk) -> None:
    desk.begin()
    desk.goals[0].publish_feedback(
        ExecuteTask.Feedback(mode=ExecutorState.MODE_RUNNING, reason="playing", chunks=3)
    )
    desk.world.until(lambda: desk.feedback and desk.feedback[-1].chunks == 3, "the feedback")
    feedback = desk.feedback[-1]
    assert feedback.policy == "demo" and feedback.mode == ExecutorState.MODE_RUNNING
    assert 0 < feedback.elapsed < 10


def test_a_router_without_policies_does_not_start(world: World) -> None:
    with pytest.raises(ConfigurationError, match="'policy_files'"):
        Desk(world, policy_files=())


def test_the_readme_names_every_parameter_and_interface(world: World) -> None:
    node = Desk(world, judge_service="sim/judge_task").node
    readme = Path(__file__).parents[1] / "README.md"
    assert undocumented(node, RouterParams, readme, own={"sim/judge_task"}) == []


def test_the_node_imports_no_torch() -> None:
    code = "import sys, vla_router.router_node; sys.exit('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
