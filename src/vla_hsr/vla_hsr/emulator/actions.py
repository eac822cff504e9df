"""The robot's actions: trajectories of the three controllers, grasp and force of the gripper.

A goal runs as a coroutine that waits for the robot's tick to settle it, so nothing blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future
from tmc_control_msgs.action import GripperApplyEffort

from vla_hsr.emulator import judge
from vla_hsr.emulator.facts import CONTROLLERS

if TYPE_CHECKING:
    from vla_hsr.emulator.emulator_node import EmulatorNode

REACHED = 0.02  # [rad, m]


class Actions:
    """Serves the actions of one emulated robot."""

    def __init__(self, robot: EmulatorNode, prefix: str) -> None:
        self._robot = robot
        self._waiting: list[tuple[Callable[[], str], Future]] = []
        for key in CONTROLLERS:
            self._serve(
                FollowJointTrajectory,
                f"{prefix}{key}/follow_joint_trajectory",
                partial(self._follow, key),
            )
        for name in ("grasp", "apply_force"):
            self._serve(GripperApplyEffort, f"{prefix}gripper_controller/{name}", self._grasp)

    def update(self) -> None:
        """Settle the goals that are done; called once per tick."""
        for outcome, future in list(self._waiting):
            ended = outcome()
            if ended:
                self._waiting.remove((outcome, future))
                future.set_result(ended)

    def _serve(self, kind: Any, name: str, execute: Callable[[Any], Any]) -> None:
        ActionServer(
            self._robot,
            kind,
            name,
            execute,
            goal_callback=lambda _: GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    async def _until(self, outcome: Callable[[], str]) -> str:
        future = Future()
        self._waiting.append((outcome, future))
        return str(await future)

    async def _follow(self, key: str, handle: Any) -> FollowJointTrajectory.Result:
        robot, trajectory = self._robot, handle.request.trajectory
        robot.judge(key, judge.trajectory_violations(trajectory, CONTROLLERS[key]))
        result = FollowJointTrajectory.Result()
        problem = robot.play(key, trajectory)
        if problem:
            result.error_code = FollowJointTrajectory.Result.INVALID_GOAL
            result.error_string = problem
            handle.abort()
            return result
        controller = robot.controllers[key]

        def outcome() -> str:
            if handle.is_cancel_requested:
                controller.load(controller.joints, [], 0.0, 0.0)
                return "cancelled"
            here = [robot.joints.position[joint] for joint in controller.joints]
            gaps = [abs(a - b) for a, b in zip(here, controller.command, strict=True)]
            return "done" if controller.is_done and max(gaps) < REACHED else ""

        if await self._until(outcome) == "cancelled":
            handle.canceled()
        else:
            handle.succeed()
        return result

    async def _grasp(self, handle: Any) -> GripperApplyEffort.Result:
        robot, effort = self._robot, handle.request.effort
        robot.judge("grasp", judge.effort_violations(effort))
        gripper = robot.gripper
        gripper.grasp(effort)

        def outcome() -> str:
            if handle.is_cancel_requested:
                gripper.release()
                return "cancelled"
            if not gripper.is_grasping:
                return "replaced"
            return "stalled" if gripper.is_stalled else ""

        ended = await self._until(outcome)
        if ended == "cancelled":
            handle.canceled()
        elif ended == "replaced":
            handle.abort()
        else:
            handle.succeed()
        return GripperApplyEffort.Result(effort=effort, stalled=ended == "stalled")
