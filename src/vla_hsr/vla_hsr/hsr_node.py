"""The bridge to a Toyota HSR: its controllers' topics, its gripper's force, its stop buttons.

Trajectories are passed on with their braking tail, by name: the order of joints is the
controller's own business. The base is told its velocity at `rate_hz`, and zero at the end.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_bridge.channels import Channel
from vla_bridge.measured import Measured
from vla_bridge.relays import repeated_twist, starting_now
from vla_core.errors import ConfigurationError, NotReadyError, ObservationError
from vla_hsr.columns import unit_mistakes
from vla_hsr.gripper import GraspChoice
from vla_hsr.names import FIELDS, preset
from vla_hsr.stops import StopInputs
from vla_hsr.vendor import interface
from vla_interfaces.srv import SelectSource
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, Report
from vla_ros.joints import entries_from_msg, twist_msg
from vla_ros.parameters import param
from vla_ros.run import run_node

OUTPUTS = {
    "arm": JointTrajectory,
    "gripper": JointTrajectory,
    "head": JointTrajectory,
    "base": Twist,
}
# Longest wait of an activation for the robot's first messages; the supervisor tries again.
HEARD_WITHIN_S = 3.0


@dataclass(frozen=True)
class HsrParams(BridgeParams):
    """Parameters of the bridge to the HSR, beside those of every bridge."""

    names: str = param("ros2", "Names of topics and actions: ros2 (root) or ros1 (/hsrb)")
    arm_topic: str = param("", "Arm's trajectories, instead of the preset's")
    head_topic: str = param("", "Head's trajectories, instead of the preset's")
    gripper_topic: str = param("", "Gripper's trajectories, instead of the preset's")
    base_topic: str = param("", "Base's velocity, instead of the preset's")
    grasp_action: str = param("", "Gripper's force, instead of the preset's")
    reference_topic: str = param("", "Safe pose changer, instead of the preset's")
    arm_state: str = param("", "Arm controller's state, instead of the preset's")
    head_state: str = param("", "Head controller's state, instead of the preset's")
    stop_topics: tuple[str, ...] = param((), "Bool, true: pressed; instead of the preset's")
    stop_silence_s: float = param(1.0, "Silence of a stop topic that stops [s]", 0.2, 60.0)
    gripper_mode: str = param("position", "position, or force: grasps below `grasp_below`")
    grasp_below: float = param(0.5, "Commanded opening below which force is applied [rad]")
    grasp_effort: float = param(-0.018, "Effort of a grasp [Nm], negative closes", -0.84, 0.84)


class HsrNode(BridgeNode):
    """Every command column goes to the HSR's own controllers; its stop buttons latch ours."""

    params_class = HsrParams
    params: HsrParams

    def __init__(self, **options: Any) -> None:
        super().__init__("bridge", **options)
        params = self.params
        self._names = preset(params.names).with_overrides(
            **{field: getattr(params, field) for field in FIELDS}
        )
        self._check_outputs()
        if params.gripper_mode not in ("position", "force"):
            raise ConfigurationError(
                "parameter 'gripper_mode': expected 'position' or 'force', "
                f"got '{params.gripper_mode}'"
            )
        self._choice = GraspChoice(params.grasp_below)
        self._stops = StopInputs(self._names.stop_topics, params.stop_silence_s)
        self._grasp: Any = None
        self._controllers: dict[str, frozenset[str]] = {}
        self._states: list[Any] = []  # subscriptions
        self._open_outputs()
        self._open_inputs()
        self._diagnostics.add("robot", self._report_robot)

    def _check_outputs(self) -> None:
        found = {channel.name: channel.message_type for channel in self.channels}
        if found != OUTPUTS:
            raise ConfigurationError(
                f"robot '{self.contract.robot}': the HSR takes the outputs "
                f"{ {k: v.__name__ for k, v in OUTPUTS.items()} }, the contract has "
                f"{ {k: v.__name__ for k, v in found.items()} }"
            )
        wrong = unit_mistakes(self.contract.action.columns)
        if wrong:
            raise ConfigurationError(
                f"robot '{self.contract.robot}' is no HSR: {'; '.join(wrong)}"
            )

    def _open_outputs(self) -> None:
        topics = {
            "arm": self._names.arm_topic,
            "gripper": self._names.gripper_topic,
            "head": self._names.head_topic,
        }
        self._forward = {
            name: self.create_lifecycle_publisher(JointTrajectory, topic, qos.COMMAND)
            for name, topic in topics.items()
        }
        (base,) = (channel for channel in self.channels if channel.name == "base")
        self._base_fields = base.output.fields
        self._base = self.create_lifecycle_publisher(Twist, self._names.base_topic, qos.COMMAND)
        self._write_base = repeated_twist(base, self._base)

    def _open_inputs(self) -> None:
        stream, _ = next(iter(self.contract.measurements.values()))
        self._joints_topic = self.contract.observation.state[stream].topic
        self._measured_state = Measured(self._joints_topic)
        self.create_subscription(
            JointState,
            self._joints_topic,
            self._on_joints,
            qos.SENSOR,
            callback_group=self._quick,
        )
        for topic in self._names.stop_topics:
            self.create_subscription(
                Bool,
                topic,
                partial(self._on_stop_input, topic),
                qos.SENSOR,
                callback_group=self._quick,
            )

    # Hooks of the bridge.

    def connect(self) -> None:
        """Find the vendor's interfaces; refuse where one is missing."""
        if self.params.gripper_mode == "force":
            self._open_grasp()
        for name in ("arm", "head"):
            topic = getattr(self._names, f"{name}_state")
            if topic:
                kind = interface(
                    "control_msgs", "msg", "JointTrajectoryControllerState", f"'{topic}'"
                )
                self._states.append(
                    self.create_subscription(
                        kind,
                        topic,
                        partial(self.heard_controller, name),
                        qos.SENSOR,
                        callback_group=self._quick,
                    )
                )

    def disconnect(self) -> None:
        """Let go of what `connect` opened."""
        while self._states:
            self.destroy_subscription(self._states.pop())
        self._controllers.clear()

    def _open_grasp(self) -> None:
        if not self._names.grasp_action:
            raise NotReadyError(
                f"gripper_mode 'force' needs an action, and names '{self.params.names}' have "
                "none: use 'position', or name one in 'grasp_action'"
            )
        kind = interface(
            "tmc_control_msgs", "action", "GripperApplyEffort", "gripper_mode 'force'"
        )
        self._grasp_goal = kind.Goal
        if self._grasp is None:
            self._grasp = ActionClient(self, kind, self._names.grasp_action)

    def on_start(self) -> None:
        """Refuse to move a robot that is not there, is another one, or is stopped."""
        self._wait_for_robot()
        trouble = self.trouble()
        if trouble:
            raise NotReadyError(trouble)
        self._choice.clear()
        super().on_start()

    def read(self) -> Floats:
        """Return the measured positions.

        Raises:
            ObservationError: no joint states, so that no command is taken either.
        """
        return self._measured_state.read()

    def accepted(self, channel: Channel, msg: Any, now: int) -> None:
        """Pass a trajectory on at once: its controller plays it, tail included, by itself."""
        if channel.name not in self._forward or self._is_grasped(channel, msg):
            return
        relayed = starting_now(msg, channel.output.columns, now)
        if relayed is not None:
            self._forward[channel.name].publish(relayed)

    def write(self, positions: Floats, velocities: Floats) -> None:
        trouble = self._stops.trouble(time.monotonic_ns())
        if trouble:
            self.stop_everything("robot", trouble)
        self._write_base(positions, velocities)

    def safe_stop(self) -> None:
        """Tell the base to stand; the controllers play the tails they have."""
        self._base.publish(twist_msg(self._base_fields, np.zeros(len(self._base_fields))))

    # Gripper.

    def _is_grasped(self, channel: Channel, msg: JointTrajectory) -> bool:
        """Return whether force has taken over from the trajectory."""
        if channel.name != "gripper" or self._grasp is None:
            return False
        if self._choice.begins_grasp(msg.points[-1].positions[0]):
            # A trajectory ends the grasp again, so there is nothing to wait for.
            self._grasp.send_goal_async(
                self._grasp_goal(effort=self.params.grasp_effort, do_control_stop=False)
            )
        return self._choice.is_grasping

    # What the robot says.

    def _on_joints(self, msg: JointState) -> None:
        positions = np.full(len(self.contract.columns), np.nan)
        names = list(self.contract.measurements)
        try:
            values = entries_from_msg(msg, "position", names)
        except ObservationError as error:
            self._measured_state.doubt(str(error))
            return
        positions[[self.contract.columns.index(name) for name in names]] = values
        self._measured_state.take(positions)

    def heard_controller(self, name: str, msg: Any) -> None:
        """Note which joints a controller says it has."""
        self._controllers[name] = frozenset(msg.joint_names)

    def _on_stop_input(self, topic: str, msg: Bool) -> None:
        self._stops.hear(topic, bool(msg.data), time.monotonic_ns())
        if msg.data:
            self.stop_everything("robot", f"'{topic}' is pressed")

    def reset_refusal(self) -> str:
        trouble = self._stops.trouble(time.monotonic_ns()) if self.is_active else ""
        after = "After a bumper, /bumper/reset restarts the controllers"
        return f"{trouble}. {after}" if trouble else ""

    def _on_select(
        self, request: SelectSource.Request, response: SelectSource.Response
    ) -> SelectSource.Response:
        response = super()._on_select(request, response)
        if response.success:
            # The vendor's own homing may move the robot while nobody is selected; until the next
            # command the controllers hold by themselves.
            self.forget_commands()
        return response

    def _wait_for_robot(self) -> None:
        """Give the robot time to be heard; the quick topics are served by their own thread."""
        deadline = time.monotonic() + HEARD_WITHIN_S
        while time.monotonic() < deadline and self.unheard():
            time.sleep(0.05)

    def unheard(self) -> list[str]:
        """Return the topics that a present robot would have said something on."""
        states = {
            topic: name
            for name in ("arm", "head")
            if (topic := getattr(self._names, f"{name}_state"))
        }
        missing = [topic for topic, name in states.items() if name not in self._controllers]
        joints = [self._joints_topic] if self._measured_state.trouble else []
        return [*joints, *missing, *self._stops.unheard()]

    def trouble(self) -> str:
        """Say why the robot must not be moved; empty: it may."""
        if self._measured_state.trouble:
            return self._measured_state.trouble
        for name, joints in self._controllers.items():
            (channel,) = (c for c in self.channels if c.name == name)
            if joints != set(channel.output.columns):
                return (
                    f"output '{name}': the contract sends {sorted(channel.output.columns)}, the "
                    f"robot's controller has {sorted(joints)}"
                )
        unheard = self.unheard()
        if unheard:
            return (
                f"nothing heard on {unheard} within {HEARD_WITHIN_S:g} s: is the robot on, and "
                f"does it use the names '{self.params.names}'?"
            )
        return self._stops.trouble(time.monotonic_ns())

    def _report_robot(self) -> Report:
        values = {"names": self.params.names, "gripper_mode": self.params.gripper_mode}
        trouble = self.trouble()
        return Report(ERROR if trouble else OK, trouble or "the robot is there", values)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(HsrNode))
