"""The action server `~/execute_task`: one task at a time, from its goal to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse

from vla_core.errors import VlaError
from vla_core.execution import Mode
from vla_executor.guarded import Guarded
from vla_executor.tasks import Policies, RunningTask
from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import PolicyState
from vla_ros import qos
from vla_ros.lifecycle import ManagedNode
from vla_ros.stamps import now_ns


class TaskServer:
    """Begins tasks in the core and ends their goals.

    Args:
        node: on which the server is.
        core: which executes.
        policies: that a task may name.
        lease_s: a task without a lease for so long makes room for another.
        chosen: returns mode and join that overrule the policies' files; empty: they do not.
    """

    def __init__(
        self,
        node: ManagedNode,
        core: Guarded,
        policies: Policies,
        lease_s: float,
        chosen: Callable[[], tuple[str, str]],
    ) -> None:
        self._node, self._core, self._policies = node, core, policies
        self._lease_s, self._chosen = lease_s, chosen
        self._running: RunningTask | None = None
        node.create_subscription(PolicyState, "policy/state", self._on_policy, qos.STATE)
        self._server = ActionServer(
            node,
            ExecuteTask,
            "~/execute_task",
            self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def destroy(self) -> None:
        """Take the server down: rclpy does not, and it would keep the node alive."""
        self._server.destroy()

    def leased(self, task_id: str) -> None:
        """Note that somebody still wants the task; from any thread."""
        running = self._running
        if running is not None and running.task_id == task_id:
            running.leased_s = time.monotonic()

    def change(self, mode: str, join: str) -> None:
        """Let the running task's chunks be played in another way from the next one on.

        Raises:
            VlaError: the policy cannot be played so.
        """
        running = self._running
        if running is not None:
            execution = self._policies.execution(running.policy, mode, join)
            with self._core as core:
                core.change_execution(execution)

    def follow(self, mode: Mode, reason: str, chunks: int) -> None:
        """Look after the running goal; called with each state."""
        running = self._running
        if running is None:
            return
        running.tell(mode, reason, chunks)
        if mode == Mode.STOPPED:
            self.end(ExecuteTask.Result.ENDED_STOPPED, reason)
        elif running.is_cancel_requested:
            if not running.is_ending:
                running.is_ending = True
                self._end_in_core("canceled")
            elif mode == Mode.IDLE:
                self.end(ExecuteTask.Result.ENDED_CANCELED, "canceled; the robot is at rest")

    def end(self, ended: int, message: str) -> None:
        """End the running goal, if there is one, with this result."""
        running, self._running = self._running, None
        if running is not None:
            self._node.get_logger().info(f"task {running.task_id} ended: {message}")
            running.end(ended, message)

    async def _execute(self, handle: Any) -> ExecuteTask.Result:
        running = self._running
        if running is not None and running.task_id == handle.request.task_id:
            # The answer to the first goal was lost: who asks again gets the result.
            running.end(ExecuteTask.Result.ENDED_CANCELED, "asked for again")
            again = self._running = RunningTask(handle, running.task_id, running.policy)
            return await again.ended
        try:
            running = self._running = self._begin(handle)
        except VlaError as error:
            self._node.get_logger().warning(f"task refused: {error}")
            handle.abort()
            return ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_REFUSED, message=str(error))
        return await running.ended

    def _begin(self, handle: Any) -> RunningTask:
        if not self._node.is_active:
            raise VlaError(f"the executor is {self._node.state_label}, not active")
        task = self._policies.task(handle.request, *self._chosen())
        self._end_abandoned()
        with self._core as core:
            core.begin_task(task, now_ns(self._node))
        text = f"task {task.task_id}: '{task.instruction}' by '{task.policy}'"
        self._node.get_logger().info(text)
        return RunningTask(handle, task.task_id, task.policy)

    def _end_abandoned(self) -> None:
        """Make room for a restarted router, which cannot cancel what the dead one began."""
        running = self._running
        if running is None or time.monotonic() - running.leased_s < self._lease_s:
            return
        self._end_in_core("abandoned")
        self.end(ExecuteTask.Result.ENDED_FAILED, "the lease was lost, a new task came")

    def _end_in_core(self, reason: str) -> None:
        with self._core as core:
            core.end_task(reason, now_ns(self._node))

    def _on_policy(self, msg: PolicyState) -> None:
        reason = self._policies.heard(msg)
        if reason:
            # It has restarted or stopped: whatever it was asked, nobody will answer.
            with self._core as core:
                core.lose_policy(msg.policy, reason, now_ns(self._node))
