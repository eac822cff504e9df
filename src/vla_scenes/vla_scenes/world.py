"""Builds the MuJoCo model: the SO-101 of the wheel on a table with cubes, pads and two cameras."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_scenes.kinematics import JOINTS
from vla_scenes.layout import COLOURS, CUBE, PAD, PAD_HEIGHT
from vla_scenes.meshes import robot_xml, simplified_meshes

PHYSICS_STEP_S = 0.002
# A position servo as stiff as an STS3215 holds, with its lag of about 25 ms behind the target.
SERVO_STIFFNESS, SERVO_DAMPING = 300.0, 6.0  # [N m/rad], [N m s/rad]
SERVO_TORQUE = 3.35  # stall, at 12 V [N m]
# The gripper's servo runs with a torque limit, or it would crush what it holds [N m]; with less
# damping than the others it still closes at about 2.5 rad/s.
GRIPPER_TORQUE, GRIPPER_DAMPING = 0.8, 0.3

# Who collides with whom: robot parts only with things, never with each other.
THING, ROBOT = 1, 2
_THING = {"contype": THING, "conaffinity": THING | ROBOT}
_ROBOT = {"contype": ROBOT, "conaffinity": 0}


@dataclass(frozen=True)
class Look:
    """What rendering may cost. Cameras of the robot take the default; pictures take shadows."""

    width: int = 320
    height: int = 240
    shadows: bool = False
    samples: int = 0  # multisampling


def build(look: Look) -> mujoco.MjModel:
    """Return the compiled model; poses and colours of one layout are set later."""
    spec = mujoco.MjSpec.from_file(str(robot_xml()))
    spec.meshdir = str(simplified_meshes())
    _options(spec, look)
    _robot(spec)
    _room(spec, look)
    _things(spec)
    return spec.compile()


def _options(spec: mujoco.MjSpec, look: Look) -> None:
    spec.modelname = "vla_tabletop"
    spec.option.timestep = PHYSICS_STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A held cube must not creep out of the jaws.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    visual = spec.visual
    visual.quality.shadowsize = 2048 if look.shadows else 0
    visual.quality.offsamples = look.samples
    visual.global_.offwidth, visual.global_.offheight = look.width, look.height
    visual.headlight.ambient = [0.34, 0.34, 0.35]
    visual.headlight.diffuse = [0.14, 0.14, 0.14]
    visual.headlight.specular = [0.05, 0.05, 0.05]
    visual.map.znear, visual.map.zfar = 0.01, 8.0
    spec.stat.extent, spec.stat.center = 1.0, [0.2, 0.0, 0.1]


def _robot(spec: mujoco.MjSpec) -> None:
    for geom in list(spec.geoms):
        if geom.classname.name == "collision" or geom.name.endswith("_jaw_pad"):
            spec.delete(geom)
    for mesh in spec.meshes:
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    for material in spec.materials:
        dark = material.rgba[0] < 0.5
        material.rgba = [0.13, 0.13, 0.14, 1] if dark else [0.93, 0.93, 0.92, 1]
        material.specular, material.shininess = (0.3, 0.4) if dark else (0.2, 0.3)
    for actuator in spec.actuators:
        torque = GRIPPER_TORQUE if actuator.name == "gripper" else SERVO_TORQUE
        actuator.gainprm[0] = SERVO_STIFFNESS
        actuator.biasprm[1], actuator.biasprm[2] = -SERVO_STIFFNESS, -SERVO_DAMPING
        actuator.forcerange = [-torque, torque]
    spec.joint("gripper").damping = GRIPPER_DAMPING
    _jaws(spec)
    _links(spec)


def _jaws(spec: mujoco.MjSpec) -> None:
    """Give the fingers boxes: hulls of their meshes would close over the gap between them."""
    # Stiff, with priority over the cube's own values: MuJoCo's contacts give way in proportion to
    # the lighter body, and a 16 g cube would be squeezed by a quarter.
    stiff = {"solref": [0.005, 1.0], "solimp": [0.95, 0.99, 0.0005, 0.5, 2.0], "priority": 1}
    grip = {"condim": 4, "friction": [1.4, 0.01, 0.0002]} | stiff | _ROBOT
    fixed, moving = spec.body("gripper"), spec.body("moving_jaw_so101_v1")
    _box(fixed, "fixed_pad", [-0.0129, 0, -0.0934], [0.005, 0.007, 0.011], grip)
    _box(fixed, "fixed_finger", [-0.0190, 0, -0.0660], [0.0074, 0.009, 0.0164], _ROBOT)
    _box(fixed, "palm", [-0.004, 0, -0.0250], [0.030, 0.024, 0.0250], _ROBOT)
    # Set up in the gripper's frame with the jaw at CLOSED_ON_CUBE, where the pads are parallel,
    # and then expressed in the jaw's own frame.
    _jaw_box(moving, "moving_pad", [0.0221, 0, -0.0934], [0.005, 0.007, 0.011], grip)
    _jaw_box(moving, "moving_finger", [0.0221, 0, -0.0600], [0.0085, 0.010, 0.0224], _ROBOT)


# Jaw joint at which the pads stand one cube edge apart, parallel [rad].
CLOSED_ON_CUBE = 0.13


def _jaw_box(
    jaw: mujoco.MjsBody, name: str, position: list[float], size: list[float], options: dict
) -> None:
    """Add a box given in the gripper body's frame at ``CLOSED_ON_CUBE``."""
    to_gripper = np.zeros(9)
    mujoco.mju_quat2Mat(to_gripper, np.asarray(jaw.quat))
    angle = CLOSED_ON_CUBE
    turned = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    rotation = to_gripper.reshape(3, 3) @ turned  # jaw frame -> gripper frame
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, rotation.T.flatten())
    local = rotation.T @ (np.array(position) - np.asarray(jaw.pos))
    _box(jaw, name, local.tolist(), size, options | {"quat": quat.tolist()})


def _links(spec: mujoco.MjSpec) -> None:
    """Give the outer links capsules, so that they push cubes instead of passing through."""
    capsule = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "group": 3} | _ROBOT
    spec.body("lower_arm").add_geom(
        name="forearm", fromto=[0, 0, 0.018, -0.13, 0.005, 0.018], size=[0.02, 0, 0], **capsule
    )
    spec.body("wrist").add_geom(
        name="wrist_link", fromto=[0, 0, 0.018, 0, -0.05, 0.018], size=[0.02, 0, 0], **capsule
    )


def _room(spec: mujoco.MjSpec, look: Look) -> None:
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.72, 0.76, 0.80], rgb2=[0.35, 0.37, 0.40], width=64, height=384,
    )
    grain = _grain()
    texture = spec.add_texture(
        name="grain", type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=grain.shape[1], height=grain.shape[0], nchannel=3,
    )
    texture.data = grain.tobytes()
    wood = spec.add_material(name="wood", texrepeat=[1, 1], specular=0.1, shininess=0.1)
    wood.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grain"
    world = spec.worldbody
    top = _THING | {"friction": [0.8, 0.01, 0.001], "material": "wood"}
    _box(world, "table", [0.25, 0, -0.02], [0.45, 0.55, 0.02], top)
    _box(world, "wall", [-0.75, 0, 0.2], [0.01, 3.0, 2.0], {"contype": 0, "conaffinity": 0})
    _box(world, "floor", [0, 0, -0.75], [3, 3, 0.01], {"contype": 0, "conaffinity": 0})
    spec.geom("floor").rgba = [0.42, 0.40, 0.38, 1]
    world.add_light(
        name="lamp", pos=[0.25, 0, 1.2], dir=[0, 0, -1], castshadow=look.shadows,
        diffuse=[0.50, 0.49, 0.46], specular=[0.12, 0.12, 0.12], cutoff=80,
        attenuation=[1, 0, 0],
    )
    world.add_light(
        name="window", pos=[0.9, -0.9, 1.0], dir=[-0.7, 0.9, -1.0], castshadow=False,
        diffuse=[0.16, 0.17, 0.20], specular=[0, 0, 0], cutoff=90,
    )
    world.add_camera(name="front", pos=FRONT_CAMERA, quat=_look_at(FRONT_CAMERA, [0.135, 0, 0.055]), fovy=37)
    gripper = spec.body("gripper")
    gripper.add_camera(
        name="wrist", pos=WRIST_CAMERA, quat=_look_at(WRIST_CAMERA, [0.012, 0, -0.100], up=[0, 0, 1]),
        fovy=68,
    )


def _grain() -> NDArray[np.uint8]:
    """Return the table's wood grain (512, 512, 3), to be multiplied with its colour."""
    rng = np.random.default_rng(7)
    fine, coarse = rng.normal(size=(512, 512)), rng.normal(size=(64, 8)).repeat(8, 0).repeat(64, 1)
    # Blurred far along the boards and hardly across them.
    along = np.ones(97) / 97**0.5
    across = np.ones(3) / 3**0.5
    fine = np.apply_along_axis(np.convolve, 1, fine, along, "same")
    fine = np.apply_along_axis(np.convolve, 0, fine, across, "same")
    coarse = np.apply_along_axis(np.convolve, 1, coarse, np.ones(129) / 129, "same")
    coarse = np.apply_along_axis(np.convolve, 0, coarse, np.ones(17) / 17, "same")
    shade = np.clip(0.90 + 0.015 * fine + 0.04 * coarse, 0, 1)
    return (255 * np.stack([shade, shade**1.05, shade**1.12], axis=-1)).astype(np.uint8)


FRONT_CAMERA = [0.62, 0.0, 0.50]
WRIST_CAMERA = [0.012, -0.075, -0.010]


def _things(spec: mujoco.MjSpec) -> None:
    for name in COLOURS:
        if name.endswith("_pad"):
            body = spec.worldbody.add_body(name=name)
            half = [PAD / 2, PAD / 2, PAD_HEIGHT / 2]
            _box(body, name, [0, 0, PAD_HEIGHT / 2], half, _THING | {"friction": [0.8, 0.01, 0.001]})
        elif name.endswith("_cube"):
            body = spec.worldbody.add_body(name=name)
            body.add_freejoint(name=name)
            cube = {"mass": 0.016, "friction": [0.8, 0.01, 0.0005], "condim": 4} | _THING
            _box(body, name, [0, 0, 0], [CUBE / 2] * 3, cube)


def _box(
    body: mujoco.MjsBody, name: str, position: list[float], size: list[float], options: dict
) -> None:
    visible = bool(options["contype"] != ROBOT)
    body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size,
        group=0 if visible else 3, **options,
    )


def _look_at(
    position: list[float], target: list[float], up: list[float] | None = None
) -> list[float]:
    """Return the quaternion of a camera (looks along -z, x right) at a target."""
    backward = np.subtract(position, target)
    backward = backward / np.linalg.norm(backward)
    right = np.cross(up or [0, 0, 1], backward)
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(backward, right), backward])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.flatten())
    return quat.tolist()


def joint_indices(model: mujoco.MjModel) -> tuple[list[int], list[int], list[int]]:
    """Return addresses of the robot's joints in qpos, qvel and ctrl, in the contract's order."""
    qpos = [int(model.joint(name).qposadr[0]) for name in JOINTS]
    qvel = [int(model.joint(name).dofadr[0]) for name in JOINTS]
    ctrl = [int(model.actuator(name).id) for name in JOINTS]
    return qpos, qvel, ctrl
