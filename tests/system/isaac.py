"""Speaks as Isaac Sim's ROS 2 bridge does, for an SO-101: no physics, joints that follow.

Names and types are those of its documentation; it has not been compared with the real one.
"""

from __future__ import annotations

import time

import numpy as np
import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from vla_ros.images import image_msg
from vla_ros.joints import joint_state_msg
from vla_ros.stamps import time_msg

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
START = (0.0, -1.2, 0.8, 1.4, 0.0, 0.3)
STEP_S = 1 / 60
LAG_S = 0.05  # of the drives
EVERY = 3  # steps per picture


class Isaac(Node):
    """Six drives, one camera, one clock."""

    def __init__(self) -> None:
        super().__init__("isaac")
        self.positions, self.goals = np.array(START), np.array(START)
        self._clock = self.create_publisher(Clock, "/clock", 10)
        self._joints = self.create_publisher(JointState, "/joint_states", 10)
        self._pictures = self.create_publisher(Image, "/front/rgb", 10)
        self.create_subscription(JointState, "/joint_command", self._on_command, 10)
        self._picture = np.full((480, 640, 3), 90, np.uint8)
        self._steps = 0

    def step(self) -> None:
        """Advance by one step of physics and tell all."""
        self.positions += (self.goals - self.positions) * min(1.0, STEP_S / LAG_S)
        self._steps += 1
        now_ns = round(self._steps * STEP_S * 1e9)
        self._clock.publish(Clock(clock=time_msg(now_ns)))
        # The order of a stage's joints is not the contract's.
        order = np.arange(len(JOINTS))[::-1]
        names = [JOINTS[i] for i in order]
        self._joints.publish(joint_state_msg(now_ns, names, self.positions[order]))
        if self._steps % EVERY == 0:
            self._pictures.publish(image_msg(self._picture, now_ns, "front"))

    def _on_command(self, msg: JointState) -> None:
        for name, goal in zip(msg.name, msg.position, strict=True):
            self.goals[JOINTS.index(name)] = goal


def main() -> None:
    """Run in real time until killed."""
    rclpy.init()
    node = Isaac()
    due = time.monotonic()
    while rclpy.ok():
        node.step()
        due = max(due + STEP_S, time.monotonic() - 0.1)
        while (left := due - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)


if __name__ == "__main__":
    main()
