"""The front door for tasks: takes one, chooses the policy, holds the lease, says how it ended."""

from __future__ import annotations

import math
import sys
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from vla_core.contract import load_policy_config
from vla_core.errors import ConfigurationError, VlaError
from vla_interfaces.action import RunTask
from vla_interfaces.msg import Route, TaskLease
from vla_interfaces.srv import JudgeTask, ReportOutcome
from vla_ros import qos
from vla_ros.diagnostics import OK, WARN, Diagnostics, Report
from vla_ros.parameters import declare, param
from vla_ros.run import run_node
from vla_ros.stamps import header, now_ns
from vla_router.deadlines import Deadlines
from vla_router.executor_link import ExecutorLink
from vla_router.running import Result, Running
from vla_router.stop_and_reset import StopAndReset

LEASE_PERIOD_S = 0.2
# Longest wait for the robot to come to rest after a task; the result is sent then in any case.
REST_WITHIN_S = 5.0
JUDGE_WITHIN_S = 2.0
REMEMBERED = 100


@dataclass(frozen=True)
class RouterParams:
    """Parameters of the router node."""

    policy_files: tuple[str, ...] = param((), "Files of the policies; the first is the default")
    judge_service: str = param("", "Service that says whether a task is done; empty: nobody")
    time_limit_s: float = param(60.0, "Time limit of a task that names none [s]", 1.0, 86400.0)
    executor_within_s: float = param(10.0, "Wait for a lost executor [s]", 0.0, 600.0)


class RouterNode(Node):
    """Runs one task at a time; nothing moves without the lease that it renews meanwhile.

    A goal that cannot be run is accepted and ends at once as refused, because a rejection carries
    no sentence.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("router", **options)
        self._params = declare(self, RouterParams)
        names = [load_policy_config(path).name for path in self._params.policy_files]
        if not names:
            raise ConfigurationError("parameter 'policy_files': expected at least one file")
        self._names = names
        self._running: Running | None = None
        self._handle: Any = None  # of run_task
        self._result: Future | None = None
        self._judging: Future | None = None
        self._finished: OrderedDict[str, str] = OrderedDict()  # task id -> policy
        self._deadlines = Deadlines()
        self._executor = ExecutorLink(self, self._params.executor_within_s, self._finish)

        self._lease = self.create_publisher(TaskLease, "task_lease", qos.COMMAND)
        self._route = self.create_publisher(Route, "route", qos.STATE)
        judge = self._params.judge_service
        self._judge = self.create_client(JudgeTask, judge) if judge else None
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("task", self._report)

        StopAndReset(self, self._deadlines)
        self.create_service(ReportOutcome, "report_outcome", self._on_report)
        self._server = ActionServer(
            self,
            RunTask,
            "run_task",
            self._run_task,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        # A lease is renewed on the steady clock: it is a watchdog of this process.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LEASE_PERIOD_S, self._step, clock=steady)

    def destroy_node(self) -> None:
        # rclpy does not, and they would keep the node alive.
        self._server.destroy()
        self._executor.destroy()
        super().destroy_node()

    # A task begins.

    async def _run_task(self, handle: Any) -> RunTask.Result:
        try:
            running = self._accepted(handle.request)
        except VlaError as error:
            self.get_logger().warning(f"task refused: {error}")
            handle.abort()
            return Result(ended=Result.ENDED_REFUSED, message=str(error))
        self._running, self._handle = running, handle
        result = self._result = Future()
        self.get_logger().info(
            f"task {running.task_id}: '{running.instruction}' by policy '{running.policy}'"
        )
        self._renew_lease(running)
        self._executor.begin(running)
        return await result

    def _accepted(self, goal: RunTask.Goal) -> Running:
        """Return the task of a goal.

        Raises:
            VlaError: why it is refused.
        """
        if not goal.instruction.strip():
            raise VlaError("the instruction is empty: say what the robot shall do")
        if goal.policy and goal.policy not in self._names:
            raise VlaError(f"unknown policy '{goal.policy}'; known: {self._names}")
        if not math.isfinite(goal.time_limit) or goal.time_limit < 0:
            raise VlaError(f"time_limit: expected 0 or more seconds, got {goal.time_limit}")
        if self._running is not None:
            raise VlaError(
                f"task {self._running.task_id} ('{self._running.instruction}') is running: "
                "cancel it first"
            )
        if not self._executor.is_there:
            raise VlaError("the executor is not there: is its node running?")
        policy = goal.policy or self._names[0]
        self._tell_route(goal, policy)
        return Running(
            task_id=uuid.uuid4().hex[:12],
            instruction=goal.instruction,
            policy=policy,
            time_limit_s=goal.time_limit or self._params.time_limit_s,
            began_ns=now_ns(self),
        )

    def _tell_route(self, goal: RunTask.Goal, policy: str) -> None:
        named = "named with the task" if goal.policy else "the default policy"
        self._route.publish(
            Route(
                header=header(now_ns(self)),
                instruction=goal.instruction,
                policy=policy,
                probability=math.nan,
                threshold=math.nan,
                reason=named,
            )
        )

    # Each 0.2 s.

    def _step(self) -> None:
        self._deadlines.enforce()
        running = self._running
        if running is None:
            return
        self._renew_lease(running)
        self._tell_feedback(running)
        if running.ending is None:
            if self._handle.is_cancel_requested:
                self._end(running, Result.ENDED_CANCELED, "canceled")
            elif running.enforce_time_limit(now_ns(self)):
                self._cancel_execution(running)
            else:
                self._ask_judge(running)
        elif time.monotonic() - running.ending_since_s > REST_WITHIN_S:
            self.get_logger().error("the executor did not confirm the end; the lease ends")
            self._finish()
            return
        self._executor.watch()

    def _renew_lease(self, running: Running) -> None:
        self._lease.publish(TaskLease(header=header(now_ns(self)), task_id=running.task_id))

    def _tell_feedback(self, running: Running) -> None:
        self._handle.publish_feedback(
            RunTask.Feedback(
                mode=running.mode,
                reason=running.reason,
                policy=running.policy,
                chunks=running.all_chunks,
                elapsed=running.elapsed_s(now_ns(self)),
            )
        )

    def _ask_judge(self, running: Running) -> None:
        if self._judge is None or self._judging is not None or not self._judge.service_is_ready():
            return
        self._judging = self._judge.call_async(JudgeTask.Request(instruction=running.instruction))
        self._judging.add_done_callback(lambda done: self._on_verdict(running, done.result()))
        self._deadlines.add(JUDGE_WITHIN_S, self._judging)

    def _on_verdict(self, running: Running, verdict: JudgeTask.Response | None) -> None:
        self._judging = None
        if running is not self._running or verdict is None:
            return
        running.judged = verdict.known
        if not verdict.known:
            self.get_logger().warning(f"judge: {verdict.message}", throttle_duration_sec=10.0)
        elif verdict.success:
            self._end(running, Result.ENDED_COMPLETED, "the goal is reached", Result.SUCCESS_YES)

    # A task ends: first the executor brings the robot to rest, then the result is sent.

    def _end(self, running: Running, ended: int, message: str, success: int | None = None) -> None:
        if running.end(ended, message, success):
            self._cancel_execution(running)

    def _cancel_execution(self, running: Running) -> None:
        running.ending_since_s = time.monotonic()
        self._executor.cancel()

    def _finish(self) -> None:
        running, self._running = self._running, None
        if running is None or running.ending is None or self._result is None:
            return
        self._executor.forget()
        ending = running.ending
        if self._handle.is_cancel_requested:
            self._handle.canceled()
        elif ending.ended == Result.ENDED_COMPLETED:
            self._handle.succeed()
        else:
            self._handle.abort()
        self._remember(running)
        self.get_logger().info(f"task {running.task_id} ended: {ending.message}")
        self._result.set_result(
            Result(
                ended=ending.ended,
                success=ending.success,
                task_id=running.task_id,
                policy=running.policy,
                message=ending.message,
            )
        )

    def _remember(self, running: Running) -> None:
        self._finished[running.task_id] = running.policy
        while len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)

    def _on_report(
        self, request: ReportOutcome.Request, response: ReportOutcome.Response
    ) -> ReportOutcome.Response:
        verdict = Result.SUCCESS_YES if request.success else Result.SUCCESS_NO
        running = self._running
        if running is not None and request.task_id == running.task_id:
            self._end(running, Result.ENDED_COMPLETED, "an operator ended it", verdict)
        elif request.task_id not in self._finished:
            response.message = f"no task '{request.task_id}'; known: {[*self._finished][-5:]}"
            return response
        word = "succeeded" if request.success else "failed"
        self.get_logger().info(f"task {request.task_id}: an operator says that it {word}")
        response.accepted, response.message = True, f"noted: {word}"
        return response

    def _report(self) -> Report:
        running = self._running
        if running is None:
            return Report(OK, "no task", {"policies": ", ".join(self._names)})
        values = {
            "task_id": running.task_id,
            "policy": running.policy,
            "elapsed_s": f"{running.elapsed_s(now_ns(self)):.1f}",
            "chunks": running.all_chunks,
        }
        lost = self._executor.is_lost
        message = "the executor is lost" if lost else running.instruction
        return Report(WARN if lost else OK, message, values)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(RouterNode))
