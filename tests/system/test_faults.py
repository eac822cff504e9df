"""Every fault of the table in docs/faults.md: real processes, real DDS, one graph, one recording.

Each test breaks something while the arm moves, sees what the robot does, mends it, and sees work
go on. The last test judges the recorded commands at the receiver, fault by fault; with
``VLA_FAULTS_TABLE=docs/faults.md`` in the environment it also writes the table.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import HEAD, Fault, rows_of
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from trouble import TROUBLE
from world import ROOT, World, world

from vla_core.types import NS_PER_S
from vla_data.recording import Recording
from vla_interfaces.msg import ActionChunk, EmergencyStop, ExecutorState, InferenceRequest
from vla_ros import qos
from vla_ros.stamps import duration_msg, time_msg, time_ns
from vla_testing.tables import table, write_table

INSTRUCTION = "put the red cube on the yellow pad"
RUNNING, HOLDING = ExecutorState.MODE_RUNNING, ExecutorState.MODE_HOLDING
STOPPED, IDLE = ExecutorState.MODE_STOPPED, ExecutorState.MODE_IDLE
WAIT_S = 60.0  # of wall time: a busy machine simulates slowly
LATENCY_S = 0.1  # injected, so that "tenfold" means something
FAULTS: list[Fault] = []
pytestmark = pytest.mark.slow


def configuration(folder: Path) -> Path:
    """Return a configuration whose policy can be told to misbehave.

    Pictures may be older than usual: a busy machine renders slowly, and that is no fault.
    """
    policies, robot = folder / "config" / "policies", folder / "config" / "robots" / "so101"
    policies.mkdir(parents=True)
    shutil.copytree(ROOT / "config" / "robots" / "so101", robot)
    for file in robot.glob("*.yaml"):
        text = re.sub(r"(max_age_s|max_skew_s): [0-9.]+", r"\1: 1.0", file.read_text())
        file.write_text(text)
    (policies / "troubled.yaml").write_text(
        "name: troubled\nrobot: so101\nuri: scripted:trouble:TroubledExpert\n"
        "streams: {joints: joints, objects: objects, front: front, wrist: wrist}\n"
        "execution: {mode: async, horizon_rows: 16, join: blend, "
        f"latency_injected_s: {LATENCY_S}}}\n"
    )
    return folder


class Arena:
    """The running graph, the troubles it can be given, and what was done."""

    def __init__(self, running: World, trouble: Path) -> None:
        self.world, self._trouble = running, trouble
        self.lie: Callable[[ActionChunk], None] | None = None
        self.on_chunk: Callable[[], None] | None = None
        node = running.client.node
        self._chunks = node.create_publisher(ActionChunk, "action_chunk", qos.EVENT)
        self.stops = node.create_publisher(EmergencyStop, "emergency_stop", qos.EVENT)
        self.clock = node.create_publisher(Clock, "/clock", qos.SENSOR)
        node.create_subscription(InferenceRequest, "inference_request", self._answer, qos.EVENT)
        node.create_subscription(ActionChunk, "action_chunk", self._on_chunk, qos.EVENT)

    def trouble(self, words: str = "") -> None:
        """Tell the policy how to misbehave."""
        new = self._trouble.with_suffix(".new")
        new.write_text(words)
        new.rename(self._trouble)

    def begin(self, seed: int) -> Any:
        """Start a task and return when the arm moves."""
        running = self.world
        self.until(lambda: running.state.mode == IDLE, "the executor was not idle")
        running.client.reset_scene(seed, INSTRUCTION)
        handle = running.client.start_task(INSTRUCTION, time_limit_s=120.0)
        self.until(lambda: running.is_moving, "the arm did not begin to move")
        return handle

    def end(self, handle: Any) -> None:
        """Cancel a task and wait for the executor to be ready for the next."""
        client, result = self.world.client, handle.get_result_async()
        if not result.done():
            client.wait(handle.cancel_goal_async(), WAIT_S, "nobody took the cancel")
        client.wait(result, WAIT_S, "the router did not end the task")
        self.until(lambda: self.world.state.mode == IDLE, "the executor did not become idle")

    def broken(self, name: str) -> Fault:
        """Note that something breaks now."""
        fault = Fault(name, self.world.now_ns, until_ns=self.world.now_ns)
        FAULTS.append(fault)
        return fault

    def rests(self, fault: Fault) -> None:
        """Wait until the arm has stood still, for half a second since the fault at least."""
        self.until(
            lambda: self.world.now_ns - fault.at_ns > NS_PER_S // 2, "simulated time stood still"
        )
        self.world.until_at_rest(WAIT_S)
        fault.rest_ns = fault.until_ns = self.world.now_ns

    def resumes(self, fault: Fault, how: str = "by itself") -> None:
        """Wait until a plan is played and the arm moves."""
        self.until(lambda: self.world.is_moving, f"after '{fault.name}' work did not go on")
        fault.resumed, fault.until_ns = how, self.world.now_ns

    def routers(self) -> set[bytes]:
        """Return the identities of all routers that DDS knows."""
        node = self.world.client.node
        found = node.get_publishers_info_by_topic(f"{node.get_namespace()}/task_lease")
        return {bytes(each.endpoint_gid) for each in found}

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, with this file's deadline."""
        self.world.until(condition, WAIT_S, what)

    def until_mode(self, mode: int, what: str) -> None:
        """Wait for a mode of the executor."""
        self.world.until_mode(mode, WAIT_S, what)

    def _answer(self, request: InferenceRequest) -> None:
        """Answer before the policy does, if there is a lie to tell."""
        if self.lie is None:
            return
        names = list(self.world.contract.columns)
        row = [self.world.contract.home[name] for name in names]
        chunk = ActionChunk(request_id=request.request_id, epoch=request.epoch)
        chunk.policy, chunk.names, chunk.values = request.policy, names, row * 32
        chunk.header.stamp, chunk.step = request.header.stamp, duration_msg(50_000_000)
        self.lie(chunk)
        self._chunks.publish(chunk)

    def _on_chunk(self, _: ActionChunk) -> None:
        if self.on_chunk is not None:
            self.on_chunk()


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The running graph."""
    folder = tmp_path_factory.mktemp("faults")
    here = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
        patch.setenv(TROUBLE, str(folder / "trouble"))
        with world(folder / "run", "troubled", configuration(folder)) as running:
            yield Arena(running, folder / "trouble")


@pytest.mark.timeout(400)
def test_a_frozen_policy_is_missed_and_work_goes_on_when_it_thaws(arena: Arena) -> None:
    handle, pid = arena.begin(31), arena.world.runner.pid("policy")
    assert pid is not None
    fault = arena.broken("policy frozen (SIGSTOP)")
    os.killpg(pid, signal.SIGSTOP)
    try:
        arena.until_mode(HOLDING, "no hold without answers")
        arena.rests(fault)
    finally:
        os.killpg(pid, signal.SIGCONT)
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_an_emergency_stop_while_plans_are_blended_is_latched(arena: Arena) -> None:
    handle = arena.begin(32)
    stop = EmergencyStop(source="test", reason="while blending")
    done: list[Fault] = []

    def strike() -> None:
        if not arena.world.is_moving:
            return  # waiting for this chunk at rest: there is nothing to blend
        arena.on_chunk = None  # a chunk has come: from now on the plans are blended
        arena.stops.publish(stop)
        done.append(arena.broken("emergency stop while blending"))

    arena.on_chunk = strike
    arena.until_mode(STOPPED, "the stop was not heard")
    assert "while blending" in arena.world.state.reason
    arena.rests(done[0])
    arena.world.client.result(handle, WAIT_S)
    arena.world.client.reset()
    handle = arena.begin(32)
    arena.resumes(done[0], "after reset, with a new task")
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_parameter_out_of_range_is_refused_and_nothing_changes(arena: Arena) -> None:
    handle = arena.begin(33)
    fault = arena.broken("parameter out of range")
    for name, value in (
        ("join", ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="magic")),
        ("lease_s", ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=-1.0)),
    ):
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        answer = arena.world.client.call(SetParameters, "executor/set_parameters", request, WAIT_S)
        assert not answer.results[0].successful, name
        assert name in answer.results[0].reason
    arena.resumes(fault, "was not interrupted")
    arena.end(handle)


def nan(chunk: ActionChunk) -> None:
    chunk.values[7] = float("nan")


def wrong_shape(chunk: ActionChunk) -> None:
    chunk.values = chunk.values[:-1]


def wrong_columns(chunk: ActionChunk) -> None:
    chunk.names = list(reversed(chunk.names))


def wrong_epoch(chunk: ActionChunk) -> None:
    chunk.epoch.counter += 1


def stale(chunk: ActionChunk) -> None:
    chunk.header.stamp = time_msg(max(0, time_ns(chunk.header.stamp) - 5 * NS_PER_S))


LIES = {
    "answers with NaN": nan,
    "answers of a wrong shape": wrong_shape,
    "answers with wrong columns": wrong_columns,
    "answers of a wrong epoch": wrong_epoch,
    "stale answers": stale,
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_must_not_be_played_is_not(arena: Arena, name: str) -> None:
    """Each request is answered at once, wrongly, on the wire; the policy itself fails later."""
    handle = arena.begin(34)
    arena.trouble("fail 0.5")
    arena.lie = LIES[name]
    fault = arena.broken(name)
    arena.until_mode(HOLDING, "no hold without a good answer")
    arena.rests(fault)
    arena.lie = None
    arena.trouble()
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_policy_that_computes_nan_fails_loudly(arena: Arena) -> None:
    handle = arena.begin(35)
    arena.trouble("nan")
    fault = arena.broken("policy computes NaN")
    arena.until_mode(HOLDING, "no hold without a good answer")
    arena.rests(fault)
    arena.trouble()
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_killed_policy_is_replaced(arena: Arena) -> None:
    handle = arena.begin(37)
    fault = arena.broken("policy killed (-9) and restarted")
    arena.world.kill("policy")
    arena.until_mode(HOLDING, "no hold without a policy")
    arena.rests(fault)
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_killed_router_takes_its_lease_with_it(arena: Arena) -> None:
    arena.begin(38)
    before = arena.routers()
    fault = arena.broken("router killed (lease)")
    arena.world.kill("router")
    arena.until(lambda: "lease" in arena.world.state.reason, "no hold without a lease")
    assert arena.world.state.mode == HOLDING
    arena.rests(fault)
    # DDS takes the dead router for alive for a while: it is the new one that must be there.
    arena.until(lambda: arena.routers() - before, "no new router came")
    found_s = time.monotonic()
    arena.until(lambda: time.monotonic() - found_s > 1.0, "time stood still")
    handle = arena.world.client.start_task(INSTRUCTION, time_limit_s=120.0)
    arena.resumes(fault, "with a new task")
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_killed_executor_leaves_the_arm_in_its_braking_tail(arena: Arena) -> None:
    handle = arena.begin(39)
    fault = arena.broken("executor killed (-9) and restarted, moving")
    arena.world.kill("executor")
    arena.world.session.state = None
    arena.rests(fault)
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_frozen_cameras_are_noticed(arena: Arena) -> None:
    """The pictures keep coming, all with the same old stamp."""
    node, frozen = arena.world.client.node, dict[str, Image]()
    streams = arena.world.contract.observation.images
    publishers = {n: node.create_publisher(Image, s.topic, qos.SENSOR) for n, s in streams.items()}
    listening = [
        node.create_subscription(
            Image, s.topic, lambda m, n=n: frozen.setdefault(n, m), qos.SENSOR
        )
        for n, s in streams.items()
    ]
    handle = arena.begin(40)
    arena.until(lambda: len(frozen) == len(streams), "no pictures came")
    set_cameras(arena, False)
    again = node.create_timer(0.05, lambda: [p.publish(frozen[n]) for n, p in publishers.items()])
    fault = arena.broken("observation frozen")
    arena.until_mode(HOLDING, "no hold with frozen cameras")
    arena.rests(fault)
    said = arena.world.state.reason
    assert any(name in said for name in streams), said
    node.destroy_timer(again)
    set_cameras(arena, True)
    arena.resumes(fault)
    for each in listening:
        node.destroy_subscription(each)
    arena.end(handle)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("offset_s", [0.6, -0.6])
def test_a_clock_that_jumps_there_and_back_means_hold(arena: Arena, offset_s: float) -> None:
    """One message of another clock: all nodes jump, and jump back with the next true one."""
    handle = arena.begin(41)
    fault = arena.broken(f"clock jumps by {offset_s:+g} s and back")
    jumped = max(0, arena.world.now_ns + round(offset_s * NS_PER_S))
    arena.clock.publish(Clock(clock=time_msg(jumped)))
    arena.until(lambda: arena.world.state.mode == HOLDING, "the jump was not noticed")
    arena.resumes(fault)
    arena.end(handle)


@pytest.mark.timeout(400)
def test_a_policy_ten_times_as_slow_still_moves_the_robot(arena: Arena) -> None:
    """The last one: execution stays synchronous for a while."""
    handle = arena.begin(36)
    arena.trouble(f"slow {9 * LATENCY_S}")
    fault = arena.broken("policy slow tenfold")
    arena.until(lambda: arena.world.state.mode != RUNNING, "nothing was said of slowness")
    arena.resumes(fault, "goes on, with waits")
    arena.trouble()
    arena.end(handle)


def test_no_fault_breaks_a_limit_and_the_table_says_the_rest(arena: Arena) -> None:
    assert FAULTS, "no fault was made"
    arena.world.runner.stop()
    rows = rows_of(Recording(arena.world.folder / "bag"), FAULTS)
    for row in rows:
        print(" / ".join(row.cells()))
    for row in rows:
        assert not row.violations, f"{row.fault.name}: {row.violations[0]}"
        assert not row.fault.rest_ns or row.rest_s == row.rest_s, f"{row.fault.name}: not at rest"
        assert row.fault.resumed != "no", row.fault.name
    page = os.environ.get("VLA_FAULTS_TABLE")
    if page:
        text = table(HEAD, [row.cells() for row in rows])
        write_table(ROOT / page, "tests/system/test_faults.py", text)


def set_cameras(arena: Arena, publish: bool) -> None:
    """Silence the cameras, or bring them back."""
    value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=publish)
    request = SetParameters.Request(parameters=[Parameter(name="publish_cameras", value=value)])
    answer = arena.world.client.call(SetParameters, "bridge/set_parameters", request, WAIT_S)
    assert answer.results[0].successful, answer.results[0].reason
