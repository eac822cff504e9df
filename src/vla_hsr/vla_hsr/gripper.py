"""Position or force: what a target of the gripper column becomes in the mode `force`. Pure."""

from __future__ import annotations

# The target must rise by this much above the threshold before a grasp is given up [rad].
HYSTERESIS = 0.1


class GraspChoice:
    """Grasps below a threshold of the commanded opening, positions above it."""

    def __init__(self, below: float) -> None:
        self._below = below
        self._is_grasping = False

    @property
    def is_grasping(self) -> bool:
        """Whether the newest target asks for force."""
        return self._is_grasping

    def begins_grasp(self, target: float) -> bool:
        """Take in a target [rad] and return whether a grasp begins with it."""
        was = self._is_grasping
        self._is_grasping = target < self._below + (HYSTERESIS if was else 0.0)
        return self._is_grasping and not was

    def clear(self) -> None:
        """Forget the grasp, so that the next target below the threshold begins one."""
        self._is_grasping = False
