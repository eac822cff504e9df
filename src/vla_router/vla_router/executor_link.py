"""The task at the executor: handed over, heard of, handed on to a restarted executor."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future

from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_ros.quick import QuickGroup
from vla_router.running import Result, Running

# An executor that is silent for longer is lost: its state comes at 10 Hz.
SILENCE_S = 1.0
# DDS may lose a request to a server that it has discovered only just now. The executor takes the
# same task again as the same task.
ANSWER_WITHIN_S = 1.0


class ExecutorLink:
    """One task at a time at the executor.

    Args:
        node: on which it speaks.
        within_s: how long a lost executor, or one that is starting, is waited for [s].
        finish: called once the executor has nothing more to do with the task; by then
            ``running.ending`` says how it ended.
    """

    def __init__(self, node: Node, within_s: float, finish: Callable[[], None]) -> None:
        self._node, self._within_s, self._finish = node, within_s, finish
        self._log = node.get_logger()
        self._began_s = time.monotonic()
        self._running: Running | None = None
        self._goal: Any = None  # handle, once the executor has accepted
        self._attempt: Future | None = None  # the newest goal sent
        self._attempt_s = math.nan  # steady
        self._heard_s = -math.inf  # steady
        self._lost_since_s = math.nan
        self.state: ExecutorState | None = None
        self._client = ActionClient(node, ExecuteTask, "executor/execute_task")
        node.create_subscription(
            ExecutorState, "executor/state", self._on_state, qos.EVENT, callback_group=QuickGroup()
        )

    def destroy(self) -> None:
        """Give the action client back."""
        self._client.destroy()

    @property
    def is_there(self) -> bool:
        """Whether an executor answers, or may still do so: all nodes start together."""
        return self._client.server_is_ready() or self._is_young()

    @property
    def is_lost(self) -> bool:
        """Whether the executor that works on the task has gone silent or been restarted."""
        return not math.isnan(self._lost_since_s)

    def begin(self, running: Running) -> None:
        """Hand a task to the executor."""
        self._running = running
        self._send(running)

    def cancel(self) -> None:
        """Let the executor bring the robot to rest."""
        if self._goal is not None:
            self._goal.cancel_goal_async()

    def forget(self) -> None:
        """The task is over."""
        self._running = self._goal = None

    def watch(self) -> None:
        """Ask again, hand the task to a restarted executor, or end it if none comes back."""
        running = self._running
        if running is None:
            return
        restarted = self.state is not None and running.boot_id not in (0, self.state.epoch.boot_id)
        # DDS notices a killed process only after its lease of 10 s or more.
        if restarted or time.monotonic() - self._heard_s > SILENCE_S:
            self._watch_lost(running, restarted)
        else:
            self._watch_present(running)

    def _watch_present(self, running: Running) -> None:
        if self._goal is None and time.monotonic() - self._attempt_s > ANSWER_WITHIN_S:
            self._log.warning("the executor did not answer; asking it again")
            self._send(running)
        self._lost_since_s = math.nan
        if running.boot_id == 0 and self.state is not None:
            running.boot_id = self.state.epoch.boot_id

    def _watch_lost(self, running: Running, restarted: bool) -> None:
        if not self.is_lost:
            self._lost_since_s = time.monotonic()
            why = "has been restarted" if restarted else f"is silent for {SILENCE_S:g} s"
            self._log.warning(f"the executor {why}; waiting for it")
        if running.ending is not None:
            self._finish()
        elif restarted and self._is_ready_for_task():
            self._log.info("the executor is back; it gets the task again")
            running.restarted(time.monotonic())
            self._send(running)
        elif time.monotonic() - self._lost_since_s > self._within_s:
            running.end(Result.ENDED_FAILED, "the executor is lost and did not come back")
            self._finish()

    def _send(self, running: Running) -> None:
        self._goal, self._lost_since_s = None, math.nan
        running.boot_id = self.state.epoch.boot_id if self.state else 0
        self._heard_s = self._attempt_s = time.monotonic()
        goal = ExecuteTask.Goal(
            task_id=running.task_id, instruction=running.instruction, policy=running.policy
        )
        self._attempt = self._client.send_goal_async(
            goal, feedback_callback=lambda msg: self._on_feedback(running, msg.feedback)
        )
        self._attempt.add_done_callback(lambda done: self._on_goal(running, done))

    def _on_goal(self, running: Running, attempt: Future) -> None:
        is_newest = attempt is self._attempt
        if running is not self._running or not is_newest:
            return
        goal: Any = attempt.result()
        if goal is None or not goal.accepted:
            running.end(Result.ENDED_REFUSED, "the executor did not accept the task")
            self._finish()
            return
        self._goal = goal
        goal.get_result_async().add_done_callback(
            lambda done: self._on_result(running, goal, done.result())
        )
        if running.ending is not None:
            self.cancel()

    def _on_feedback(self, running: Running, feedback: ExecuteTask.Feedback) -> None:
        running.mode, running.reason = feedback.mode, feedback.reason
        running.chunks = feedback.chunks

    def _on_result(self, running: Running, goal: Any, response: Any) -> None:
        if running is not self._running or goal is not self._goal:
            return
        if response.result.ended == Result.ENDED_REFUSED and self._is_returning(running):
            self._log.info(f"not yet: {response.result.message}")
            self._goal = None  # asked again after ANSWER_WITHIN_S
            return
        # Only the executor's own ends count here; that it was canceled, we know.
        running.end(response.result.ended, response.result.message)
        self._finish()

    def _on_state(self, msg: ExecutorState) -> None:
        self.state = msg
        self._heard_s = time.monotonic()

    def _is_returning(self, running: Running) -> bool:
        """Return whether a started executor may still be finding its surroundings."""
        is_new = time.monotonic() - running.restarted_s < self._within_s
        return running.ending is None and (is_new or self._is_young())

    def _is_young(self) -> bool:
        return time.monotonic() - self._began_s < self._within_s

    def _is_ready_for_task(self) -> bool:
        return (
            self.state is not None
            and self.state.mode == ExecutorState.MODE_IDLE
            and self._client.server_is_ready()
        )
