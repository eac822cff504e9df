"""The policy node with real topics and a policy of this file: each request gets one answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, JointState

from vla_core.contract import Contract, PolicyConfig, load_contract
from vla_core.errors import ConfigurationError, InferenceError, MismatchError
from vla_core.execution import Request
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Epoch, Observation, Prefix
from vla_hosting.loading import load_policy
from vla_interfaces.msg import ActionChunk as ActionChunkMsg
from vla_interfaces.msg import InferenceFailure, InferenceRequest, PolicyState
from vla_policy.policy_node import PolicyNode, PolicyParams
from vla_ros import qos
from vla_ros.chunks import answer_from_msg, request_msg
from vla_ros.images import image_msg
from vla_ros.joints import joint_state_msg
from vla_ros.stamps import now_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

MS = 1_000_000
ROOT = Path(__file__).parents[3]
CONTRACT_FILE = str(ROOT / "config/robots/so101/contract.yaml")
POLICY_FILE = str(ROOT / "config/policies/demo.yaml")
CONTRACT = load_contract([CONTRACT_FILE])
PICTURE = np.full((240, 320, 3), 90, np.uint8)


class FakePolicy:
    """Answers with rows that count; misbehaves where told."""

    def __init__(self, config: PolicyConfig, contract: Contract, root: Path) -> None:
        self.spec = PolicySpec(
            name="demo",
            images={name: ImageSpec(240, 320) for name in contract.observation.images},
            state={"joints": contract.observation.state["joints"].entries},
            columns=contract.columns,
            units=contract.units,
            horizon=8,
            step_ns=50 * MS,
            parameters=1234,
        )
        self.config = config
        self.seen: list[Observation] = []
        self.resets = 0
        self.threads: set[str] = set()
        self.is_closed = False
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.value = 0.1

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        self.threads.add(threading.current_thread().name)
        self.seen.append(observation)
        assert self.gate.wait(20.0)
        if self.error is not None:
            raise self.error
        values = np.full((8, 6), self.value)
        return ActionChunk(
            values, observation.as_of_ns, 50 * MS, self.spec.columns, stages_ns={"infer": 5}
        )

    def reset(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.resets += 1

    def close(self) -> None:
        self.is_closed = True


class Asker:
    """Everything around the policy node: cameras, joints, executor."""

    def __init__(self, world: World, load: Any = None, **overrides: object) -> None:
        self.world, self.policy = world, None

        def remember(*arguments: Any) -> FakePolicy:
            self.policy = FakePolicy(*arguments)
            return self.policy

        files: dict[str, object] = {
            "contract_files": (CONTRACT_FILE,),
            "policy_file": POLICY_FILE,
            "nice": 0,
        }
        self.node = world.add(
            PolicyNode(load or remember, parameter_overrides=parameters(**{**files, **overrides}))
        )
        self.chunks = world.listen(ActionChunkMsg, "action_chunk", qos.EVENT)
        self.failures = world.listen(InferenceFailure, "inference_failure", qos.EVENT)
        self.states = world.listen(PolicyState, "policy/state", qos.STATE)
        self._ask = world.talk(InferenceRequest, "inference_request", qos.EVENT)
        self._id = 0

    def activate(self) -> None:
        self.world.activate(self.node)
        cameras = [name for name in ("front", "wrist") if name in self.node._meters]
        self.send = {
            name: self.world.talk(Image, f"observation/images/{name}", qos.SENSOR)
            for name in cameras
        }
        self.send["joints"] = self.world.talk(JointState, "observation/joints", qos.SENSOR)

    def observe(self, without: str = "", age_ns: int = 0, wrist_later_ns: int = 0) -> None:
        """Send one sample of each stream and wait until the node has them."""
        stamp = now_ns(self.world.tester) - age_ns
        meters = self.node._meters
        for name, send in self.send.items():
            if name == without or name not in meters:  # the policy does not take it
                continue
            had = meters[name]._received_ns
            if name == "joints":
                joints = np.arange(6.0)
                send(joint_state_msg(stamp, CONTRACT.columns[::-1], joints[::-1]))
            else:
                send(image_msg(PICTURE, stamp + (wrist_later_ns if name == "wrist" else 0)))
            self.world.until(
                lambda n=name, h=had: meters[n]._received_ns != h, f"the sample of '{name}'"
            )

    def ask(
        self,
        policy: str = "demo",
        epoch: int = 1,
        ahead_ns: int = 0,
        plan: Prefix | None = None,
        names: tuple[str, ...] = CONTRACT.columns,
    ) -> int:
        self._id += 1
        sent_ns = now_ns(self.world.tester) + ahead_ns
        request = Request(self._id, Epoch(7, epoch), policy, "pick", sent_ns, plan)
        self._ask(request_msg(request, names))
        return self._id

    def failure(self, request_id: int) -> InferenceFailure:
        def found() -> list[InferenceFailure]:
            return [f for f in self.failures if f.request_id == request_id]

        self.world.until(found, f"the failure of request {request_id}")
        return found()[0]

    def chunk(self, request_id: int) -> ActionChunkMsg:
        def found() -> list[ActionChunkMsg]:
            return [c for c in self.chunks if c.request_id == request_id]

        self.world.until(lambda: found() or self.failures, f"the answer to request {request_id}")
        assert found(), f"a failure instead: {self.failures[-1].message}"
        return found()[0]


@pytest.fixture()
def world() -> Iterator[World]:
    with ros_world() as it:
        yield it


@pytest.fixture()
def asker(world: World) -> Asker:
    return Asker(world)


def test_answers_with_a_chunk_ages_and_times(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    msg = asker.chunk(asker.ask())
    answer = answer_from_msg(msg)
    assert answer.chunk.values.shape == (8, 6) and answer.epoch == Epoch(7, 1)
    assert set(answer.chunk.ages_ns) == {"front", "wrist", "joints"}
    assert all(0 <= age < 150 * MS for age in answer.chunk.ages_ns.values())
    assert {"wait", "decode", "infer"} <= set(answer.chunk.stages_ns)
    assert answer.chunk.start_ns == asker.policy.seen[-1].as_of_ns


def test_the_policy_sees_rgb_pictures_and_joints_by_name(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    asker.chunk(asker.ask())
    seen = asker.policy.seen[-1]
    np.testing.assert_array_equal(seen.images["front"], PICTURE)
    np.testing.assert_array_equal(seen.state["joints"], np.arange(6.0))
    assert seen.instruction == "pick"


def test_the_policy_lives_in_one_thread_and_is_reset_at_each_epoch(asker: Asker) -> None:
    asker.activate()
    for epoch in (1, 1, 2):
        asker.observe()
        asker.chunk(asker.ask(epoch=epoch))
    assert asker.policy.threads == {"inference"}
    assert asker.policy.resets == 2


@pytest.fixture()
def continuing(world: World, tmp_path: Path) -> Asker:
    """A real policy behind the real hosting, which keeps what is committed."""
    file = tmp_path / "flow.yaml"
    file.write_text(
        "{name: flow, robot: so101, uri: 'scripted:vla_testing.flow_policy:FlowPolicy', "
        "options: {method: trained}, conversions: [{units: {shoulder_pan: deg}}, "
        "{relative_to_state: {stream: joints, columns: [elbow_flex]}}]}"
    )
    asker = Asker(world, load_policy, policy_file=str(file))
    asker.activate()
    asker.observe()
    return asker


def test_the_plan_in_a_request_is_continued(continuing: Asker) -> None:
    """Knots as the executor sends them: on the rows of its plan, which are not the policy's."""
    began_ns = now_ns(continuing.world.tester) - 130 * MS
    knots = np.arange(6.0) + 0.01 * np.arange(40)[:, None]
    plan = Prefix(knots, began_ns, 50 * MS, began_ns + 130 * MS + 5_000 * MS)
    chunk = answer_from_msg(continuing.chunk(continuing.ask("flow", plan=plan))).chunk
    assert chunk.prefix_rows == chunk.horizon == 16
    rows = (chunk.start_ns - began_ns) / (50 * MS) + np.arange(16)
    wanted = np.arange(6.0) + 0.01 * rows[:, None]
    wanted[:, 5] = 5.0 + 0.01 * np.floor(rows)  # the gripper is held between its knots
    np.testing.assert_allclose(chunk.values, wanted, atol=1e-9)


def test_a_plan_of_other_columns_is_refused(continuing: Asker) -> None:
    plan = Prefix(np.zeros((4, 6)), now_ns(continuing.world.tester), 50 * MS, 0)
    failure = continuing.failure(continuing.ask("flow", plan=plan, names=CONTRACT.columns[::-1]))
    assert failure.code == InferenceFailure.CODE_REQUEST
    assert "prefix columns: expected ['shoulder_pan'" in failure.message


def test_says_which_stream_is_missing(asker: Asker) -> None:
    asker.activate()
    asker.observe(without="wrist")
    failure = asker.failure(asker.ask())
    assert failure.code == InferenceFailure.CODE_OBSERVATION
    assert "stream 'wrist' is missing" in failure.message
    assert not asker.policy.seen and not asker.chunks


def test_diagnostics_tell_rate_age_and_skew_of_each_stream(asker: Asker) -> None:
    asker.activate()
    told = asker.world.listen(DiagnosticArray, "/diagnostics", qos.EVENT)
    asker.observe(age_ns=400 * MS, wrist_later_ns=300 * MS)

    def skewed() -> dict[str, dict[str, str]]:
        found = {s.name: s for msg in told for s in msg.status if "apart" in s.message}
        return {name: {v.key: v.value for v in s.values} for name, s in found.items()}

    inputs = {f"policy: input {name}" for name in ("front", "wrist", "joints")}
    asker.world.until(lambda: inputs <= skewed().keys(), "a warning for each stream")
    wrist, front = skewed()["policy: input wrist"], skewed()["policy: input front"]
    assert front["skew_s"] == "0.300" and front["skew_to"] == "wrist"
    assert {"rate_hz", "age_s", "delay_s"} <= wrist.keys()


def test_refuses_old_and_skewed_observations(asker: Asker) -> None:
    asker.activate()
    asker.observe(age_ns=400 * MS)
    assert "is old" in asker.failure(asker.ask()).message
    asker.observe(age_ns=145 * MS, wrist_later_ns=140 * MS)
    message = asker.failure(asker.ask()).message
    assert "apart" in message or "is old" in message
    assert not asker.policy.seen


def test_refuses_a_camera_whose_stamp_stands_still(asker: Asker) -> None:
    asker.activate()
    stamp = now_ns(asker.world.tester)
    seen = asker.node._meters["front"]
    for _ in range(4):
        had = seen._received_ns
        asker.send["front"](image_msg(PICTURE, stamp))
        asker.world.until(lambda h=had: seen._received_ns != h, "the picture")
    asker.world.until(lambda: now_ns(asker.world.tester) - stamp > 160 * MS, "time to pass")
    asker.observe(without="front")
    assert "stream 'front' is frozen" in asker.failure(asker.ask()).message


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InferenceError("no GPU"), InferenceFailure.CODE_INFERENCE, "no GPU"),
        (ZeroDivisionError("oops"), InferenceFailure.CODE_INFERENCE, "ZeroDivisionError: oops"),
        (MismatchError("no prefix"), InferenceFailure.CODE_REQUEST, "no prefix"),
    ],
)
def test_tells_why_the_policy_failed_and_goes_on(
    asker: Asker, error: Exception, code: int, text: str
) -> None:
    asker.activate()
    asker.policy.error = error
    asker.observe()
    failure = asker.failure(asker.ask())
    assert failure.code == code and text in failure.message
    asker.policy.error = None
    asker.failures.clear()
    asker.observe()
    asker.chunk(asker.ask())


def test_nan_from_the_policy_is_a_failure_and_no_chunk(asker: Asker) -> None:
    asker.activate()
    asker.policy.value = float("nan")
    asker.observe()
    failure = asker.failure(asker.ask())
    assert failure.code == InferenceFailure.CODE_INVALID_CHUNK
    assert "NaN" in failure.message and not asker.chunks


def test_refuses_a_request_from_the_future(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    message = asker.failure(asker.ask(ahead_ns=2000 * MS)).message
    assert "clock" in message and "synchronise" in message


def test_stays_silent_when_another_policy_is_asked(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    asker.ask(policy="other")
    asker.chunk(asker.ask())  # the marker: it came, and nothing before it
    assert [c.request_id for c in asker.chunks] == [2] and not asker.failures


def test_refuses_while_inactive(asker: Asker) -> None:
    failure = asker.failure(asker.ask())
    assert failure.code == InferenceFailure.CODE_NOT_READY
    assert "not configured" in failure.message


def test_deactivation_gives_up_the_inference_in_progress(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    asker.policy.gate.clear()
    request = asker.ask()
    asker.world.until(lambda: asker.policy.seen, "the inference begins")
    asker.node.trigger_deactivate()
    assert "deactivated" in asker.failure(request).message
    asker.policy.gate.set()
    asker.node.trigger_activate()
    asker.failures.clear()
    asker.observe()
    marker = asker.ask()
    asker.chunk(marker)
    assert [c.request_id for c in asker.chunks] == [marker]


def test_a_hanging_inference_is_given_up_after_its_deadline(world: World) -> None:
    asker = Asker(world, deadline_s=0.2)
    asker.activate()
    asker.observe()
    asker.policy.gate.clear()
    assert "no answer within 0.2 s" in asker.failure(asker.ask()).message
    assert "hangs" in asker.failure(asker.ask()).message
    asker.policy.gate.set()


def test_a_newer_request_replaces_one_that_waits(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    asker.policy.gate.clear()
    first = asker.ask()
    asker.world.until(lambda: asker.policy.seen, "the first inference begins")
    second, third = asker.ask(), asker.ask()
    assert "newer request" in asker.failure(second).message
    asker.failures.clear()
    asker.policy.gate.set()
    asker.chunk(first)
    asker.world.until(
        lambda: third in {m.request_id for m in [*asker.chunks, *asker.failures]}, "the third"
    )


def test_tells_what_it_hosts_to_whoever_comes_later(asker: Asker) -> None:
    asker.activate()
    asker.observe()
    asker.chunk(asker.ask())
    asker.world.until(lambda: asker.states[-1].chunks_sent == 1, "the state after one chunk")
    late = []
    asker.world.tester.create_subscription(PolicyState, "policy/state", late.append, qos.STATE)
    asker.world.until(lambda: late, "the latched state")
    state = late[-1]
    assert state.ready and state.policy == "demo" and state.uri == "nano:models/demo"
    assert state.parameters == 1234 and state.horizon == 8
    assert list(state.names) == list(CONTRACT.columns)
    assert 0 < state.latency_p50 < 5.0


def test_a_policy_that_does_not_fit_is_told_and_not_configured(world: World) -> None:
    def refuse(*_: Any) -> FakePolicy:
        raise MismatchError("policy 'demo' expects image 'top'")

    asker = Asker(world, load=refuse)
    asker.node.trigger_configure()
    assert asker.node.state_label == "unconfigured"
    asker.world.until(
        lambda: any("expects image 'top'" in s.reason for s in asker.states), "the reason"
    )


def test_cleanup_closes_the_policy(asker: Asker) -> None:
    asker.activate()
    asker.node.trigger_deactivate()
    asker.node.trigger_cleanup()
    assert asker.policy.is_closed
    assert "not configured" in asker.failure(asker.ask()).message


def test_injected_latency_overrules_the_file(world: World) -> None:
    asker = Asker(world, latency_injected_s=0.4)
    asker.activate()
    assert asker.policy.config.execution.latency_injected_s == 0.4


def test_a_missing_policy_file_stops_the_node_at_start(world: World) -> None:
    with pytest.raises(ConfigurationError, match="'policy_file': expected a file"):
        Asker(world, policy_file="")


def test_the_readme_names_every_parameter_and_interface(world: World) -> None:
    node = Asker(world).node
    readme = Path(__file__).parents[1] / "README.md"
    assert undocumented(node, PolicyParams, readme, own=set()) == []


def test_the_node_imports_no_torch() -> None:
    code = "import sys, vla_policy.policy_node; sys.exit('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
