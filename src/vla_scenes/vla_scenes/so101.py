"""The wheel's SO-101 made fit for grasping: servos, fingers that close on things, a camera."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from vla_scenes.geometry import look_at
from vla_scenes.kinematics import JOINTS

# A position servo as stiff as an STS3215 holds, with its lag of about 25 ms behind the target.
SERVO_STIFFNESS, SERVO_DAMPING = 300.0, 6.0  # [N m/rad], [N m s/rad]
SERVO_TORQUE = 3.35  # stall, at 12 V [N m]
# The gripper's servo runs with a torque limit, or it would crush what it holds [N m]; with less
# damping than the others it still closes at about 2.5 rad/s.
GRIPPER_TORQUE, GRIPPER_DAMPING = 0.8, 0.3
# Jaw joint at which the fingers stand one cube edge apart, parallel [rad].
CLOSED_ON_CUBE = 0.13

# Beside the fingers, looking along them [m, in the gripper's frame].
WRIST_CAMERA, WRIST_TARGET = [0.012, -0.075, -0.010], [0.012, 0.0, -0.100]

# Who collides with whom: robot parts only with things, never with each other.
THING_BIT, ROBOT_BIT = 1, 2
ROBOT: dict[str, Any] = {"contype": ROBOT_BIT, "conaffinity": 0, "group": 3}


def fit(spec: mujoco.MjSpec) -> None:
    """Change the wheel's robot in place."""
    for geom in list(spec.geoms):
        if geom.classname.name == "collision" or geom.name.endswith("_jaw_pad"):
            spec.delete(geom)
    for mesh in spec.meshes:
        # Only seen, never weighed: simplified meshes need not be closed.
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    for material in spec.materials:
        _paint(material)
    for actuator in spec.actuators:
        torque = GRIPPER_TORQUE if actuator.name == "gripper" else SERVO_TORQUE
        actuator.gainprm[0] = SERVO_STIFFNESS
        actuator.biasprm[1], actuator.biasprm[2] = -SERVO_STIFFNESS, -SERVO_DAMPING
        actuator.forcerange = [-torque, torque]
    spec.joint("gripper").damping = GRIPPER_DAMPING
    _add_fingers(spec)
    _add_links(spec)
    spec.body("gripper").add_camera(
        name="wrist",
        pos=WRIST_CAMERA,
        quat=look_at(WRIST_CAMERA, WRIST_TARGET),
        fovy=68,
    )


def _paint(material: Any) -> None:
    """White printed parts, black servos."""
    dark = material.rgba[0] < 0.5
    material.rgba = [0.13, 0.13, 0.14, 1] if dark else [0.93, 0.93, 0.92, 1]
    material.specular, material.shininess = (0.3, 0.4) if dark else (0.2, 0.3)


def _add_fingers(spec: mujoco.MjSpec) -> None:
    """Give the fingers boxes: hulls of their meshes would close over the gap between them."""
    # Stiff, with priority over the cube's own values: MuJoCo's contacts give way in proportion to
    # the lighter body, and a 16 g cube would be squeezed by a quarter.
    stiff = {"solref": [0.005, 1.0], "solimp": [0.95, 0.99, 0.0005, 0.5, 2.0], "priority": 1}
    grip = {"condim": 4, "friction": [1.4, 0.01, 0.0002]} | stiff | ROBOT
    fixed, moving = spec.body("gripper"), spec.body("moving_jaw_so101_v1")
    _add_box(fixed, "fixed_pad", [-0.0129, 0, -0.0934], [0.005, 0.007, 0.011], grip)
    _add_box(fixed, "fixed_finger", [-0.0190, 0, -0.0660], [0.0074, 0.009, 0.0164], ROBOT)
    _add_box(fixed, "palm", [-0.004, 0, -0.0250], [0.030, 0.024, 0.0250], ROBOT)
    _add_jaw_box(moving, "moving_pad", [0.0221, 0, -0.0934], [0.005, 0.007, 0.011], grip)
    _add_jaw_box(moving, "moving_finger", [0.0221, 0, -0.0600], [0.0085, 0.010, 0.0224], ROBOT)


def _add_jaw_box(
    jaw: Any, name: str, position: list[float], size: list[float], options: dict[str, Any]
) -> None:
    """Add a box to the jaw, given in the gripper's frame with the jaw at ``CLOSED_ON_CUBE``."""
    hinge = np.zeros(9)
    mujoco.mju_quat2Mat(hinge, np.asarray(jaw.quat))
    c, s = np.cos(CLOSED_ON_CUBE), np.sin(CLOSED_ON_CUBE)
    to_gripper = hinge.reshape(3, 3) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, to_gripper.T.flatten())
    local = to_gripper.T @ (np.array(position) - np.asarray(jaw.pos))
    _add_box(jaw, name, local.tolist(), size, options | {"quat": quat.tolist()})


def _add_links(spec: mujoco.MjSpec) -> None:
    """Give the outer links capsules, so that they push cubes instead of passing through."""
    capsule = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "size": [0.02, 0, 0]} | ROBOT
    ends = {
        "lower_arm": [0, 0, 0.018, -0.13, 0.005, 0.018],
        "wrist": [0, 0, 0.018, 0, -0.05, 0.018],
    }
    for body, fromto in ends.items():
        spec.body(body).add_geom(name=f"{body}_hull", fromto=fromto, **capsule)


def _add_box(
    body: Any, name: str, position: list[float], size: list[float], options: dict[str, Any]
) -> None:
    kind = mujoco.mjtGeom.mjGEOM_BOX
    body.add_geom(name=name, type=kind, pos=position, size=size, **options)


def joint_indices(model: mujoco.MjModel) -> tuple[list[int], list[int], list[int]]:
    """Return addresses of the robot's joints in qpos, qvel and ctrl, in the contract's order."""
    qpos = [int(model.joint(name).qposadr[0]) for name in JOINTS]
    qvel = [int(model.joint(name).dofadr[0]) for name in JOINTS]
    ctrl = [int(model.actuator(name).id) for name in JOINTS]
    return qpos, qvel, ctrl
