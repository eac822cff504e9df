"""The emulated robot as a node: what `ros2 topic list` shows on an HSR, as far as we use it.

Beside the robot's own topics it has switches for tests below ``~/``: one service per stop button
and bumper. The emulated robot does not stop by itself when one is pressed, so that what is seen is
what the bridge does.
"""

from __future__ import annotations

import math
import sys
import time
from functools import partial
from typing import Any

import rclpy
from control_msgs.msg import JointTrajectoryControllerState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_hsr.emulator import facts, judge
from vla_hsr.emulator.actions import Actions
from vla_hsr.emulator.controller import Point, TrajectoryController
from vla_hsr.emulator.gripper import Gripper
from vla_hsr.emulator.pictures import test_picture
from vla_hsr.emulator.plant import Base, Joints

RATE_HZ = 100.0
# Each is published on every so many ticks.
ODOM_TICKS, STOP_TICKS, PICTURE_TICKS, REPORT_TICKS = 2, 10, 6, 100
# The pose in which the emulated robot is switched on [m, rad].
START = {"arm_flex_joint": -0.3, "wrist_flex_joint": -1.2, "hand_motor_joint": 0.5}


class EmulatorNode(Node):
    """Controllers, joints and base in real time; every message in is judged."""

    def __init__(self, **options: Any) -> None:
        super().__init__("emulator", **options)
        self._prefix = self.declare_parameter("prefix", "/").value
        self.declare_parameter("pictures", True)  # may change while it runs: cameras get lost
        self.joints, self.base = Joints(START), Base()
        self.controllers = {
            name: TrajectoryController(joints, [self.joints.position[j] for j in joints])
            for name, joints in facts.CONTROLLERS.items()
        }
        self.gripper = Gripper(self.controllers["gripper_controller"])
        self._pressed = dict.fromkeys(facts.STOP_TOPICS, False)
        self._received: dict[str, int] = {}
        self._violated = 0
        self._ticks, self._last_s = 0, time.monotonic()
        self._wheels = [0.0, 0.0, 0.0]  # left, right, steering [rad]
        self._open_outputs()
        self._open_inputs()
        self.actions = Actions(self, self._prefix)
        self.create_timer(
            1 / RATE_HZ, self._on_tick, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    # Set-up.

    def _open_outputs(self) -> None:
        name = self._prefix.__add__
        self._states = self.create_publisher(JointState, name("joint_states"), 10)
        self._odometry = self.create_publisher(
            Odometry, name("omni_base_controller/wheel_odom"), 10
        )
        self._controller_states = {
            key: self.create_publisher(
                JointTrajectoryControllerState, name(f"{key}/controller_state"), 10
            )
            for key in self.controllers
        }
        self._buttons = {
            key: self.create_publisher(Bool, name(key), 10) for key in facts.STOP_TOPICS
        }
        self._cameras = {
            key: self.create_publisher(
                CompressedImage, name(f"{key}/compressed"), qos_profile_sensor_data
            )
            for key in facts.CAMERAS
        }
        self._jpegs = {key: test_picture(*size) for key, size in facts.CAMERAS.items()}
        self._violations = self.create_publisher(String, "~/violations", 50)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def _open_inputs(self) -> None:
        name = self._prefix.__add__
        for key in self.controllers:
            self.create_subscription(
                JointTrajectory,
                name(f"{key}/joint_trajectory"),
                partial(self._on_trajectory, key),
                qos_profile_sensor_data,
            )
        self.create_subscription(
            Twist, name("omni_base_controller/cmd_vel"), self._on_twist, qos_profile_sensor_data
        )
        self.create_subscription(
            JointState, name("safe_pose_changer/joint_reference"), self._on_reference, 10
        )
        for key in facts.STOP_TOPICS:
            self.create_service(SetBool, f"~/{key}", partial(self._on_press, key))

    # What the robot is told.

    def _on_trajectory(self, key: str, message: JointTrajectory) -> None:
        self.judge(key, judge.trajectory_violations(message, facts.CONTROLLERS[key]))
        problem = self.play(key, message)
        if problem:
            self.get_logger().error(f"{key} refuses a trajectory: {problem}")

    def play(self, key: str, message: JointTrajectory) -> str:
        """Hand a trajectory to a controller; return why it is refused."""
        if key == "gripper_controller":
            self.gripper.release()
        now, stamp = time.monotonic(), message.header.stamp
        start = now
        if stamp.sec or stamp.nanosec:
            late = self.get_clock().now().nanoseconds * 1e-9 - stamp.sec - stamp.nanosec * 1e-9
            start = now - late
        points = [
            Point(
                p.time_from_start.sec + p.time_from_start.nanosec * 1e-9,
                tuple(p.positions),
                tuple(p.velocities),
                tuple(p.accelerations),
            )
            for p in message.points
        ]
        return self.controllers[key].load(message.joint_names, points, start, now)

    def _on_twist(self, message: Twist) -> None:
        self.judge("omni_base_controller", judge.twist_violations(message))
        self.base.command(message.linear.x, message.linear.y, message.angular.z, time.monotonic())

    def _on_reference(self, message: JointState) -> None:
        """Go to a pose as the vendor's safe pose changer does, without its collision check."""
        self._received["safe_pose_changer"] = self._received.get("safe_pose_changer", 0) + 1
        wanted = dict(zip(message.name, message.position, strict=True))
        for key, controller in self.controllers.items():
            goal = [
                wanted.get(j, c)
                for j, c in zip(controller.joints, controller.command, strict=True)
            ]
            seconds = max(
                abs(g - c) / (0.5 * facts.JOINTS[j].velocity)
                for g, c, j in zip(goal, controller.command, controller.joints, strict=True)
            )
            point = Point(max(seconds, 0.1), goal, [0.0] * len(goal))
            now = time.monotonic()
            self.controllers[key].load(controller.joints, [point], now, now)

    def _on_press(
        self, key: str, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        self.press(key, request.data)
        response.success, response.message = True, f"{key}: {request.data}"
        return response

    def press(self, key: str, pressed: bool) -> None:
        """Press or release a button or bumper."""
        self._pressed[key] = pressed
        self._buttons[key].publish(Bool(data=pressed))

    def judge(self, what: str, violations: Any) -> None:
        """Count one message, and tell what is wrong with it."""
        self._received[what] = self._received.get(what, 0) + 1
        for violation in violations:
            self._violated += 1
            self._violations.publish(String(data=f"{what}: {violation}"))
            self.get_logger().error(f"{what}: {violation}")

    # What the robot does and tells.

    def _on_tick(self) -> None:
        now = time.monotonic()
        seconds, self._last_s = min(now - self._last_s, 0.5), now
        for controller in self.controllers.values():
            controller.update(now)
            self.joints.target.update(zip(controller.joints, controller.command, strict=True))
        self.gripper.advance(seconds)
        self.joints.advance(seconds)
        self.base.advance(seconds, now)
        self._turn_wheels(seconds)
        self._ticks += 1
        self._publish()
        self.actions.update()

    def _turn_wheels(self, seconds: float) -> None:
        x, y, yaw = self.base.velocity
        self._wheels[0] += (x - y) / 0.04 * seconds
        self._wheels[1] += (x + y) / 0.04 * seconds
        self._wheels[2] += yaw * seconds

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        self._publish_joints(stamp)
        if self._ticks % ODOM_TICKS == 0:
            self._publish_odometry(stamp)
            self._publish_controllers(stamp)
        if self._ticks % STOP_TICKS == 0:
            for key, publisher in self._buttons.items():
                publisher.publish(Bool(data=self._pressed[key]))
        if self._ticks % PICTURE_TICKS == 0 and self.get_parameter("pictures").value:
            for key, publisher in self._cameras.items():
                if publisher.get_subscription_count():
                    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
                    message.header.stamp = stamp
                    message.data = self._jpegs[key]
                    publisher.publish(message)
        if self._ticks % REPORT_TICKS == 0:
            self._report(stamp)

    def _publish_joints(self, stamp: Any) -> None:
        message = JointState(name=list(facts.REPORTED))
        message.header.stamp = stamp
        passive = {
            "base_l_drive_wheel_joint": self._wheels[0],
            "base_r_drive_wheel_joint": self._wheels[1],
            "base_roll_joint": self._wheels[2],
        }
        known = {**passive, **self.joints.position}
        message.position = [known.get(name, 0.0) for name in facts.REPORTED]
        message.velocity = [self.joints.velocity.get(name, 0.0) for name in facts.REPORTED]
        message.effort = [
            self.gripper.effort if name == "hand_motor_joint" else 0.0 for name in facts.REPORTED
        ]
        self._states.publish(message)

    def _publish_odometry(self, stamp: Any) -> None:
        message = Odometry(child_frame_id="base_footprint_wheel")
        message.header.stamp, message.header.frame_id = stamp, "odom"
        x, y, yaw = self.base.pose
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation.z = math.sin(yaw / 2)
        message.pose.pose.orientation.w = math.cos(yaw / 2)
        twist = message.twist.twist
        twist.linear.x, twist.linear.y, twist.angular.z = self.base.velocity
        self._odometry.publish(message)

    def _publish_controllers(self, stamp: Any) -> None:
        for key, controller in self.controllers.items():
            message = JointTrajectoryControllerState(joint_names=list(controller.joints))
            message.header.stamp = stamp
            message.reference = message.desired = JointTrajectoryPoint(
                positions=controller.command
            )
            message.feedback = message.actual = JointTrajectoryPoint(
                positions=[self.joints.position[j] for j in controller.joints]
            )
            self._controller_states[key].publish(message)

    def _report(self, stamp: Any) -> None:
        values = {**self._received, "violations": self._violated}
        status = DiagnosticStatus(
            level=DiagnosticStatus.ERROR if self._violated else DiagnosticStatus.OK,
            name=f"{self.get_fully_qualified_name().lstrip('/')}: messages",
            message=f"{self._violated} violations",
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = stamp
        self._diagnostics.publish(message)


def main() -> int:
    """Run the node as a process, until a signal."""
    rclpy.init()
    node = EmulatorNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
