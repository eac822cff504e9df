"""ROS node around one policy: the latest observation in, a chunk out, when the executor asks."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.subscription import Subscription

from vla_core.contract import load_contract, load_policy_config
from vla_core.errors import ConfigurationError, MismatchError, NotReadyError, VlaError
from vla_core.execution import Answer, Request
from vla_core.observation import ObservationAssembler
from vla_core.observation.skew import furthest
from vla_core.ports import Policy
from vla_core.types import NS_PER_S, ActionChunk, Epoch
from vla_hosting.loading import load_policy
from vla_interfaces.msg import ActionChunk as ActionChunkMsg
from vla_interfaces.msg import InferenceFailure, InferenceRequest, PolicyState
from vla_policy.inference import InferenceThread
from vla_policy.streams import Input, inputs
from vla_ros import qos
from vla_ros.chunks import chunk_msg, failure_msg, request_from_msg
from vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Meter, Report, with_skew
from vla_ros.lifecycle import ManagedNode
from vla_ros.parameters import declare, param
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node
from vla_ros.stamps import duration_msg, header, is_simulated, now_ns

# Samples kept per stream: enough for the contract's age at 100 Hz, little enough for pictures.
CAPACITY = 24
LATENCIES = 200
# Observations are placed by their stamps: clocks farther apart than this spoil their ages.
CLOCKS_APART_NS = 50_000_000


@dataclass(frozen=True)
class PolicyParams:
    """Parameters of the policy node; the rest is in the contract and the policy's file."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    policy_file: str = param("", "File of the policy to host")
    uri: str = param("", "Where the policy is, instead of what its file says; empty: the file")
    root: str = param(".", "Folder that relative paths in the policy's file start from")
    latency_injected_s: float = param(
        math.nan, "Added to each answer, for experiments [s]; NaN: the policy's file", 0.0, 60.0
    )
    deadline_s: float = param(10.0, "An inference that takes longer is given up [s]", 0.05, 600.0)
    nice: int = param(5, "How far the inference stands back for the rest of the system", 0, 19)


class PolicyNode(ManagedNode):
    """Answers each request addressed to its policy with exactly one chunk or failure.

    The policy lives in the inference thread; subscriptions keep serialized samples, of which an
    inference decodes those it uses.
    """

    def __init__(self, load: Callable[..., Policy] = load_policy, **options: Any) -> None:
        super().__init__("policy", **options)
        self._params = declare(self, PolicyParams)
        self._contract = load_contract(self._params.contract_files)
        if not self._params.policy_file:
            raise ConfigurationError("parameter 'policy_file': expected a file, got nothing")
        self._config = self._configured()
        self._load = load
        self._policy: Policy | None = None
        self._assembler: ObservationAssembler | None = None
        self._inputs: list[Subscription] = []
        self._meters: dict[str, Meter] = {}
        self._reason = "not configured"
        self._load_error = ""
        self._epoch: Epoch | None = None
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)
        self._chunks_sent = self._failures_sent = 0
        self._last_failure = ""
        self._inference = InferenceThread(
            self._serve, self._give_up, self._params.deadline_s, self._params.nice
        )

        self._chunks = self.create_publisher(ActionChunkMsg, "action_chunk", qos.EVENT)
        self._failures = self.create_publisher(InferenceFailure, "inference_failure", qos.EVENT)
        self._state = self.create_publisher(PolicyState, "~/state", qos.STATE)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("inference", self._report)
        self.create_subscription(
            InferenceRequest,
            "inference_request",
            self._on_request,
            qos.EVENT,
            callback_group=QuickGroup(),
        )
        # On the steady clock: a deadline must not wait for a simulation that stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._inference.enforce_deadline, clock=steady)
        self.create_timer(1.0, self._tell_state, clock=steady)
        self._tell_state()

    # Lifecycle.

    def on_load(self) -> None:
        self._tell_state("loading")
        self._load_error = ""
        try:
            policy = self._policy = self._inference.call(
                partial(self._load, self._config, self._contract, Path(self._params.root))
            )
        except VlaError as error:
            self._load_error = str(error)
            raise
        names = (*policy.spec.images, *policy.spec.state)
        self._assembler = ObservationAssembler(self._contract, names, CAPACITY)
        for it in inputs(self._contract, names):
            self._meters[it.name] = Meter()
            self._diagnostics.add(f"input {it.name}", partial(self._report_input, it.name))
            self._inputs.append(
                self.create_subscription(
                    it.message_type,
                    it.topic,
                    partial(self._on_sample, it),
                    qos.SENSOR,
                    callback_group=QuickGroup(),
                    raw=True,
                )
            )
        self._tell_state("not active")

    def on_start(self) -> None:
        self._tell_state("")

    def on_stop(self) -> None:
        self._tell_state("not active")
        self._inference.withdraw(NotReadyError(f"policy '{self._config.name}' was deactivated"))

    def on_release(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()
        for name in self._meters:
            self._diagnostics.remove(f"input {name}")
        self._meters.clear()
        policy, self._policy, self._assembler = self._policy, None, None
        if policy is not None:
            self._close(policy)
        self._tell_state(self._load_error or "not configured")

    def _close(self, policy: Policy) -> None:
        try:
            self._inference.call(policy.close, timeout_s=2.0)
        except TimeoutError:
            policy.close()  # it hangs in an inference: from here, then

    def destroy_node(self) -> None:
        self._inference.close()
        super().destroy_node()

    # Inputs, in the thread of the quick topics (`vla_ros.quick`).

    def _on_sample(self, it: Input, raw: bytes) -> None:
        assembler = self._assembler
        if assembler is None:
            return
        now = now_ns(self)
        stamp_ns = it.stamp_ns(raw, now)
        assembler.add(it.name, stamp_ns, it.payload(raw))
        self._meters[it.name].seen(now - stamp_ns)

    def _on_request(self, msg: InferenceRequest) -> None:
        if msg.policy != self._config.name:
            return
        if not self.is_active:
            self._give_up(msg, NotReadyError(f"policy '{msg.policy}': {self._reason}"))
            return
        self._inference.ask(msg)

    # Inference, in its own thread.

    def _serve(self, msg: Any) -> Callable[[], None]:
        """Return what publishes the answer to one request."""
        began_ns = time.monotonic_ns()
        try:
            request = request_from_msg(msg)
            waited_ns = self._waited_ns(request)
            self._check_plan(msg)
            chunk = self._infer(request)
        except Exception as error:  # whatever a policy raises, the executor gets its answer
            return partial(self._give_up, msg, error)
        chunk = replace(chunk, stages_ns={"wait": waited_ns, **chunk.stages_ns})
        answer = Answer(request.request_id, request.epoch, request.policy, chunk)
        return partial(self._publish, answer, began_ns)

    def _infer(self, request: Request) -> ActionChunk:
        policy, assembler = self._policy, self._assembler
        if policy is None or assembler is None:
            raise NotReadyError(f"policy '{request.policy}' has been released")
        if request.epoch != self._epoch:
            self._epoch = request.epoch
            policy.reset()
        began_ns = time.monotonic_ns()
        observation = assembler.assemble(now_ns(self), request.instruction)
        decoded_ns = time.monotonic_ns() - began_ns
        prefix = request.prefix if policy.spec.accepts_prefix else None
        chunk = policy.infer(observation, prefix)
        return replace(
            chunk,
            ages_ns=dict(observation.ages_ns),
            stages_ns={"decode": decoded_ns, **chunk.stages_ns},
        )

    def _check_plan(self, msg: Any) -> None:
        """Refuse a plan of other columns: in another order it would be another motion.

        Raises:
            MismatchError: they are not the robot's.
        """
        names, expected = tuple(msg.names), self._contract.columns
        if len(msg.prefix_values) and names != expected:
            raise MismatchError(f"prefix columns: expected {list(expected)}, got {list(names)}")

    def _waited_ns(self, request: Request) -> int:
        """Return how long a request has waited.

        Raises:
            MismatchError: it comes from the future: the machines' clocks differ.
        """
        waited_ns = now_ns(self) - request.sent_ns
        # A simulated clock is the same for all, only heard a little later by some.
        if waited_ns < -CLOCKS_APART_NS and not is_simulated(self):
            raise MismatchError(
                f"the executor's clock is {-waited_ns / NS_PER_S:.3f} s ahead of the policy's, "
                f"at most {CLOCKS_APART_NS / NS_PER_S:g} s is allowed: synchronise the clocks"
            )
        return max(0, waited_ns)

    def _publish(self, answer: Answer, began_ns: int) -> None:
        self._chunks.publish(chunk_msg(answer))
        self._latencies_s.append((time.monotonic_ns() - began_ns) / NS_PER_S)
        self._chunks_sent += 1
        if self._last_failure:
            self.get_logger().info("chunks again")
            self._last_failure = ""

    def _give_up(self, msg: Any, error: Exception) -> None:
        failure = failure_msg(msg, error, now_ns(self))
        self._failures.publish(failure)
        self._failures_sent += 1
        if not self._last_failure:
            self.get_logger().warning(f"no chunk: {failure.message}")
        self._last_failure = failure.message

    # State.

    def _configured(self) -> Any:
        config = load_policy_config(self._params.policy_file)
        if self._params.uri:
            config = config.model_copy(update={"uri": self._params.uri})
        injected = self._params.latency_injected_s
        if math.isnan(injected):
            return config
        execution = config.execution.model_copy(update={"latency_injected_s": injected})
        return config.model_copy(update={"execution": execution})

    def _quantiles(self) -> tuple[float, float, float]:
        if not self._latencies_s:
            return math.nan, math.nan, math.nan
        p50, p95, p99 = np.percentile(np.array(self._latencies_s), (50, 95, 99))
        return float(p50), float(p95), float(p99)

    def _tell_state(self, reason: str | None = None) -> None:
        if reason is not None:
            self._reason = reason
        p50, p95, p99 = self._quantiles()
        msg = PolicyState(
            header=header(now_ns(self)),
            policy=self._config.name,
            uri=self._config.uri,
            ready=not self._reason,
            reason=self._reason,
            latency_p50=p50,
            latency_p95=p95,
            latency_p99=p99,
            chunks_sent=self._chunks_sent,
            failures_sent=self._failures_sent,
        )
        if self._policy is not None:
            spec = self._policy.spec
            msg.parameters = spec.parameters
            msg.names = list(spec.columns)
            msg.horizon = spec.horizon
            msg.step = duration_msg(spec.step_ns)
            msg.accepts_prefix = spec.accepts_prefix
            msg.has_correction = spec.has_correction
        self._state.publish(msg)

    def _report_input(self, name: str) -> Report:
        now = now_ns(self)
        ages = self._assembler.ages_ns(now) if self._assembler is not None else {}
        newest = {stream: now - age for stream, age in ages.items() if age is not None}
        limit_ns = round(self._contract.observation.max_skew_s * NS_PER_S)
        return with_skew(self._meters[name].report(), furthest(name, newest), limit_ns)

    def _report(self) -> Report:
        p50, p95, _ = self._quantiles()
        values = {
            "latency_p50_s": f"{p50:.3f}",
            "latency_p95_s": f"{p95:.3f}",
            "chunks_sent": self._chunks_sent,
            "failures_sent": self._failures_sent,
        }
        if self._reason:
            return Report(WARN, self._reason, values)
        if self._last_failure:
            return Report(ERROR, f"no chunk: {self._last_failure}", values)
        return Report(OK, f"policy '{self._config.name}' answers", values)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(PolicyNode))
