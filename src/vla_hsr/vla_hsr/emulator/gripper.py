"""The hand: follows its trajectory, or closes with an effort until something is between it."""

from __future__ import annotations

from vla_hsr.emulator.controller import TrajectoryController
from vla_hsr.emulator.facts import JOINTS

CLOSING = 1.0  # rad/s while it grasps
HAND = "hand_motor_joint"


class Gripper:
    """Position by trajectory or force by effort; a trajectory ends a grasp, as in the vendor's."""

    def __init__(self, controller: TrajectoryController) -> None:
        self.controller = controller
        self.blocked_at = JOINTS[HAND].lower  # [rad] what is grasped stops the hand here
        self.effort = 0.0
        self._is_grasping = False

    @property
    def is_grasping(self) -> bool:
        """Whether an effort is applied."""
        return self._is_grasping

    @property
    def is_stalled(self) -> bool:
        """Whether the hand closes and cannot go on."""
        return self._is_grasping and self.controller.command[0] <= self.blocked_at + 1e-9

    def grasp(self, effort: float) -> None:
        """Close, or open for a positive effort, with this effort."""
        self.effort, self._is_grasping = effort, True

    def release(self) -> None:
        """End the grasp where it is."""
        self.effort, self._is_grasping = 0.0, False

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if not self._is_grasping:
            return
        direction = 1.0 if self.effort > 0 else -1.0
        wanted = self.controller.command[0] + direction * CLOSING * seconds
        self.controller.command[0] = min(max(wanted, self.blocked_at), JOINTS[HAND].upper)
