"""The executor node with real topics: what comes in, what goes out, and when it stays silent."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_core.execution import Answer
from vla_core.types import ActionChunk
from vla_executor.executor_node import ExecutorNode, ExecutorParams
from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import ActionChunk as ActionChunkMsg
from vla_interfaces.msg import (
    EmergencyStop,
    ExecutorState,
    InferenceFailure,
    InferenceRequest,
    PolicyState,
    TaskLease,
)
from vla_ros import qos
from vla_ros.chunks import chunk_msg, epoch_from_msg
from vla_ros.joints import joint_state_msg, trajectory_arrays
from vla_ros.stamps import duration_msg, header, now_ns, time_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

MS = 1_000_000
ROOT = Path(__file__).parents[3]
CONTRACT_FILE = str(ROOT / "config/robots/so101/contract.yaml")
POLICY_FILE = str(ROOT / "config/policies/demo.yaml")
CONTRACT = load_contract([CONTRACT_FILE])
HOME = np.array([CONTRACT.home[name] for name in CONTRACT.columns])
ROWS, STEP_NS = 32, 50 * MS


class Robot:
    """Everything around the executor: joints, policy, router, receiver of its commands."""

    def __init__(self, world: World, **overrides: object) -> None:
        files: dict[str, object] = {
            "contract_files": (CONTRACT_FILE,),
            "policy_files": (POLICY_FILE,),
        }
        self.world = world
        self.node = world.add(
            ExecutorNode(parameter_overrides=parameters(**{**files, **overrides}))
        )
        self.position = HOME.copy()
        self.answers = True  # the policy answers requests
        self.shape = lambda chunk: chunk  # what it does to its answers
        self.leases = True
        self.measures = True
        self.tester = world.tester
        self.requests = world.listen(InferenceRequest, "inference_request", qos.EVENT)
        self.commands: list[JointTrajectory] = []
        if not overrides.get("shadow"):
            self.commands = world.listen(JointTrajectory, "command/joints", qos.COMMAND)
        self.states = world.listen(ExecutorState, "executor/state", qos.EVENT)
        self._joints = world.talk(JointState, "observation/joints", qos.SENSOR)
        self._chunk = world.talk(ActionChunkMsg, "action_chunk", qos.EVENT)
        self.failure = world.talk(InferenceFailure, "inference_failure", qos.EVENT)
        self._lease = world.talk(TaskLease, "task_lease", qos.COMMAND)
        self.emergency = world.talk(EmergencyStop, "emergency_stop", qos.EVENT)
        self._policy = world.talk(PolicyState, "policy/state", qos.STATE)
        self.tell_policy()
        self.client = ActionClient(self.tester, ExecuteTask, "executor/execute_task")
        self.tester.create_timer(0.01, self._live)
        self._answered = 0
        self.task_id = ""
        self.result: Any = None
        self.handle: Any = None

    def tell_policy(self, ready: bool = True, reason: str = "") -> None:
        self._policy(
            PolicyState(
                policy="demo",
                ready=ready,
                reason=reason,
                names=list(CONTRACT.columns),
                horizon=ROWS,
                step=duration_msg(STEP_NS),
            )
        )

    def _live(self) -> None:
        """Every 10 ms: follow the commands, answer requests, renew the lease."""
        now = now_ns(self.tester)
        if self.commands:
            self.position = trajectory_arrays(self.commands[-1], CONTRACT.columns)[1][0]
        if self.measures:
            self._joints(joint_state_msg(now, CONTRACT.columns, self.position))
        if self.leases and self.task_id:
            self._lease(TaskLease(header=header(now), task_id=self.task_id))
        if self.answers and len(self.requests) > self._answered:
            self._answered = len(self.requests)
            self.answer(self.requests[-1])

    def answer(self, request: InferenceRequest, target: np.ndarray | None = None) -> None:
        """Answer with a chunk that goes from here to ``target`` (shoulder_pan + 0.4)."""
        goal = HOME + np.eye(6)[0] * 0.4 if target is None else target
        share = np.linspace(0.0, 1.0, ROWS)[:, None]
        chunk = ActionChunk(
            values=self.position + share * (goal - self.position),
            start_ns=time_ns(request.header.stamp),
            step_ns=STEP_NS,
            columns=CONTRACT.columns,
        )
        epoch = epoch_from_msg(request.epoch)
        msg = chunk_msg(Answer(request.request_id, epoch, request.policy, chunk))
        self._chunk(self.shape(msg))

    def begin(self, task_id: str = "t1", policy: str = "demo", words: str = "pick") -> None:
        goal = ExecuteTask.Goal(task_id=task_id, instruction=words, policy=policy)
        self.world.until(self.client.server_is_ready, "the action server is there")
        self.task_id, self.result = task_id, None
        self.handle = self.world.ask(lambda: self.client.send_goal_async(goal), "execute_task")
        assert self.handle.accepted
        handle = self.handle

        def note(done: Any) -> None:
            if self.handle is handle:
                self.result = done.result().result

        handle.get_result_async().add_done_callback(note)

    def run(self) -> None:
        """Activate, begin a task and wait until the robot moves."""
        self.world.activate(self.node)
        self.begin()
        self.world.until(lambda: self.moved() > 0.05, "the robot moves")

    def moved(self) -> float:
        return float(np.abs(self.position - HOME).max())

    def ended(self) -> ExecuteTask.Result:
        self.world.until(lambda: self.result, "the task ends")
        return self.result

    def mode(self) -> int:
        return self.states[-1].mode if self.states else -1

    def in_mode(self, mode: int, name: str) -> None:
        self.world.until(lambda: self.mode() == mode, f"mode {name}, it is {self.mode()}")


@pytest.fixture()
def world() -> Iterator[World]:
    with ros_world() as it:
        yield it


@pytest.fixture()
def robot(world: World) -> Robot:
    return Robot(world)


def assert_ends_at_rest(command: JointTrajectory) -> None:
    _, _, velocities, _ = trajectory_arrays(command, CONTRACT.columns)
    assert np.abs(velocities[-1]).max() < 1e-9


def test_plays_chunks_and_asks_for_more(robot: Robot) -> None:
    robot.run()
    robot.world.until(lambda: len(robot.requests) >= 2, "a second request")
    assert robot.mode() == ExecutorState.MODE_RUNNING
    first, second = robot.requests[0], robot.requests[1]
    assert first.policy == "demo" and first.instruction == "pick"
    assert not first.prefix_values and list(second.names) == list(CONTRACT.columns)
    assert len(second.prefix_values) % 6 == 0 and len(second.prefix_values) > 0


def test_every_command_ends_at_rest_inside_the_limits(robot: Robot) -> None:
    robot.run()
    stamps = [time_ns(command.header.stamp) for command in robot.commands]
    # Newest wins: the tester may miss one, but what comes is in order.
    assert stamps == sorted(set(stamps))
    limits = [column.velocity for column in CONTRACT.action.columns]
    for command in robot.commands:
        assert_ends_at_rest(command)
        times, _, velocities, _ = trajectory_arrays(command, CONTRACT.columns)
        assert times[0] == CONTRACT.step_ns
        assert (np.abs(velocities) <= np.array(limits) + 1e-6).all()


def test_commands_nothing_before_it_is_active(robot: Robot) -> None:
    robot.node.trigger_configure()
    robot.begin()
    result = robot.ended()
    assert result.ended == ExecuteTask.Result.ENDED_REFUSED
    assert "inactive, not active" in result.message
    assert not robot.commands and not robot.requests


@pytest.mark.parametrize(
    ("policy", "words", "text"),
    [
        ("other", "pick", "unknown policy 'other'; known: ['demo']"),
        ("demo", "  ", "empty"),
    ],
)
def test_refuses_a_task_with_a_sentence(robot: Robot, policy: str, words: str, text: str) -> None:
    robot.world.activate(robot.node)
    robot.begin(policy=policy, words=words)
    result = robot.ended()
    assert result.ended == ExecuteTask.Result.ENDED_REFUSED and text in result.message


def test_refuses_a_task_while_the_policy_is_not_ready(robot: Robot) -> None:
    robot.world.activate(robot.node)
    robot.tell_policy(ready=False, reason="loading")
    states = robot.node._policies._states
    robot.world.until(
        lambda: "demo" in states and not states["demo"].ready, "the state of the policy"
    )
    robot.begin()
    assert "policy 'demo' is not ready: loading" in robot.ended().message


def test_the_same_task_again_is_the_same_task(robot: Robot) -> None:
    robot.run()
    robot.begin("t1")
    robot.world.until(lambda: robot.states[-1].chunks_accepted >= 2, "the task goes on")
    assert robot.states[-1].task_id == "t1"
    robot.handle.cancel_goal_async()
    assert robot.ended().message == "canceled; the robot is at rest"


def test_refuses_a_second_task(robot: Robot) -> None:
    robot.run()
    first = robot.handle
    robot.begin("t2")
    robot.task_id = "t1"
    assert "'t1' is still running" in robot.ended().message
    assert first.status == 2  # executing


def test_holds_without_a_lease_and_goes_on_with_one(robot: Robot) -> None:
    robot.run()
    robot.leases = False
    robot.in_mode(ExecutorState.MODE_HOLDING, "holding")
    assert "lease" in robot.states[-1].reason
    robot.leases = True
    robot.in_mode(ExecutorState.MODE_RUNNING, "running")


def test_a_router_that_died_does_not_block_the_next_task(robot: Robot) -> None:
    robot.run()
    robot.leases = False
    robot.in_mode(ExecutorState.MODE_HOLDING, "holding")
    robot.leases = True
    robot.begin("t2")
    robot.world.until(lambda: robot.states[-1].task_id == "t2", "the new task")
    robot.in_mode(ExecutorState.MODE_RUNNING, "running")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("values", [math.nan] * 6 * ROWS, "NaN"),
        ("values", [0.0] * 7, "expected whole rows of 6"),
        ("names", ["a", "b", "c", "d", "e", "f"], "columns"),
        ("request_id", 999, "999"),
        ("policy", "other", "other"),
    ],
)
def test_refuses_malformed_chunks_and_does_not_move(
    robot: Robot, capfd: pytest.CaptureFixture[str], field: str, value: Any, text: str
) -> None:
    def spoil(msg: ActionChunkMsg) -> ActionChunkMsg:
        setattr(msg, field, value)
        return msg

    robot.shape = spoil
    robot.world.activate(robot.node)
    robot.begin()
    collected = ""

    def refused() -> bool:
        nonlocal collected
        collected += capfd.readouterr().err
        return "chunk dropped" in collected

    robot.world.until(refused, "the refusal in the log")
    assert text in collected
    assert robot.moved() == 0.0


def test_a_late_chunk_loses_the_rows_that_are_past(robot: Robot) -> None:
    robot.run()
    robot.answers = False
    robot.world.until(lambda: len(robot.requests) > robot._answered, "the next request")
    request = robot.requests[-1]
    due = time_ns(request.header.stamp) + 5 * STEP_NS
    robot.world.until(lambda: now_ns(robot.tester) > due, "the answer is late")
    robot.answer(request)
    robot.world.until(lambda: robot.states[-1].rows_dropped_late >= 5, "the rows are dropped")
    for before, after in zip(robot.commands, robot.commands[1:], strict=False):
        step = trajectory_arrays(after, CONTRACT.columns)[1][0]
        step = step - trajectory_arrays(before, CONTRACT.columns)[1][0]
        assert np.abs(step).max() < 2.5 * 0.1  # never pulled back or thrown ahead


def test_a_failure_is_answered_with_a_new_request(robot: Robot) -> None:
    robot.answers = False
    robot.world.activate(robot.node)
    robot.begin()
    robot.world.until(lambda: robot.requests, "a request")
    request = robot.requests[-1]
    robot.failure(
        InferenceFailure(
            request_id=request.request_id,
            epoch=request.epoch,
            policy=request.policy,
            code=InferenceFailure.CODE_OBSERVATION,
            message="stream 'wrist' is missing",
        )
    )
    robot.world.until(lambda: len(robot.requests) > 1, "another request")
    robot.world.until(lambda: robot.states[-1].requests_failed == 1, "the failure is counted")


def test_canceling_brings_the_robot_to_rest(robot: Robot) -> None:
    robot.run()
    robot.handle.cancel_goal_async()
    result = robot.ended()
    assert result.ended == ExecuteTask.Result.ENDED_CANCELED
    assert robot.mode() == ExecutorState.MODE_IDLE
    assert_ends_at_rest(robot.commands[-1])


def test_canceling_while_the_policy_thinks_is_quick(robot: Robot) -> None:
    robot.answers = False
    robot.world.activate(robot.node)
    robot.begin()
    robot.world.until(lambda: robot.requests, "a request")
    robot.handle.cancel_goal_async()
    assert robot.ended().ended == ExecuteTask.Result.ENDED_CANCELED
    robot.answer(robot.requests[-1])  # too late: nothing asked for it any more
    robot.world.until(lambda: robot.mode() == ExecutorState.MODE_IDLE, "idle")
    assert robot.moved() == 0.0


def test_deactivation_in_motion_commands_the_way_to_rest_first(robot: Robot) -> None:
    robot.run()
    robot.node.trigger_deactivate()
    assert robot.node.state_label == "inactive"
    sent = time_ns(robot.commands[-1].header.stamp)
    robot.world.until(lambda: time_ns(robot.commands[-1].header.stamp) > sent, "the last command")
    result = robot.ended()
    assert result.ended == ExecuteTask.Result.ENDED_FAILED and "deactivated" in result.message
    _, _, velocities, _ = trajectory_arrays(robot.commands[-1], CONTRACT.columns)
    assert np.abs(velocities[0]).max() < 0.05, "the newest command is at rest, nearly"
    assert_ends_at_rest(robot.commands[-1])


def test_an_emergency_stop_is_latched_until_reset(robot: Robot) -> None:
    robot.run()
    robot.emergency(EmergencyStop(source="operator", reason="somebody came near"))
    result = robot.ended()
    assert result.ended == ExecuteTask.Result.ENDED_STOPPED
    assert "somebody came near" in result.message
    assert robot.mode() == ExecutorState.MODE_STOPPED
    robot.begin("t2")
    assert "reset it first" in robot.ended().message
    assert robot.world.call(Trigger, "executor/reset").success
    robot.in_mode(ExecutorState.MODE_IDLE, "idle")
    robot.begin("t3")
    robot.in_mode(ExecutorState.MODE_RUNNING, "running")


def test_the_stop_service_stops(robot: Robot) -> None:
    robot.run()
    assert robot.world.call(Trigger, "executor/stop").success
    assert robot.ended().ended == ExecuteTask.Result.ENDED_STOPPED


def test_a_reset_in_motion_ends_the_task(robot: Robot) -> None:
    robot.run()
    assert robot.world.call(Trigger, "executor/reset").success
    assert "reset" in robot.ended().message
    robot.in_mode(ExecutorState.MODE_IDLE, "idle")


def test_stays_still_without_measured_joints(robot: Robot) -> None:
    robot.measures = False
    robot.world.activate(robot.node)
    robot.begin()
    robot.in_mode(ExecutorState.MODE_HOLDING, "holding")
    assert "no measured state" in robot.states[-1].reason
    assert not robot.commands and not robot.requests


def test_the_join_may_change_but_only_to_a_known_one(robot: Robot) -> None:
    good, bad, fixed = robot.node.set_parameters(
        [
            Parameter("join", value="replace"),
            Parameter("join", value="magic"),
            Parameter("lease_s", value=2.0),
        ]
    )
    assert good.successful and not bad.successful and not fixed.successful
    assert "expected one of ['replace', 'blend', " in bad.reason


def test_people_slow_the_robot_down_while_it_moves(robot: Robot) -> None:
    robot.run()
    good, bad = robot.node.set_parameters(
        [Parameter("speed_scale", value=0.3), Parameter("speed_scale", value=1.5)]
    )
    assert good.successful and not bad.successful
    robot.world.until(lambda: robot.states[-1].speed_scale == 0.3, "the speed is 30 %")
    limits = np.array([0.3 * column.velocity for column in CONTRACT.action.columns])
    sent = len(robot.commands)
    robot.world.until(lambda: len(robot.commands) > sent + 20, "slow commands")
    for command in robot.commands[sent + 10 :]:
        assert (np.abs(trajectory_arrays(command, CONTRACT.columns)[2]) <= limits + 1e-6).all()


def test_real_time_chunking_needs_a_policy_that_accepts_a_prefix(robot: Robot) -> None:
    robot.run()
    (refused,) = robot.node.set_parameters([Parameter("join", value="rtc")])
    assert not refused.successful and "does not accept a prefix" in refused.reason
    assert robot.states[-1].join == "blend"
    (changed,) = robot.node.set_parameters([Parameter("join", value="ensemble")])
    assert changed.successful
    robot.world.until(lambda: robot.states[-1].join == "ensemble", "the new join")


def test_a_policy_that_restarts_is_asked_again_at_once(robot: Robot) -> None:
    robot.answers = False
    robot.world.activate(robot.node)
    robot.begin()
    robot.world.until(lambda: robot.requests, "a request")
    robot.tell_policy(ready=False, reason="loading")
    robot.world.until(lambda: len(robot.requests) > 1, "another request, not after 30 s")
    assert robot.states[-1].requests_timed_out == 0


def test_in_shadow_the_commands_go_elsewhere(world: World) -> None:
    robot = Robot(world, shadow=True)
    shadow = world.listen(JointTrajectory, "executor/shadow/arm", qos.COMMAND)
    robot.world.activate(robot.node)
    robot.begin()
    world.until(lambda: len(shadow) > 20, "what would be commanded")
    assert not world.tester.count_publishers("command/joints") and robot.states[-1].shadow


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"contract_files": ("nowhere.yaml",)}, "nowhere.yaml"),
        ({"contract_files": ()}, "expected at least one file"),
        ({"lease_s": 100.0}, "'lease_s'.*got 100.0"),
        ({"mode": "maybe"}, "'mode': expected one of"),
    ],
)
def test_a_wrong_parameter_stops_the_node_at_start(
    world: World, overrides: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Robot(world, **overrides)


def test_the_readme_names_every_parameter_and_interface(world: World) -> None:
    node = Robot(world).node
    readme = Path(__file__).parents[1] / "README.md"
    assert (
        undocumented(node, ExecutorParams, readme, own={"command/joints", "observation/joints"})
        == []
    )


def test_the_node_imports_no_torch() -> None:
    code = "import sys, vla_executor.executor_node; sys.exit('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
