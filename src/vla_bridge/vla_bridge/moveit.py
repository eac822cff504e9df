"""MoveIt, where it runs: a plan to a pose, and whether a pose is free of collisions.

Through the MoveGroup action and the GetStateValidity service, which every release has; nothing is
executed by MoveIt, so the bridge stays the only one that commands. Refused with a sentence where
moveit_msgs is not installed or MoveIt is not running.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.action import ActionClient
from rclpy.node import Node

from vla_core.errors import NotReadyError
from vla_ros.stamps import duration_ns

Array = NDArray[np.float64]

SUCCESS = 1  # moveit_msgs/MoveItErrorCodes
FOUND_WITHIN_S = 2.0
PLANNED_WITHIN_S = 10.0
TOLERANCE = 0.01  # of each joint at the goal [rad, m]


def messages() -> Any:
    """Return the classes of moveit_msgs that are used here.

    Raises:
        NotReadyError: moveit_msgs is not installed.
    """
    try:
        msg = importlib.import_module("moveit_msgs.msg")
        action = importlib.import_module("moveit_msgs.action")
        srv = importlib.import_module("moveit_msgs.srv")
    except ImportError as error:
        raise NotReadyError(
            f"moveit_msgs is not installed ({error}): apt install ros-$ROS_DISTRO-moveit, "
            "or home without MoveIt (method 'slow')"
        ) from error
    return SimpleNamespace(
        MoveGroup=action.MoveGroup,
        GetStateValidity=srv.GetStateValidity,
        Constraints=msg.Constraints,
        JointConstraint=msg.JointConstraint,
    )


def plan_goal(
    kinds: Any, group: str, names: Sequence[str], positions: Sequence[float], share: float
) -> Any:
    """Return the goal that plans, and only plans, to a pose at a share of the speed."""
    goal = kinds.MoveGroup.Goal()
    goal.request.group_name = group
    goal.request.num_planning_attempts = 3
    goal.request.allowed_planning_time = PLANNED_WITHIN_S / 2
    goal.request.max_velocity_scaling_factor = share
    goal.request.max_acceleration_scaling_factor = share
    goal.request.goal_constraints = [
        kinds.Constraints(
            joint_constraints=[
                kinds.JointConstraint(
                    joint_name=name,
                    position=float(position),
                    tolerance_above=TOLERANCE,
                    tolerance_below=TOLERANCE,
                    weight=1.0,
                )
                for name, position in zip(names, positions, strict=True)
            ]
        )
    ]
    goal.planning_options.plan_only = True
    return goal


def plan_arrays(
    trajectory: Any, names: Sequence[str], measured: Sequence[float]
) -> tuple[Array, Array]:
    """Return times (K,) [s] and positions (K, A) of a plan; joints it leaves out stay."""
    times = np.array([duration_ns(p.time_from_start) * 1e-9 for p in trajectory.points])
    points = np.tile(np.asarray(measured, np.float64), (len(times), 1))
    for column, joint in enumerate(trajectory.joint_names):
        if joint in names:
            where = list(names).index(joint)
            points[:, where] = [point.positions[column] for point in trajectory.points]
    return times, points


class MoveIt:
    """One move_group. Every call blocks until its deadline: not from a callback.

    Raises:
        NotReadyError: moveit_msgs is not installed.
    """

    def __init__(self, node: Node, group: str, action: str, validity: str) -> None:
        self._node, self._group = node, group
        self._kinds = messages()
        self._action = ActionClient(node, self._kinds.MoveGroup, action)
        self._validity = node.create_client(self._kinds.GetStateValidity, validity)
        self._action_name, self._validity_name = action, validity

    def plan(
        self,
        names: Sequence[str],
        goal: Sequence[float],
        measured: Sequence[float],
        share: float,
    ) -> tuple[Array, Array]:
        """Return a collision-free plan to ``goal`` as times (K,) and positions (K, A).

        Raises:
            NotReadyError: MoveIt is not running, does not answer or finds no plan.
        """
        if not self._action.wait_for_server(timeout_sec=FOUND_WITHIN_S):
            raise NotReadyError(f"MoveIt is not running: nobody serves '{self._action_name}'")
        request = plan_goal(self._kinds, self._group, names, goal, share)
        handle = _result(self._action.send_goal_async(request), "MoveIt took no goal")
        if not handle.accepted:
            raise NotReadyError(f"MoveIt refused the goal for group '{self._group}'")
        result = _result(handle.get_result_async(), "MoveIt found no plan").result
        if result.error_code.val != SUCCESS:
            raise NotReadyError(
                f"MoveIt found no plan for group '{self._group}': error {result.error_code.val}"
            )
        return plan_arrays(result.planned_trajectory.joint_trajectory, names, measured)

    def why_invalid(self, names: Sequence[str], positions: Sequence[float]) -> str:
        """Say what a pose collides with; empty: it is valid.

        Raises:
            NotReadyError: MoveIt is not running, or does not answer.
        """
        if not self._validity.wait_for_service(timeout_sec=FOUND_WITHIN_S):
            raise NotReadyError(f"MoveIt is not running: nobody serves '{self._validity_name}'")
        request = self._kinds.GetStateValidity.Request()
        request.group_name = self._group
        request.robot_state.is_diff = True  # joints that are not named: as MoveIt knows them
        request.robot_state.joint_state.name = list(names)
        request.robot_state.joint_state.position = [float(p) for p in positions]
        answer = _result(self._validity.call_async(request), "MoveIt did not judge the pose")
        if answer.valid:
            return ""
        pairs = sorted({f"{c.contact_body_1} and {c.contact_body_2}" for c in answer.contacts})
        return f"contact between {', '.join(pairs)}" if pairs else "MoveIt calls it invalid"


def _result(future: Any, missing: str) -> Any:
    """Wait in a thread of our own for what the node's executor settles."""
    end = time.monotonic() + PLANNED_WITHIN_S
    while not future.done():
        if time.monotonic() > end:
            raise NotReadyError(f"{missing} within {PLANNED_WITHIN_S:g} s")
        time.sleep(0.01)
    return future.result()
