"""What the robot calls its topics and actions, in its ROS 2 stack and in ROS 1 behind a bridge."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from vla_core.errors import ConfigurationError

NONE = "none"


@dataclass(frozen=True)
class Names:
    """One name per interface; empty: this robot has none."""

    arm_topic: str
    head_topic: str
    gripper_topic: str
    base_topic: str
    grasp_action: str
    reference_topic: str  # of the safe pose changer
    # JointTrajectoryControllerState of arm and head, which says the controller's own joints.
    arm_state: str
    head_state: str
    # Bool, true while pressed. The HSR-C has emergency_stop_button and wireless_stop_button.
    stop_topics: tuple[str, ...]

    def with_overrides(self, **given: str | tuple[str, ...]) -> Names:
        """Return the same with every name replaced that is given; `none`: the robot has none."""
        changes = {key: "" if value == NONE else value for key, value in given.items() if value}
        return replace(self, **changes)  # type: ignore[arg-type]


# hsr-project/hsrb_robot (humble): everything in the root namespace.
ROS2 = Names(
    arm_topic="/arm_trajectory_controller/joint_trajectory",
    head_topic="/head_trajectory_controller/joint_trajectory",
    gripper_topic="/gripper_controller/joint_trajectory",
    base_topic="/omni_base_controller/cmd_vel",
    grasp_action="/gripper_controller/grasp",
    reference_topic="/safe_pose_changer/joint_reference",
    arm_state="/arm_trajectory_controller/controller_state",
    head_state="/head_trajectory_controller/controller_state",
    stop_topics=("/runstop_button", "/base_f_bumper_sensor", "/base_b_bumper_sensor"),
)

# ROS 1 through ros1_bridge, which carries topics of standard types and no actions.
ROS1 = Names(
    arm_topic="/hsrb/arm_trajectory_controller/command",
    head_topic="/hsrb/head_trajectory_controller/command",
    gripper_topic="/hsrb/gripper_controller/command",
    base_topic="/hsrb/command_velocity",
    grasp_action="",
    reference_topic="/hsrb/safe_pose_changer/joint_reference",
    arm_state="",
    head_state="",
    stop_topics=(
        "/hsrb/runstop_button",
        "/hsrb/base_f_bumper_sensor",
        "/hsrb/base_b_bumper_sensor",
    ),
)

PRESETS = {"ros2": ROS2, "ros1": ROS1}
FIELDS = tuple(field.name for field in fields(Names))


def preset(name: str) -> Names:
    """Return the names of one kind of installation.

    Raises:
        ConfigurationError: there is no such preset; lists the known ones.
    """
    if name not in PRESETS:
        raise ConfigurationError(
            f"parameter 'names': expected one of {sorted(PRESETS)}, got '{name}'"
        )
    return PRESETS[name]
