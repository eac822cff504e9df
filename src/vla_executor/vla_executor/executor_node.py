"""ROS node around `vla_core.execution.Executor`: topics in, topics out, no decisions."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from vla_core.contract import Output, load_contract, load_policy_config
from vla_core.execution import Decision, Executor, ExecutorSettings, Mode, Snapshot
from vla_core.execution.join import JOINS
from vla_core.types import NS_PER_S
from vla_executor.diagnosis import report
from vla_executor.guarded import Guarded
from vla_executor.inputs import Inputs
from vla_executor.outputs import encoder
from vla_executor.task_server import TaskServer
from vla_executor.tasks import MODES, Policies, check_choice
from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import EmergencyStop, ExecutorState, InferenceRequest
from vla_ros import qos
from vla_ros.chunks import executor_state_msg, request_msg
from vla_ros.diagnostics import Diagnostics, Report
from vla_ros.joints import MESSAGE_TYPES
from vla_ros.lifecycle import ManagedNode
from vla_ros.parameters import declare, param, watch
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
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

    Three threads: the tick; the topics that are frequent or urgent (`inputs`); everything else.
    They share the core under one lock, held for the length of a core call. State is published
    from a timer.
    """

    inputs_class = Inputs

    def __init__(self, **options: Any) -> None:
        super().__init__("executor", **options)
        self._params = declare(self, ExecutorParams)
        self._check_choices(self._params)
        watch(self, self._params, self._on_params)
        self._contract = load_contract(self._params.contract_files)
        configs = [load_policy_config(path) for path in self._params.policy_files]
        self._core = self._make_core()
        self._told: tuple[Mode, str] | None = None
        self._logged: Mode | None = None
        self._crashed = False

        self._requests = self.create_publisher(InferenceRequest, "inference_request", qos.EVENT)
        self._state = self.create_publisher(ExecutorState, "~/state", qos.EVENT)
        self._outputs = [self._open(*output) for output in self._contract.outputs.items()]
        self._ticker = Ticker(self, self._contract.step_ns, self._on_tick, on_crash=self._on_crash)
        self._changed = self.create_guard_condition(self._publish_state)
        diagnostics = self._diagnostics = Diagnostics(self)
        diagnostics.add("execution", self._report)
        self._policies = Policies({config.name: config for config in configs})
        self._tasks = TaskServer(
            self, self._core, self._policies, self._params.lease_s,
            lambda: (self._params.mode, self._params.join),
        )  # fmt: skip
        self._inputs = self.inputs_class(
            self, self._core, self._contract, diagnostics, self._tasks.leased
        )
        self._listen()

    def _make_core(self) -> Guarded:
        settings = ExecutorSettings(
            lease_s=self._params.lease_s,
            request_timeout_s=self._params.request_timeout_s,
            first_timeout_s=self._params.first_timeout_s,
            shadow=self._params.shadow,
        )
        core = Executor(self._contract, settings, boot_id=secrets.randbits(63) | 1)
        core.set_speed(self._params.speed_scale, now_ns(self))
        return Guarded(core)

    def _open(self, name: str, output: Output) -> tuple[Any, Any]:
        """Return an output's encoder and publisher."""
        topic = f"~/shadow/{name}" if self._params.shadow else output.topic
        kind = MESSAGE_TYPES[output.type]
        publisher = self.create_lifecycle_publisher(kind, topic, qos.COMMAND)
        return encoder(self._contract, output), publisher

    def _listen(self) -> None:
        self.create_subscription(
            EmergencyStop, "emergency_stop", self._on_emergency_stop, qos.EVENT,
            callback_group=QuickGroup(),
        )  # fmt: skip
        self.create_service(Trigger, "~/stop", self._on_stop_service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(STATE_PERIOD_S, self._publish_state, clock=steady)

    # Lifecycle.

    def on_start(self) -> None:
        with self._core as core:
            core.activate(now_ns(self))
        self._ticker.start()

    def on_stop(self) -> None:
        self._ticker.stop()
        with self._core as core:
            core.deactivate(now_ns(self))
        self._tick_to_rest()
        self._tasks.end(ExecuteTask.Result.ENDED_FAILED, "the executor was deactivated")
        self._publish_state()

    def destroy_node(self) -> None:
        self._tasks.destroy()
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
        with self._core as core:
            decision = core.tick(now, steady_ns)
        command = decision.withheld if self._params.shadow else decision.command
        if command is not None:
            for encode, publisher in self._outputs:
                publisher.publish(encode(command))
        return decision

    def _on_crash(self) -> None:
        self._crashed = True
        self._changed.trigger()

    # Stop and reset.

    def _on_emergency_stop(self, msg: EmergencyStop) -> None:
        self._stop(f"emergency stop by {msg.source or 'somebody'}: {msg.reason}")

    def _on_stop_service(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stop("the executor's stop service was called")
        response.success, response.message = True, "stopped; call ~/reset to go on"
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._core as core:
            core.reset(now_ns(self))
        self._tasks.end(ExecuteTask.Result.ENDED_STOPPED, "the executor was reset")
        self.get_logger().info("reset")
        response.success, response.message = True, "ready for a new task"
        return response

    def _stop(self, reason: str) -> None:
        with self._core as core:
            core.stop(reason, now_ns(self))
        self.get_logger().error(f"stopped: {reason}")

    # State.

    def _publish_state(self) -> None:
        if self._crashed:
            raise RuntimeError("the control tick failed; see the log above")
        now = now_ns(self)
        snapshot = self._snapshot(now)
        self._state.publish(executor_state_msg(snapshot, now))
        if snapshot.mode != self._logged:
            self._logged = snapshot.mode
            self.get_logger().info(f"{snapshot.mode.name.lower()}: {snapshot.reason}")
        self._tasks.follow(snapshot.mode, snapshot.reason, snapshot.chunks_accepted)

    def _report(self) -> Report:
        return report(self._snapshot(now_ns(self)), self._ticker.missed)

    def _snapshot(self, now: int) -> Snapshot:
        """Return the core's state with what only the ticker knows."""
        with self._core as core:
            snapshot = core.snapshot(now)
        p50, p99 = self._ticker.period_error_s()
        worst = self._ticker.worst_period_error_s()
        return replace(snapshot, tick_error_p50=p50, tick_error_p99=p99, tick_error_max=worst)

    # Parameters.

    def _check_choices(self, params: ExecutorParams) -> None:
        check_choice("mode", params.mode, MODES)
        check_choice("join", params.join, tuple(JOINS))

    def _on_params(self, params: ExecutorParams) -> None:
        self._check_choices(params)
        self._tasks.change(params.mode, params.join)
        with self._core as core:
            core.set_speed(params.speed_scale, now_ns(self))
        self._params = params


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(ExecutorNode, is_urgent=True))
