"""The emulator's parts: controllers as ros2_control's, first-order plant, judge of messages."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from vla_hsr.emulator import judge
from vla_hsr.emulator.controller import Point, TrajectoryController
from vla_hsr.emulator.facts import BASE_TIMEOUT_S, CONTROLLERS, JOINTS, REPORTED
from vla_hsr.emulator.gripper import Gripper
from vla_hsr.emulator.plant import Base, Joints

HEAD = CONTROLLERS["head_trajectory_controller"]


def head() -> TrajectoryController:
    return TrajectoryController(HEAD, [0.0, 0.0])


def test_the_robots_own_orders_are_not_the_contracts() -> None:
    assert HEAD == ("head_tilt_joint", "head_pan_joint")
    assert set(JOINTS) < set(REPORTED)
    assert [name for name in REPORTED if name in JOINTS] != list(JOINTS)


def test_a_controller_sorts_by_name_and_holds_the_last_point() -> None:
    controller = head()
    names = ("head_pan_joint", "head_tilt_joint")
    assert controller.load(names, [Point(1.0, (0.4, -0.2))], 10.0, 10.0) == ""
    controller.update(10.5)
    assert controller.command == pytest.approx([-0.1, 0.2])
    controller.update(30.0)
    assert controller.command == pytest.approx([-0.2, 0.4])
    assert controller.is_done


@pytest.mark.parametrize(
    ("names", "points", "reason"),
    [
        (("head_pan_joint",), [Point(1.0, (0.1,))], "the controller has"),
        (HEAD, [Point(1.0, (0.1,))], "values for 2 joints"),
        (HEAD, [Point(1.0, (0, 0)), Point(1.0, (0, 0))], "not later"),
        (HEAD, [Point(-1.0, (0.1, 0.1))], "in the past"),
    ],
)
def test_a_controller_refuses(names: Any, points: Any, reason: str) -> None:
    assert reason in head().load(names, points, 10.0, 10.0)


def test_a_new_trajectory_replaces_the_old_one_from_the_last_command() -> None:
    controller = head()
    controller.load(HEAD, [Point(1.0, (1.0, 0.0))], 0.0, 0.0)
    controller.update(0.5)
    controller.load(HEAD, [Point(0.5, (0.5, 0.0))], 0.5, 0.5)
    controller.update(0.75)
    assert controller.command[0] == pytest.approx(0.5)


def test_velocities_and_accelerations_make_the_way_between_points_smooth() -> None:
    controller = head()
    still = (0.0, 0.0)
    controller.load(HEAD, [Point(1.0, (1.0, 0.0), still, still)], 0.0, 0.0)
    seen = []
    for tick in range(1, 101):
        controller.update(tick / 100)
        seen.append(controller.command[0])
    steps = [b - a for a, b in zip([0.0, *seen], seen, strict=False)]
    assert seen[49] == pytest.approx(0.5)
    assert max(steps) == pytest.approx(0.01875, rel=0.01)  # 1.875: the peak of a quintic
    assert steps[0] < 1e-4


def test_joints_follow_no_faster_than_the_hardware() -> None:
    joints = Joints({})
    joints.target["arm_lift_joint"] = 0.6
    joints.advance(1.0)
    assert joints.position["arm_lift_joint"] == pytest.approx(0.15, abs=0.001)
    joints.target["arm_lift_joint"] = 9.0
    joints.advance(60.0)
    assert joints.position["arm_lift_joint"] == pytest.approx(0.69)


def test_the_base_forgets_a_velocity_after_half_a_second() -> None:
    base = Base()
    base.command(0.2, 0.0, 0.0, 0.0)
    base.advance(0.5, 0.5)
    assert base.velocity[0] == pytest.approx(0.2, rel=0.01)
    base.advance(1.0, BASE_TIMEOUT_S + 1.0)
    assert abs(base.velocity[0]) < 1e-5


def test_a_grasp_stalls_on_what_it_holds_and_a_trajectory_ends_it() -> None:
    controller = TrajectoryController(("hand_motor_joint",), [1.0])
    gripper = Gripper(controller)
    gripper.blocked_at = 0.3
    gripper.grasp(-0.018)
    gripper.advance(0.1)
    assert controller.command == pytest.approx([0.9])
    assert not gripper.is_stalled
    gripper.advance(5.0)
    assert gripper.is_stalled
    gripper.release()
    assert not gripper.is_stalled


# The judge.


def trajectory(names: Any, *rows: Any) -> Any:
    points = [
        SimpleNamespace(
            positions=row[0],
            velocities=row[1],
            accelerations=(),
            time_from_start=SimpleNamespace(sec=i, nanosec=0),
        )
        for i, row in enumerate(rows)
    ]
    return SimpleNamespace(joint_names=list(names), points=points)


def twist(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Any:
    return SimpleNamespace(
        linear=SimpleNamespace(x=x, y=y, z=z), angular=SimpleNamespace(x=0.0, y=0.0, z=yaw)
    )


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (trajectory(["head_pan_joint"], ([0.0], [0.0])), "joint names"),
        (trajectory(HEAD), "no points"),
        (trajectory(HEAD, ([0.6, 0.0], [0.0, 0.0])), "head_tilt_joint at 0.6"),
        (trajectory(HEAD, ([math.nan, 0.0], [0.0, 0.0])), "head_tilt_joint at nan"),
        (trajectory(HEAD, ([0.0, 0.0], [0.0, 1.5]), ([0.0, 0.0], [0.0, 0.0])), "velocity 1.5"),
        (trajectory(HEAD, ([0.0, 0.0], [0.0, 0.5])), "ends in motion"),
    ],
)
def test_the_judge_names_what_is_wrong_with_a_trajectory(message: Any, said: str) -> None:
    (violation, *_) = judge.trajectory_violations(message, HEAD)
    assert said in violation


def test_the_judge_takes_a_trajectory_in_any_order_of_names() -> None:
    good = trajectory(reversed(HEAD), ([0.1, -0.1], [0.2, 0.2]), ([0.2, 0.0], [0.0, 0.0]))
    assert not list(judge.trajectory_violations(good, HEAD))


def test_the_judge_names_what_is_wrong_with_a_twist_and_an_effort() -> None:
    assert not list(judge.twist_violations(twist(0.24, 0.24, yaw=1.0)))
    assert "linear.z" in next(judge.twist_violations(twist(z=0.1)))
    assert "speed" in next(judge.twist_violations(twist(0.3, 0.3)))
    assert "speed" in next(judge.twist_violations(twist(math.nan)))
    assert "yaw rate" in next(judge.twist_violations(twist(yaw=2.0)))
    assert not list(judge.effort_violations(-0.018))
    assert "effort" in next(judge.effort_violations(-2.0))
