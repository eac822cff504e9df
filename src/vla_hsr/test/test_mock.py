"""Policy, executor, bridge and emulator over DDS: what arrives at the robot, and how it stops.

One graph for all; each test breaks something in full motion and looks at the robot's side, where
every message is judged. What is allowed: the contract's deadline, the braking that the limits need
and the emulated servos' lag.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest
from arena import ROOT, Arena, arena

from vla_core.errors import VlaError
from vla_interfaces.msg import ExecutorState
from vla_testing.tables import SafeStops

LAG_S = 0.4  # of the emulated servos and base down to what counts as rest, and a busy machine's
STOPPED = ExecutorState.MODE_STOPPED
STOPS = SafeStops("src/vla_hsr/test/test_mock.py")


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The running graph, with a gripper that grasps."""
    pytest.importorskip("control_msgs")
    pytest.importorskip("tmc_control_msgs")
    folder = tmp_path_factory.mktemp("hsr")
    # A busy machine may starve the emulator for a second.
    bridge = {"gripper_mode": "force", "stop_silence_s": 5.0}
    with arena(folder, (os.getpid() + 50) % 100 + 1, **bridge) as running:
        yield running
    STOPS.write(ROOT)


def check_rest(robot: Arena, event: str, at_ns: int, also_s: float = 0.0) -> None:
    """Assert that arm and base are at rest in time; ``also_s`` may be played before."""
    rest = robot.rest_after(at_ns)
    for part, output in (("arm", "arm"), ("base", "base")):
        deadline_s = robot.contract.outputs[output].deadline_s
        allowed = deadline_s + robot.braking_s(output) + LAG_S + also_s
        STOPS.judge(event, part, rest[part], allowed)


def test_every_column_arrives_in_the_vendors_type_and_range(robot: Arena) -> None:
    robot.recover()
    expected = dict.fromkeys(
        ("arm_trajectory_controller", "head_trajectory_controller", "omni_base_controller"), 50
    )
    # The gripper's trajectories pause while it grasps.
    expected |= {"gripper_controller": 10, "grasp": 1}
    robot.until(
        lambda: all(int(robot.messages.get(k, 0)) >= n for k, n in expected.items()),
        25.0,
        f"expected {expected} messages, the robot got {robot.messages}",
    )
    assert not robot.violations


@pytest.mark.parametrize("process", ["executor", "policy"])
def test_a_killed_process_leaves_arm_and_base_at_rest(robot: Arena, process: str) -> None:
    robot.recover()
    # What is planned is still played without a policy: that is the safety net of a long chunk.
    planned_s = 2.0 if process == "policy" else 0.0
    check_rest(robot, f"{process} killed", robot.kill(process), planned_s)
    robot.session.state = None
    robot.until(lambda: robot.session.state is not None, 60.0, f"no new {process} came")


@pytest.mark.parametrize("button", ["runstop_button", "base_f_bumper_sensor"])
def test_a_pressed_button_stops_until_it_is_released_and_reset(robot: Arena, button: str) -> None:
    robot.recover()
    check_rest(robot, f"{button} pressed", robot.press(button))
    robot.until(lambda: robot.state.mode == STOPPED, 5.0, "the executor was not told")
    assert button in robot.state.reason
    with pytest.raises(VlaError, match="pressed"):
        robot.client.reset()
    robot.press(button, False)


def test_a_killed_bridge_leaves_arm_and_base_at_rest(robot: Arena) -> None:
    robot.recover()
    check_rest(robot, "bridge killed", robot.kill("bridge"))


@pytest.mark.parametrize("method", ["slow", "safe_pose"])
def test_homing_is_refused_while_a_task_runs_and_else_ends_at_the_home_pose(
    robot: Arena, method: str
) -> None:
    robot.recover()
    with pytest.raises(VlaError, match="a task is running"):
        robot.home(method)
    at = time.time_ns()
    robot.client.stop()
    check_rest(robot, "./vla stop", at)
    robot.until(lambda: robot.state.mode == STOPPED, 5.0, "not stopped")
    with pytest.raises(VlaError, match="the bridge is stopped"):
        robot.home(method)
    robot.until(robot.is_reset, 20.0, "not reset")
    robot.until(lambda: robot.state.mode == ExecutorState.MODE_IDLE, 20.0, "not idle")
    began = robot.now_ns
    assert robot.home(method) == "home"
    home = robot.contract.home
    for name in ("arm_lift_joint", "arm_flex_joint", "wrist_flex_joint", "head_pan_joint"):
        assert robot.joints[name] == pytest.approx(home[name], abs=0.05)
    print(f"homing with '{method}': {(robot.now_ns - began) / 1e9:.1f} s")


@pytest.mark.parametrize(
    ("method", "reason"),
    [("moveit", "MoveIt|moveit_msgs"), ("hsrb_interface", "hsrb_interface.*not installed")],
)
def test_homing_with_what_is_not_there_fails_with_the_reason(
    robot: Arena, method: str, reason: str
) -> None:
    robot.until(robot.is_reset, 20.0, "not reset")
    robot.until(lambda: robot.state.mode == ExecutorState.MODE_IDLE, 20.0, "not idle")
    assert re.match(f"failed: .*({reason})", robot.home(method))


def test_nothing_that_arrived_in_all_this_was_wrong(robot: Arena) -> None:
    assert not robot.violations
    assert int(robot.messages["violations"]) == 0
