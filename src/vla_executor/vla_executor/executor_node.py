"""ROS node around `vla_core.execution.Executor`: topics in, topics out, no decisions."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from vla_core.contract import load_contract, load_policy_config
from vla_core.errors import VlaError
from vla_core.execution import Decision, Executor, ExecutorSettings, Mode, Snapshot
from vla_core.execution.join import JOINS
from vla_core.types import NS_PER_S
from vla_executor.diagnosis import report
from vla_executor.measuring import Measurement, measurements
from vla_executor.outputs import encoder
from vla_executor.tasks import MODES, Policies, RunningTask, check_choice
from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import (
    ActionChunk,
    ActionCorrection,
    EmergencyStop,
    ExecutorState,
    InferenceFailure,
    InferenceRequest,
    PolicyState,
    TaskLease,
)
from vla_ros import qos
from vla_ros.chunks import (
    answer_from_msg,
    correction_from_msg,
    epoch_from_msg,
    executor_state_msg,
    request_msg,
)
from vla_ros.diagnostics import Diagnostics, Meter, Report
from vla_ros.joints import MESSAGE_TYPES
from vla_ros.lifecycle import ManagedNode
from vla_ros.parameters import declare, param, watch
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node
from vla_ros.stamps import now_ns, time_ns
from vla_ros.ticker import Ticker

# Longest time that a deactivation ticks on until the robot is at rest.
REST_WITHIN_S = 2.0
STATE_PERIOD_S = 0.1


@dataclass(frozen=True)
class ExecutorParams:
    """Parameters of the executor node; the rest is in the contract and the policies' files."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    policy_files: tuple[str, ...] = param((), "Files of the policies that a task may name")
    mode: str = param("", "async or sync; empty: the policy's file", live=True)
    join: str = param("", f"{' '.join(JOINS)}; empty: the policy's file", live=True)
    speed_scale: float = param(1.0, "Share of the plan's speed; 0: rest", 0.0, 1.0, live=True)
    shadow: bool = param(False, "Decide everything, command nothing; see ~/shadow/*")
    lease_s: float = param(1.0, "A lease older than this means hold [s]", 0.25, 10.0)
    request_timeout_s: float = param(2.0, "Least time an answer is waited for [s]", 0.1, 60.0)
    first_timeout_s: float = param(30.0, "Time the first answer is waited for [s]", 0.1, 600.0)


class ExecutorNode(ManagedNode):
    """Plays chunks, asks for the next, sends commands, holds when in doubt.

    Three threads: the tick; the topics that are frequent or urgent (`vla_ros.quick`); everything
    else. They share the core under one lock, held for the length of a core call. State is
    published from a timer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("executor", **options)
        self._params = declare(self, ExecutorParams)
        self._check_choices(self._params)
        watch(self, self._params, self._on_params)
        contract = self._contract = load_contract(self._params.contract_files)
        configs = [load_policy_config(path) for path in self._params.policy_files]

        self._lock = threading.Lock()  # guards the core
        settings = ExecutorSettings(
            lease_s=self._params.lease_s,
            request_timeout_s=self._params.request_timeout_s,
            first_timeout_s=self._params.first_timeout_s,
            shadow=self._params.shadow,
        )
        self._core = Executor(contract, settings, boot_id=secrets.randbits(63) | 1)
        self._core.set_speed(self._params.speed_scale, now_ns(self))
        self._policies = Policies({config.name: config for config in configs})
        self._task: RunningTask | None = None
        self._told: tuple[Mode, str] | None = None
        self._crashed = False

        self._requests = self.create_publisher(InferenceRequest, "inference_request", qos.EVENT)
        self._state = self.create_publisher(ExecutorState, "~/state", qos.EVENT)
        self._outputs = [
            (
                encoder(contract, output),
                self.create_lifecycle_publisher(
                    MESSAGE_TYPES[output.type],
                    f"~/shadow/{name}" if self._params.shadow else output.topic,
                    qos.COMMAND,
                ),
            )
            for name, output in contract.outputs.items()
        ]
        self._ticker = Ticker(self, contract.step_ns, self._on_tick, on_crash=self._on_crash)
        self._changed = self.create_guard_condition(self._publish_state)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("execution", self._report)

        self._listen()
        self._server = ActionServer(
            self,
            ExecuteTask,
            "~/execute_task",
            self._execute_task,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.create_service(Trigger, "~/stop", self._on_stop_service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(STATE_PERIOD_S, self._publish_state, clock=steady)

    def _listen(self) -> None:
        self.create_subscription(PolicyState, "policy/state", self._on_policy, qos.STATE)
        # What is frequent or must not wait behind a service; these callbacks only touch the core.
        subscribe = partial(self.create_subscription, callback_group=QuickGroup())
        subscribe(ActionChunk, "action_chunk", self._on_chunk, qos.EVENT)
        subscribe(InferenceFailure, "inference_failure", self._on_failure, qos.EVENT)
        subscribe(ActionCorrection, "action_correction", self._on_correction, qos.COMMAND)
        subscribe(TaskLease, "task_lease", self._on_lease, qos.COMMAND)
        subscribe(EmergencyStop, "emergency_stop", self._on_emergency_stop, qos.EVENT)
        self._meters = {"chunks": Meter(stale_s=10.0), "lease": Meter()}
        for it in measurements(self._contract):
            self._meters[it.name] = Meter()
            subscribe(it.message_type, it.stream.topic, partial(self._on_measured, it), qos.SENSOR)
        for name, meter in self._meters.items():
            self._diagnostics.add(f"input {name}", meter.report)

    # Lifecycle.

    def on_start(self) -> None:
        with self._lock:
            self._core.activate(now_ns(self))
        self._ticker.start()

    def on_stop(self) -> None:
        self._ticker.stop()
        with self._lock:
            self._core.deactivate(now_ns(self))
        self._tick_to_rest()
        self._end_task(ExecuteTask.Result.ENDED_FAILED, "the executor was deactivated")
        self._publish_state()

    def destroy_node(self) -> None:
        self._server.destroy()  # rclpy does not, and it would keep the node alive
        super().destroy_node()

    def _tick_to_rest(self) -> None:
        # Paced by the steady clock: a simulated one stands still while this callback runs.
        begin, step = now_ns(self), self._contract.step_ns
        start = time.monotonic()
        number = begin // step
        while time.monotonic() - start < REST_WITHIN_S:
            number += 1
            wait_s = (number * step - begin) / NS_PER_S - (time.monotonic() - start)
            time.sleep(max(0.0, wait_s))
            if self._tick(number * step, None).command is None:
                return

    # The tick, in its own thread.

    def _on_tick(self, now: int, steady_ns: int | None) -> None:
        decision = self._tick(now, steady_ns)
        if decision.request is not None:
            self._requests.publish(request_msg(decision.request, self._contract.columns))
        if (decision.mode, decision.reason) != self._told:
            self._told = (decision.mode, decision.reason)
            self._changed.trigger()

    def _tick(self, now: int, steady_ns: int | None) -> Decision:
        with self._lock:
            decision = self._core.tick(now, steady_ns)
        command = decision.withheld if self._params.shadow else decision.command
        if command is not None:
            for encode, publisher in self._outputs:
                publisher.publish(encode(command))
        return decision

    def _on_crash(self) -> None:
        self._crashed = True
        self._changed.trigger()

    # Inputs.

    def _on_policy(self, msg: PolicyState) -> None:
        reason = self._policies.heard(msg)
        if reason:
            # It has restarted or stopped: whatever it was asked, nobody will answer.
            with self._lock:
                self._core.lose_policy(msg.policy, reason, now_ns(self))

    def _on_chunk(self, msg: ActionChunk) -> None:
        now = now_ns(self)
        self._meters["chunks"].seen(now - time_ns(msg.header.stamp))
        try:
            answer = answer_from_msg(msg)
            with self._lock:
                self._core.accept(answer, now)
        except VlaError as error:
            self._warn(f"chunk dropped: {error}")

    def _on_failure(self, msg: InferenceFailure) -> None:
        with self._lock:
            self._core.fail(
                msg.request_id, epoch_from_msg(msg.epoch), msg.policy, msg.message, now_ns(self)
            )
        self._warn(f"policy '{msg.policy}' gave no chunk: {msg.message}")

    def _on_correction(self, msg: ActionCorrection) -> None:
        try:
            correction = correction_from_msg(msg)
            with self._lock:
                self._core.correct(correction, now_ns(self))
        except VlaError as error:
            self._warn(f"correction dropped: {error}")

    def _on_measured(self, measurement: Measurement, msg: Any) -> None:
        now = now_ns(self)
        try:
            positions, stamp_ns = measurement.read(msg, now)
            with self._lock:
                self._core.measure(measurement.entries, positions.tolist(), stamp_ns, now)
        except VlaError as error:
            self._warn(f"'{measurement.stream.topic}' ignored: {error}")
        else:
            self._meters[measurement.name].seen(now - stamp_ns)

    def _on_lease(self, msg: TaskLease) -> None:
        self._meters["lease"].seen()
        running = self._task
        if running is not None and running.task_id == msg.task_id:
            running.leased_s = time.monotonic()
        with self._lock:
            self._core.renew_lease(msg.task_id, now_ns(self))

    def _on_emergency_stop(self, msg: EmergencyStop) -> None:
        self._stop(f"emergency stop by {msg.source or 'somebody'}: {msg.reason}")

    def _on_stop_service(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stop("the executor's stop service was called")
        response.success, response.message = True, "stopped; call ~/reset to go on"
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._core.reset(now_ns(self))
        self._end_task(ExecuteTask.Result.ENDED_STOPPED, "the executor was reset")
        self.get_logger().info("reset")
        response.success, response.message = True, "ready for a new task"
        return response

    def _stop(self, reason: str) -> None:
        with self._lock:
            self._core.stop(reason, now_ns(self))
        self.get_logger().error(f"stopped: {reason}")

    # Tasks.

    async def _execute_task(self, handle: Any) -> ExecuteTask.Result:
        running = self._task
        if running is not None and running.task_id == handle.request.task_id:
            # The answer to the first goal was lost: who asks again gets the result.
            running.end(ExecuteTask.Result.ENDED_CANCELED, "asked for again")
            again = self._task = RunningTask(handle, running.task_id, running.policy)
            return await again.ended
        try:
            if not self.is_active:
                raise VlaError(f"the executor is {self.state_label}, not active")
            task = self._policies.task(handle.request, self._params.mode, self._params.join)
            self._end_abandoned_task()
            with self._lock:
                self._core.begin_task(task, now_ns(self))
        except VlaError as error:
            self.get_logger().warning(f"task refused: {error}")
            handle.abort()
            return ExecuteTask.Result(ended=ExecuteTask.Result.ENDED_REFUSED, message=str(error))
        self.get_logger().info(f"task {task.task_id}: '{task.instruction}' by '{task.policy}'")
        running = self._task = RunningTask(handle, task.task_id, task.policy)
        return await running.ended

    def _end_task(self, ended: int, message: str) -> None:
        running, self._task = self._task, None
        if running is not None:
            self.get_logger().info(f"task {running.task_id} ended: {message}")
            running.end(ended, message)

    def _end_abandoned_task(self) -> None:
        """Make room for a restarted router, which cannot cancel what the dead one began."""
        running = self._task
        if running is None or time.monotonic() - running.leased_s < self._params.lease_s:
            return
        with self._lock:
            self._core.end_task("abandoned", now_ns(self))
        self._end_task(ExecuteTask.Result.ENDED_FAILED, "the lease was lost, a new task came")

    def _follow_task(self, mode: Mode, reason: str, chunks: int) -> None:
        """Look after the running goal; called with each state."""
        running = self._task
        if running is None:
            return
        running.tell(mode, reason, chunks)
        if mode == Mode.STOPPED:
            self._end_task(ExecuteTask.Result.ENDED_STOPPED, reason)
        elif running.is_cancel_requested:
            if not running.is_ending:
                running.is_ending = True
                with self._lock:
                    self._core.end_task("canceled", now_ns(self))
            elif mode == Mode.IDLE:
                self._end_task(ExecuteTask.Result.ENDED_CANCELED, "canceled; the robot is at rest")

    # State.

    def _publish_state(self) -> None:
        if self._crashed:
            raise RuntimeError("the control tick failed; see the log above")
        now = now_ns(self)
        snapshot = self._snapshot(now)
        self._state.publish(executor_state_msg(snapshot, now))
        self._log_mode(snapshot.mode, snapshot.reason)
        self._follow_task(snapshot.mode, snapshot.reason, snapshot.chunks_accepted)

    _logged: tuple[Mode, str] | None = None

    def _log_mode(self, mode: Mode, reason: str) -> None:
        if self._logged is None or mode != self._logged[0]:
            self.get_logger().info(f"{mode.name.lower()}: {reason}")
        self._logged = (mode, reason)

    def _report(self) -> Report:
        return report(self._snapshot(now_ns(self)), self._ticker.missed)

    def _snapshot(self, now: int) -> Snapshot:
        """Return the core's state with what only the ticker knows."""
        with self._lock:
            snapshot = self._core.snapshot(now)
        p50, p99 = self._ticker.period_error_s()
        worst = self._ticker.worst_period_error_s()
        return replace(snapshot, tick_error_p50=p50, tick_error_p99=p99, tick_error_max=worst)

    # Parameters.

    def _check_choices(self, params: ExecutorParams) -> None:
        check_choice("mode", params.mode, MODES)
        check_choice("join", params.join, tuple(JOINS))

    def _on_params(self, params: ExecutorParams) -> None:
        self._check_choices(params)
        running = self._task
        with self._lock:
            if running is not None:
                self._core.change_execution(
                    self._policies.execution(running.policy, params.mode, params.join)
                )
            self._core.set_speed(params.speed_scale, now_ns(self))
        self._params = params

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=5.0)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(ExecutorNode, is_urgent=True))
