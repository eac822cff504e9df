"""Builds the MuJoCo model: the SO-101 on a table with cubes, pads and a camera in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_scenes import so101
from vla_scenes.geometry import look_at
from vla_scenes.layout import COLOURS, CUBE, PAD, PAD_HEIGHT
from vla_scenes.meshes import robot_xml, simplified_meshes

PHYSICS_STEP_S = 0.002
CUBE_MASS = 0.016  # 3D-printed, full [kg]
FRONT_CAMERA, FRONT_TARGET = [0.62, 0.0, 0.50], [0.135, 0.0, 0.055]  # [m, in the base frame]

_SOLID = {"contype": so101.THING_BIT, "conaffinity": so101.THING_BIT | so101.ROBOT_BIT}
_SEEN = {"contype": 0, "conaffinity": 0}
_FRICTION = {"friction": [0.8, 0.01, 0.001]}


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
    _set_options(spec)
    _set_look(spec, look)
    so101.fit(spec)
    _add_room(spec)
    _add_lights(spec, look)
    _add_things(spec)
    return spec.compile()


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.modelname = "vla_tabletop"
    spec.option.timestep = PHYSICS_STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A held cube must not creep out of the jaws.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0


def _set_look(spec: mujoco.MjSpec, look: Look) -> None:
    visual = spec.visual
    visual.quality.shadowsize = 8192 if look.shadows else 0
    visual.map.shadowscale = 0.4  # the lamp's shadows are only needed on the table
    visual.quality.offsamples = look.samples
    visual.global_.offwidth, visual.global_.offheight = look.width, look.height
    visual.headlight.ambient = [0.34, 0.34, 0.35]
    visual.headlight.diffuse = [0.14, 0.14, 0.14]
    visual.headlight.specular = [0.05, 0.05, 0.05]
    visual.map.znear, visual.map.zfar = 0.01, 8.0
    spec.stat.extent, spec.stat.center = 1.0, [0.2, 0.0, 0.1]


def _add_room(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.72, 0.76, 0.80],
        rgb2=[0.35, 0.37, 0.40],
        width=64,
        height=384,
    )
    _add_wood(spec)
    room = spec.worldbody
    _add_box(
        room,
        "table",
        [0.25, 0, -0.02],
        [0.45, 0.55, 0.02],
        _SOLID | _FRICTION | {"material": "wood"},
    )
    _add_box(room, "wall", [-0.75, 0, 0.2], [0.01, 3.0, 2.0], _SEEN)
    _add_box(room, "floor", [0, 0, -0.75], [3, 3, 0.01], _SEEN | {"rgba": [0.42, 0.40, 0.38, 1]})
    room.add_camera(
        name="front", pos=FRONT_CAMERA, quat=look_at(FRONT_CAMERA, FRONT_TARGET), fovy=37
    )


def _add_lights(spec: mujoco.MjSpec, look: Look) -> None:
    spec.worldbody.add_light(
        name="lamp",
        pos=[0.25, 0, 1.2],
        dir=[0, 0, -1],
        castshadow=look.shadows,
        diffuse=[0.50, 0.49, 0.46],
        specular=[0.12, 0.12, 0.12],
        cutoff=80,
        attenuation=[1, 0, 0],
    )
    spec.worldbody.add_light(
        name="window",
        pos=[0.9, -0.9, 1.0],
        dir=[-0.7, 0.9, -1.0],
        castshadow=False,
        diffuse=[0.16, 0.17, 0.20],
        specular=[0, 0, 0],
        cutoff=90,
    )


def _add_things(spec: mujoco.MjSpec) -> None:
    pad = [PAD / 2, PAD / 2, PAD_HEIGHT / 2]
    cube = {"mass": CUBE_MASS, "friction": [0.8, 0.01, 0.0005], "condim": 4} | _SOLID
    for name in COLOURS:
        if name.endswith("_pad"):
            body = spec.worldbody.add_body(name=name)
            _add_box(body, name, [0, 0, PAD_HEIGHT / 2], pad, _SOLID | _FRICTION)
        elif name.endswith("_cube"):
            body = spec.worldbody.add_body(name=name)
            body.add_freejoint(name=name)
            _add_box(body, name, [0, 0, 0], [CUBE / 2] * 3, cube)


def _add_box(
    body: Any, name: str, position: list[float], size: list[float], options: dict[str, Any]
) -> None:
    kind = mujoco.mjtGeom.mjGEOM_BOX
    body.add_geom(name=name, type=kind, pos=position, size=size, group=0, **options)


def _add_wood(spec: mujoco.MjSpec) -> None:
    grain = _grain()
    texture = spec.add_texture(
        name="grain",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=grain.shape[1],
        height=grain.shape[0],
        nchannel=3,
    )
    texture.data = grain.tobytes()
    wood = spec.add_material(name="wood", texrepeat=[1, 1], specular=0.1, shininess=0.1)
    wood.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grain"


def _grain(size: int = 512) -> NDArray[np.uint8]:
    """Return the table's wood grain (size, size, 3), to be multiplied with its colour."""
    rng = np.random.default_rng(7)
    fine = rng.normal(size=(size, size))
    coarse = rng.normal(size=(size // 8, size // 64)).repeat(8, 0).repeat(64, 1)
    # Blurred far along the boards and hardly across them.
    fine = _blurred(fine, np.ones(97) / 97**0.5, np.ones(3) / 3**0.5)
    coarse = _blurred(coarse, np.ones(129) / 129, np.ones(17) / 17)
    shade = np.clip(0.90 + 0.015 * fine + 0.04 * coarse, 0, 1)
    return (255 * np.stack([shade, shade**1.05, shade**1.12], axis=-1)).astype(np.uint8)


def _blurred(
    image: NDArray[np.float64], along: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float64]:
    image = np.apply_along_axis(np.convolve, 1, image, along, "same")
    return np.apply_along_axis(np.convolve, 0, image, across, "same")
