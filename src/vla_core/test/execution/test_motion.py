"""The limiter's traps, each with its name."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruckig import ControlInterface, InputParameter, Ruckig, RuckigError, Trajectory

from vla_core.contract import Contract, parse_contract
from vla_core.errors import ConfigurationError, LimitError
from vla_core.execution.curve import Constant
from vla_core.execution.limiter import Limiter
from vla_core.execution.motion import Axis, resting

MS = 1_000_000
STEP = 20 * MS


@pytest.fixture
def axis(contract: Contract) -> Axis:
    return Axis(contract.action.columns[0], STEP)  # -1 to 1.5 rad, 2 rad/s


def play(axis: Axis, targets: list[Any], start: Any) -> list[Any]:
    """Offer targets one after another; return the states at the ticks."""
    motion, now, states = start, start.origin_ns, []
    for target in targets:
        motion = (
            axis.pass_on(motion, now, target) or axis.rejoin(motion, now, [target] * 13) or motion
        )
        now += STEP
        states.append(motion.at(now))
    return states


def test_ruckig_itself_ignores_position_limits() -> None:
    """The trap that the stop test is for: `max_position` changes nothing."""
    otg, given_, way = Ruckig(1, 0.01), InputParameter(1), Trajectory(1)
    given_.current_position, given_.current_velocity = [0.95], [1.0]
    given_.target_position = [1.0]
    given_.max_velocity, given_.max_acceleration, given_.max_jerk = [2.0], [5.0], [50.0]
    given_.max_position = [1.0]
    otg.calculate(given_, way)
    assert max(way.at_time(t)[0][0] for t in np.linspace(0, way.duration, 200)) > 1.05


AT_THE_LIMIT = """
from types import SimpleNamespace
from vla_core.execution.motion import Axis
column = SimpleNamespace(
    is_position=True, position=(-1.0, 1.5), velocity=2.0, acceleration=12.0, jerk=150.0
)
start = SimpleNamespace(at=lambda _: (0.7211732261741082, 0.41795353493862886, -12.000006))
target = (0.7273870604176804, -0.13042242549940225, -4.824537679935376)
assert Axis(column, 20_000_000).meet(start, 0, target, 2) is not None
"""


def test_a_motion_that_goes_on_at_the_limit_of_the_acceleration_does_not_end_the_process() -> None:
    """A trap: from this state Ruckig 0.19.4 itself ends in a segmentation fault."""
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", AT_THE_LIMIT], check=True, env=found)


def test_ruckig_itself_raises_on_a_target_beyond_the_limits() -> None:
    otg, given_ = Ruckig(1, 0.01), InputParameter(1)
    given_.target_velocity = [3.0]
    given_.max_velocity, given_.max_acceleration, given_.max_jerk = [2.0], [5.0], [50.0]
    with pytest.raises(RuckigError):
        otg.calculate(given_, Trajectory(1))


def test_ruckig_itself_never_catches_a_target_that_moves() -> None:
    """The trap that `rejoin` is for: it arrives where the target was."""
    otg, given_, way = Ruckig(1, 0.02), InputParameter(1), Trajectory(1)
    given_.control_interface = ControlInterface.Position
    given_.max_velocity, given_.max_acceleration, given_.max_jerk = [2.0], [12.0], [150.0]
    given_.current_position, given_.current_velocity = [-0.02], [0.3]
    position = 0.0
    for tick in range(100):
        given_.target_position, given_.target_velocity = [0.3 * 0.02 * (tick + 1)], [0.3]
        otg.calculate(given_, way)
        position, velocity, acceleration = (part[0] for part in way.at_time(0.02))
        given_.current_position, given_.current_velocity = [position], [velocity]
        given_.current_acceleration = [acceleration]
    assert abs(position - 0.3 * 0.02 * 100) > 3e-4, "two seconds later it is still behind"


def test_ours_catches_it(contract: Contract) -> None:
    limiter = Limiter(contract, 0.04)
    limiter.place([-0.02, 0.0, 0.0, 0.5], 0)

    def plan(times: Any) -> Any:
        ramp, zero = 0.3 * times * 1e-9, np.zeros(len(times))
        values = np.stack([ramp, zero, zero, zero + 0.5], axis=1)
        return values, np.stack([zero + 0.3, zero, zero, zero], axis=1), np.zeros(values.shape)

    late = [limiter.follow(plan, tick * STEP) for tick in range(60)]
    assert late[0] == ("lift",) and late[-1] == ()
    assert limiter.state(60 * STEP)[0][0] == pytest.approx(0.3 * 1.2, abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    state=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.8, 0.8), st.floats(-4.0, 4.0)),
    jerks=st.lists(st.floats(-149.0, 149.0), min_size=1, max_size=3),
)
def test_what_is_feasible_passes_unchanged(state: Any, jerks: list[float]) -> None:
    """Any motion inside the limits, even with several jerks within one step."""
    axis = Axis(parse_contract(_one_joint()).action.columns[0], STEP)
    start = axis._towards((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0, 0)
    assert start is not None
    position, velocity, acceleration = state
    begin = _committed(axis, state)
    part = 0.02 / len(jerks)
    for jerk in jerks:
        position += velocity * part + acceleration * part**2 / 2 + jerk * part**3 / 6
        velocity += acceleration * part + jerk * part**2 / 2
        acceleration += jerk * part
    motion = axis.pass_on(begin, 0, (position, velocity, acceleration))
    assert motion is not None
    assert motion.at(STEP) == pytest.approx((position, velocity, acceleration), abs=1e-6)


def _one_joint() -> dict[str, Any]:
    return {
        "robot": "r",
        "observation": {
            "max_age_s": 0.1,
            "max_skew_s": 0.1,
            "state": {"j": {"topic": "j", "type": "sensor_msgs/msg/JointState", "entries": ["a"]}},
        },
        "action": {
            "step_s": 0.02,
            "columns": [
                {
                    "name": "a",
                    "kind": "joint_position",
                    "unit": "rad",
                    "position": [-3.0, 3.0],
                    "velocity": 2.0,
                    "acceleration": 12.0,
                    "jerk": 150.0,
                }
            ],
        },
        "outputs": {
            "o": {
                "topic": "c",
                "type": "std_msgs/msg/Float64MultiArray",
                "columns": ["a"],
                "deadline_s": 0.1,
            }
        },
        "tracking_error": {"limit": 0.5, "duration_s": 0.5},
    }


def _committed(axis: Axis, state: Any) -> Any:
    """Return a motion that is in a state now, on its way to rest."""
    tail = axis._calculate(axis._stop, state, (0.0, 0.0, 0.0))
    assert tail is not None
    from vla_core.execution.motion import Motion

    rest = tail.at_time(tail.duration)[0][0]
    return Motion(0, round(tail.duration * 1e9), rest, 0.0, tail, tail)


@pytest.mark.parametrize("target", [5.0, -5.0, 1.5001, 1e6])
def test_a_target_outside_is_approached_to_the_limit(axis: Axis, target: float) -> None:
    states = play(axis, [(target, 0.0, 0.0)] * 300, resting(0.0, 0))
    positions = [state[0] for state in states]
    assert max(positions) <= 1.5 + 1e-6 and min(positions) >= -1.0 - 1e-6
    assert positions[-1] == pytest.approx(min(max(target, -1.0), 1.5), abs=1e-6)


def test_a_plan_that_runs_into_the_limit_is_stopped_before_it(axis: Axis) -> None:
    """Each target is inside, with a velocity from which no stop inside is possible."""
    ramp = [(min(0.04 * i, 1.499), 2.0 if 0.04 * i < 1.499 else 0.0, 0.0) for i in range(100)]
    states = play(axis, ramp, resting(0.0, 0))
    assert max(state[0] for state in states) <= 1.5 + 1e-6


@pytest.mark.parametrize(
    "target",
    [(0.5, 9.0, 0.0), (0.5, 0.0, 99.0), (0.5, -9.0, 99.0), (0.5, 2.0, 12.0), (0.0, 1e9, -1e9)],
)
def test_impossible_derivatives_never_reach_ruckig(axis: Axis, target: Any) -> None:
    states = play(axis, [target] * 200, resting(0.0, 0))
    assert axis.failures == 0
    assert states[-1][0] == pytest.approx(target[0], abs=1e-6), "it goes there and rests"


def test_without_targets_the_committed_motion_comes_to_rest(axis: Axis) -> None:
    motion = axis.rejoin(resting(0.0, 0), 0, [(1.0, 0.0, 0.0)] * 13)
    assert motion is not None
    for _ in range(3):
        motion = axis.rejoin(motion, motion.origin_ns + STEP, [(1.0, 0.0, 0.0)] * 13) or motion
    moving = motion.at(motion.origin_ns + STEP)
    assert abs(moving[1]) > 0.0
    assert motion.at(motion.rest_ns) == (motion.rest, 0.0, 0.0)
    assert motion.at(motion.rest_ns + 10 * STEP) == (motion.rest, 0.0, 0.0)


def test_a_velocity_column_never_exceeds_its_value_rate_and_jerk(contract: Contract) -> None:
    column = contract.action.columns[2]
    axis = Axis(column, STEP)
    wild = np.random.default_rng(3).uniform(-2.0, 2.0, 400)
    states = np.array(play(axis, [(v, 0.0, 0.0) for v in np.repeat(wild, 5)], resting(0.0, 0)))
    assert np.abs(states[:, 1]).max() <= column.velocity * (1 + 1e-6)
    assert np.abs(states[:, 2]).max() <= column.acceleration * (1 + 1e-6)
    assert (np.abs(np.diff(states[:, 2])) / 0.02).max() <= column.jerk * (1 + 1e-6)


def test_nan_is_refused_and_changes_nothing(contract: Contract) -> None:
    limiter = Limiter(contract, 0.04)
    limiter.place([0.1, 0.2, 0.0, 0.5], 0)
    with pytest.raises(LimitError, match="the target of 'turn' is not a finite number"):
        limiter.follow(Constant(np.array([0.0, np.nan, 0.0, 0.0])).sample, 0)
    assert limiter.state(STEP)[0] == pytest.approx([0.1, 0.2, 0.0, 0.5])


def test_a_command_ends_at_rest_with_points_as_far_apart_as_asked(contract: Contract) -> None:
    limiter = Limiter(contract, 0.04)
    limiter.place([0.0, 0.0, 0.0, 0.5], 0)
    for tick in range(10):
        limiter.follow(Constant(np.array([1.0, 1.0, 0.4, 0.9])).sample, tick * STEP)
    command = limiter.command(10 * STEP)
    assert command.times_ns[0] == STEP
    assert np.diff(command.times_ns)[:5].tolist() == [STEP] * 5
    assert set(np.diff(command.times_ns)[5:]) == {40 * MS}
    assert np.abs(command.velocities[0]).max() > 0.1
    assert not command.velocities[-1].any() and not command.accelerations[-1].any()


def test_a_robot_at_rest_is_told_one_point(contract: Contract) -> None:
    limiter = Limiter(contract, 0.04)
    limiter.place([0.0, 0.0, 0.0, 0.5], 0)
    assert len(limiter.command(0).times_ns) == 1


def test_a_workspace_needs_kinematics(raw: dict[str, Any]) -> None:
    raw["action"]["workspace"] = {"frame": "base", "lower": [-1.0] * 3, "upper": [1.0] * 3}
    with pytest.raises(ConfigurationError, match=r"action\.workspace needs forward kinematics"):
        Limiter(parse_contract(raw), 0.04)


def test_a_motion_that_would_leave_the_workspace_is_not_begun(raw: dict[str, Any]) -> None:
    raw["action"]["workspace"] = {"frame": "base", "lower": [-1.0] * 3, "upper": [0.3, 1.0, 1.0]}

    def tip(positions: Any) -> Any:
        return positions[:, :3] * np.array([1.0, 0.0, 0.0])  # x is the lift

    limiter = Limiter(parse_contract(raw), 0.04, tip)
    limiter.place([0.0, 0.0, 0.0, 0.5], 0)
    late = [
        limiter.follow(Constant(np.array([1.0, 0.0, 0.0, 0.5])).sample, tick * STEP)
        for tick in range(100)
    ]
    reached = [limiter.state(tick * STEP)[0][0] for tick in range(200)]
    assert 0.1 < max(reached) <= 0.3
    assert late[-1] == ("lift", "turn", "drive", "gripper")
