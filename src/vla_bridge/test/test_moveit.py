"""Goals for MoveIt and plans from it, in messages of the same shape; refusals without it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_bridge import moveit
from vla_core.errors import NotReadyError

NAMES = ("lift", "flex", "hand")


def same_shape() -> Any:
    """Return stand-ins with the fields of moveit_msgs that are used."""

    class Goal(SimpleNamespace):
        def __init__(self) -> None:
            super().__init__(request=SimpleNamespace(), planning_options=SimpleNamespace())

    return SimpleNamespace(
        MoveGroup=SimpleNamespace(Goal=Goal),
        Constraints=SimpleNamespace,
        JointConstraint=SimpleNamespace,
    )


def test_a_goal_only_plans_slowly_to_every_joint() -> None:
    goal = moveit.plan_goal(same_shape(), "whole_body", NAMES, [0.1, -0.2, 0.3], 0.2)
    assert goal.planning_options.plan_only is True
    assert goal.request.group_name == "whole_body"
    assert goal.request.max_velocity_scaling_factor == 0.2
    (constraints,) = goal.request.goal_constraints
    found = {c.joint_name: c.position for c in constraints.joint_constraints}
    assert found == {"lift": 0.1, "flex": -0.2, "hand": 0.3}
    assert all(c.tolerance_above == c.tolerance_below > 0 for c in constraints.joint_constraints)


def test_a_plan_is_sorted_by_name_and_leaves_other_joints_where_they_are() -> None:
    points = [
        JointTrajectoryPoint(positions=[9.0, -0.1], time_from_start=Duration(sec=0)),
        JointTrajectoryPoint(positions=[9.0, -0.2], time_from_start=Duration(sec=1)),
    ]
    plan = JointTrajectory(joint_names=["odom_x", "flex"], points=points)
    times, positions = moveit.plan_arrays(plan, NAMES, [0.1, 0.0, 0.3])
    np.testing.assert_allclose(times, [0.0, 1.0])
    np.testing.assert_allclose(positions, [[0.1, -0.1, 0.3], [0.1, -0.2, 0.3]])


def test_absent_messages_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moveit_msgs", None)
    with pytest.raises(NotReadyError, match=r"moveit_msgs is not installed.*method 'slow'"):
        moveit.messages()


def test_a_moveit_that_does_not_run_is_refused_by_the_name_of_its_action(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = SimpleNamespace(
        wait_for_server=lambda timeout_sec: False, wait_for_service=lambda timeout_sec: False
    )
    kinds = SimpleNamespace(MoveGroup=None, GetStateValidity=None)
    monkeypatch.setattr(moveit, "messages", lambda: kinds)
    monkeypatch.setattr(moveit, "ActionClient", lambda *_: waits)
    node: Any = SimpleNamespace(create_client=lambda *_: waits)
    planner = moveit.MoveIt(node, "arm", "/move_action", "/check_state_validity")
    with pytest.raises(NotReadyError, match="not running: nobody serves '/move_action'"):
        planner.plan(NAMES, [0.0] * 3, [0.0] * 3, 0.2)
    with pytest.raises(NotReadyError, match="nobody serves '/check_state_validity'"):
        planner.why_invalid(NAMES, [0.0] * 3)


def test_a_pose_in_contact_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = SimpleNamespace(contact_body_1="hand_palm_link", contact_body_2="table")
    answer = SimpleNamespace(valid=False, contacts=[contact, contact])
    asked: list[Any] = []

    def call(request: Any) -> Any:
        asked.append(request)
        return SimpleNamespace(done=lambda: True, result=lambda: answer)

    class Request(SimpleNamespace):
        def __init__(self) -> None:
            super().__init__(robot_state=SimpleNamespace(joint_state=SimpleNamespace()))

    kinds = SimpleNamespace(MoveGroup=None, GetStateValidity=SimpleNamespace(Request=Request))
    monkeypatch.setattr(moveit, "messages", lambda: kinds)
    monkeypatch.setattr(moveit, "ActionClient", lambda *_: None)
    client = SimpleNamespace(wait_for_service=lambda timeout_sec: True, call_async=call)
    node: Any = SimpleNamespace(create_client=lambda *_: client)
    judge = moveit.MoveIt(node, "arm", "/move_action", "/check_state_validity")
    assert judge.why_invalid(NAMES, [0.1, 0.2, 0.3]) == (
        "contact between hand_palm_link and table"
    )
    assert asked[0].robot_state.joint_state.name == list(NAMES)
    answer.valid = True
    assert judge.why_invalid(NAMES, [0.1, 0.2, 0.3]) == ""
