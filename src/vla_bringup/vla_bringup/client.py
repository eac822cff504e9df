"""What a person may ask of a running robot, from a terminal: tasks, stop, reset, a new scene.

A plain class around an rclpy node of its own; every wait has a deadline and says what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from vla_bringup.interrupts import postponed
from vla_core.errors import NotReadyError, VlaError
from vla_interfaces.action import RunTask
from vla_interfaces.srv import JudgeTask, ResetScene

HINT = "Start the robot first: ./vla up robot:=so101 backend:=sim policy:=demo"
Tick = Callable[[], None]


@dataclass(frozen=True)
class Progress:
    """Feedback of a running task."""

    mode: int  # ExecutorState.MODE_*
    reason: str
    policy: str
    chunks: int
    elapsed_s: float


@dataclass(frozen=True)
class Outcome:
    """How a task ended, and separately whether it succeeded."""

    ended: int  # RunTask.Result.ENDED_*
    success: bool | None  # None: nobody judged
    task_id: str
    policy: str
    message: str

    @property
    def how(self) -> str:
        """Return how it ended, in words."""
        return {
            RunTask.Result.ENDED_COMPLETED: "completed",
            RunTask.Result.ENDED_TIME_LIMIT: "time limit",
            RunTask.Result.ENDED_CANCELED: "canceled",
            RunTask.Result.ENDED_STOPPED: "stopped",
            RunTask.Result.ENDED_REFUSED: "refused",
            RunTask.Result.ENDED_FAILED: "failed",
        }.get(self.ended, f"ended with code {self.ended}")


class Client:
    """A node beside the robot's nodes. Use as a context manager, from one thread.

    Args:
        robot: namespace without slash; empty: the only robot that is running.
        tick: called many times a second during every wait (to poll processes, to draw).
    """

    def __init__(self, robot: str = "", tick: Tick | None = None, wait_s: float = 5.0) -> None:
        self._context = Context()
        # Ctrl-C stays Python's: it cancels the task first, and only then ends this node.
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._spinner = SingleThreadedExecutor(context=self._context)
        self._tick = tick or (lambda: None)
        self._services: dict[str, Any] = {}
        self._task_client: ActionClient | None = None
        self.node = self._make_node("/")
        try:
            self.robot = robot or self._only_robot(wait_s)
            if self.robot:
                self._spinner.remove_node(self.node)
                self.node.destroy_node()
                self.node = self._make_node(f"/{self.robot}")
        except BaseException:
            self.close()
            raise

    def _make_node(self, namespace: str) -> Any:
        node = rclpy.create_node(
            f"operator_{time.time_ns() % 1_000_000}",
            context=self._context,
            namespace=namespace,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._spinner.add_node(node)
        return node

    # -- tasks ----------------------------------------------------------------------------------

    def run_task(
        self,
        instruction: str,
        policy: str = "",
        time_limit_s: float = 0.0,
        on_progress: Callable[[Progress], None] | None = None,
        wait_s: float = 5.0,
    ) -> Outcome:
        """Do one instruction; Ctrl-C cancels it and then goes on upwards.

        Raises:
            NotReadyError: no router answers.
        """
        client = self._tasks(wait_s)
        goal = RunTask.Goal(instruction=instruction, policy=policy, time_limit=float(time_limit_s))
        sent = client.send_goal_async(
            goal, feedback_callback=lambda m: on_progress and on_progress(_progress(m.feedback))
        )
        handle = self.wait(sent, wait_s, f"router of '{self.robot}' did not take the task")
        if not handle.accepted:
            raise VlaError(
                f"the router of '{self.robot}' refused the task '{instruction}'; "
                "its log says why (a task is running, or nothing is active)."
            )
        result = handle.get_result_async()
        try:
            while not result.done():
                self.spin(0.05)
        except KeyboardInterrupt:
            self.wait(handle.cancel_goal_async(), 5.0, "the router did not confirm the cancel")
            self.wait(result, 5.0, "the router did not end the task after the cancel")
            raise
        return _outcome(result.result().result)

    def start_task(self, instruction: str, policy: str = "", time_limit_s: float = 0.0) -> Any:
        """Send a task and return its goal handle, without waiting for its end."""
        goal = RunTask.Goal(instruction=instruction, policy=policy, time_limit=float(time_limit_s))
        sent = self._tasks(10.0).send_goal_async(goal)
        return self.wait(sent, 10.0, f"router of '{self.robot}' did not take the task")

    def result(self, handle: Any, within_s: float) -> Outcome:
        """Return the outcome of `start_task`."""
        answer = self.wait(handle.get_result_async(), within_s, "the task did not end")
        return _outcome(answer.result)

    def wait_for_router(self, within_s: float) -> None:
        """Return when the router takes tasks.

        Raises:
            NotReadyError: it does not within the deadline.
        """
        self._tasks(within_s)

    def _tasks(self, within_s: float) -> ActionClient:
        if self._task_client is None:
            self._task_client = ActionClient(self.node, RunTask, "run_task")
        self.wait_until(
            self._task_client.server_is_ready,
            within_s,
            f"no router of robot '{self.robot}' answers. {HINT}",
        )
        return self._task_client

    # -- services -------------------------------------------------------------------------------

    def stop(self) -> str:
        """Stop the robot, latched; returns what the router said."""
        return self._trigger("stop")

    def reset(self) -> str:
        """Clear a stop; returns what the router said."""
        return self._trigger("reset")

    def reset_scene(self, seed: int, instruction: str = "") -> None:
        """Put the simulated scene back to the start state of a seed."""
        answer = self.call(
            ResetScene, "sim/reset_scene", ResetScene.Request(seed=seed, instruction=instruction)
        )
        if not answer.success:
            raise VlaError(f"the scene was not reset: {answer.message}")

    def judge(self, instruction: str) -> bool:
        """Return whether the instruction's goal is reached in the simulated scene now."""
        answer = self.call(JudgeTask, "sim/judge_task", JudgeTask.Request(instruction=instruction))
        if not answer.known:
            raise VlaError(f"the scene cannot judge: {answer.message}")
        return bool(answer.success)

    def call(self, kind: Any, name: str, request: Any, within_s: float = 5.0) -> Any:
        """Call a service of the robot."""
        if name not in self._services:
            self._services[name] = self.node.create_client(kind, name)
        client = self._services[name]
        missing = f"nobody answers '{name}' of robot '{self.robot}'. {HINT}"
        self.wait_until(client.service_is_ready, within_s, missing)
        return self.wait(client.call_async(request), within_s, missing)

    def _trigger(self, name: str) -> str:
        answer = self.call(Trigger, name, Trigger.Request())
        if not answer.success:
            raise VlaError(f"{name} of '{self.robot}' failed: {answer.message}")
        return str(answer.message)

    # -- waiting --------------------------------------------------------------------------------

    def spin(self, seconds: float) -> None:
        """Handle messages for a moment."""
        self._tick()
        with postponed():
            self._spinner.spin_once(timeout_sec=seconds)

    def wait(self, future: Any, within_s: float, missing: str) -> Any:
        """Return the result of a future.

        Raises:
            NotReadyError: it does not come within the deadline.
        """
        self.wait_until(future.done, within_s, missing)
        return future.result()

    def wait_until(self, condition: Callable[[], bool], within_s: float, missing: str) -> None:
        """Return when the condition holds.

        Raises:
            NotReadyError: it does not within the deadline; the sentence is ``missing``.
        """
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise NotReadyError(f"{missing} (waited {within_s:g} s)")
            self.spin(0.05)

    def _only_robot(self, wait_s: float) -> str:
        """Return the namespace that has a router; empty for a router without namespace."""
        found: set[str] = set()

        def discovered() -> bool:
            for name, kinds in self.node.get_service_names_and_types():
                if "vla_interfaces/action/RunTask_SendGoal" in kinds:
                    found.add(name.split("/run_task/")[0].strip("/"))
            return bool(found)

        self.wait_until(discovered, wait_s, f"no robot is running. {HINT}")
        if len(found) > 1:
            raise VlaError(f"several robots are running: {sorted(found)}. Choose with --robot.")
        return found.pop()

    def close(self) -> None:
        """Leave the ROS graph."""
        if self._context.ok():
            self._spinner.shutdown(timeout_sec=1.0)
            self.node.destroy_node()
            rclpy.shutdown(context=self._context)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _progress(message: Any) -> Progress:
    return Progress(message.mode, message.reason, message.policy, message.chunks, message.elapsed)


def _outcome(result: Any) -> Outcome:
    success = {RunTask.Result.SUCCESS_YES: True, RunTask.Result.SUCCESS_NO: False}
    return Outcome(
        result.ended, success.get(result.success), result.task_id, result.policy, result.message
    )
