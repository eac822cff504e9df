"""What the executor hears often or must not hear late: chunks, failures, corrections, joints.

In a `QuickGroup`, so that nothing waits behind a service; these callbacks only touch the core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from vla_core.contract import Contract
from vla_core.errors import VlaError
from vla_executor.guarded import Guarded
from vla_executor.measuring import Measurement, measurements
from vla_interfaces.msg import ActionChunk, ActionCorrection, InferenceFailure, TaskLease
from vla_ros import qos
from vla_ros.chunks import answer_from_msg, correction_from_msg, epoch_from_msg
from vla_ros.diagnostics import Diagnostics, Meter
from vla_ros.quick import QuickGroup
from vla_ros.stamps import now_ns, time_ns

CHUNKS_STALE_S = 10.0


class Inputs:
    """Subscribes, translates and hands to the core; what is malformed is dropped with a warning.

    Args:
        node: which hears.
        core: which is told.
        contract: whose state streams are measured.
        diagnostics: told of the rate of each input.
        on_lease: called with the task's id at each lease.
    """

    def __init__(
        self,
        node: Node,
        core: Guarded,
        contract: Contract,
        diagnostics: Diagnostics,
        on_lease: Callable[[str], None],
    ) -> None:
        self._node, self._core, self._on_task_lease = node, core, on_lease
        subscribe = partial(node.create_subscription, callback_group=QuickGroup())
        subscribe(ActionChunk, "action_chunk", self.on_chunk, qos.EVENT)
        subscribe(InferenceFailure, "inference_failure", self._on_failure, qos.EVENT)
        subscribe(ActionCorrection, "action_correction", self._on_correction, qos.COMMAND)
        subscribe(TaskLease, "task_lease", self._on_lease, qos.COMMAND)
        self._meters = {"chunks": Meter(stale_s=CHUNKS_STALE_S), "lease": Meter()}
        for it in measurements(contract):
            self._meters[it.name] = Meter()
            subscribe(it.message_type, it.stream.topic, partial(self._on_measured, it), qos.SENSOR)
        for name, meter in self._meters.items():
            diagnostics.add(f"input {name}", meter.report)

    def on_chunk(self, msg: ActionChunk) -> None:
        """Hand a policy's answer to the core."""
        now = now_ns(self._node)
        self._meters["chunks"].seen(now - time_ns(msg.header.stamp))
        try:
            answer = answer_from_msg(msg)
            with self._core as core:
                core.accept(answer, now)
        except VlaError as error:
            self._warn(f"chunk dropped: {error}")

    def _on_failure(self, msg: InferenceFailure) -> None:
        epoch, now = epoch_from_msg(msg.epoch), now_ns(self._node)
        with self._core as core:
            core.fail(msg.request_id, epoch, msg.policy, msg.message, now)
        self._warn(f"policy '{msg.policy}' gave no chunk: {msg.message}")

    def _on_correction(self, msg: ActionCorrection) -> None:
        try:
            correction = correction_from_msg(msg)
            with self._core as core:
                core.correct(correction, now_ns(self._node))
        except VlaError as error:
            self._warn(f"correction dropped: {error}")

    def _on_measured(self, measurement: Measurement, msg: Any) -> None:
        now = now_ns(self._node)
        try:
            positions, stamp_ns = measurement.read(msg, now)
            with self._core as core:
                core.measure(measurement.entries, positions.tolist(), stamp_ns, now)
        except VlaError as error:
            self._warn(f"'{measurement.stream.topic}' ignored: {error}")
        else:
            self._meters[measurement.name].seen(now - stamp_ns)

    def _on_lease(self, msg: TaskLease) -> None:
        self._meters["lease"].seen()
        self._on_task_lease(msg.task_id)
        with self._core as core:
            core.renew_lease(msg.task_id, now_ns(self._node))

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=5.0)
