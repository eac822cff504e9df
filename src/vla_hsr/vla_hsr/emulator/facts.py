"""What is known of the robot: joints, limits, controllers.

Source: hsr-project/hsrb_common (humble), hsrb_description and ros2_control.robot.xacro;
hsr-project/hsrb_robot (humble), controllers.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Joint:
    """Limits of one joint, in m or rad and per second (velocity: the hardware's)."""

    lower: float
    upper: float
    velocity: float


JOINTS = {
    "arm_lift_joint": Joint(0.0, 0.69, 0.15),
    "arm_flex_joint": Joint(-2.62, 0.0, 1.0),
    "arm_roll_joint": Joint(-2.09, 3.84, 1.0),
    "wrist_flex_joint": Joint(-1.92, 1.22, 1.0),
    "wrist_roll_joint": Joint(-1.92, 3.67, 1.0),
    "hand_motor_joint": Joint(-0.798, 1.24, 3.0),
    "head_pan_joint": Joint(-3.84, 1.75, 1.0),
    "head_tilt_joint": Joint(-1.57, 0.52, 1.0),
}

# In the order of the robot's controllers.yaml; the head's is not that of anybody else.
CONTROLLERS = {
    "arm_trajectory_controller": (
        "arm_lift_joint",
        "arm_flex_joint",
        "arm_roll_joint",
        "wrist_flex_joint",
        "wrist_roll_joint",
    ),
    "head_trajectory_controller": ("head_tilt_joint", "head_pan_joint"),
    "gripper_controller": ("hand_motor_joint",),
}

# The order of joint_states is arbitrary, and passive joints and wheels are among them.
REPORTED = (
    "base_l_drive_wheel_joint",
    "hand_motor_joint",
    "wrist_roll_joint",
    "head_tilt_joint",
    "arm_lift_joint",
    "base_roll_joint",
    "hand_l_spring_proximal_joint",
    "arm_roll_joint",
    "head_pan_joint",
    "wrist_flex_joint",
    "base_r_drive_wheel_joint",
    "arm_flex_joint",
    "hand_r_spring_proximal_joint",
)

# 8.5 rad/s of the wheels times their radius of 0.04 m; limit of the steering axis.
BASE_SPEED = 0.34
BASE_YAW_RATE = 1.8
BASE_TIMEOUT_S = 0.5  # omni_base_controller's command_timeout
# Nm that the vendor's Python interface asks for at most: 0.07 per N, up to 12 N.
GRASP_EFFORT = 0.84

STOP_TOPICS = (
    "runstop_button",
    "emergency_stop_button",
    "wireless_stop_button",
    "base_f_bumper_sensor",
    "base_b_bumper_sensor",
)
CAMERAS = {
    "head_rgbd_sensor/rgb/image_rect_color": (480, 640),
    "hand_camera/image_raw": (480, 640),
}
