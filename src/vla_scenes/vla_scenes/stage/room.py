"""Builds what every room has: options, light, floor, walls; and boxes and colours by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_scenes.geometry import look_at
from vla_scenes.so101 import ROBOT_BIT, THING_BIT
from vla_scenes.world import PHYSICS_STEP_S, Look

SOLID = {"contype": THING_BIT, "conaffinity": THING_BIT | ROBOT_BIT}
ROBOT: dict[str, Any] = {"contype": ROBOT_BIT, "conaffinity": 0}
SEEN = {"contype": 0, "conaffinity": 0}
# Stiff and with priority: a light thing between two fingers would be squeezed by MuJoCo's default.
GRIP: dict[str, Any] = {
    "condim": 4,
    "friction": [1.4, 0.01, 0.0002],
    "solref": [0.005, 1.0],
    "solimp": [0.95, 0.99, 0.0005, 0.5, 2.0],
    "priority": 1,
    **ROBOT,
}
BOX, CAPSULE, CYLINDER = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
)


@dataclass(frozen=True)
class Lighting:
    """How a seed changes what cameras see."""

    brightness: float
    lamp: NDArray[np.float64]  # (3,) [m]

    @staticmethod
    def draw(rng: np.random.Generator, above: tuple[float, float, float]) -> Lighting:
        """Draw a lamp around a point."""
        return Lighting(
            float(rng.uniform(0.85, 1.15)), np.array(above) + rng.uniform(-0.4, 0.4, 3)
        )


def set_options(spec: mujoco.MjSpec, name: str, look: Look, centre: list[float]) -> None:
    """Set physics and rendering as in all scenes."""
    spec.modelname = name
    spec.compiler.degree = False
    spec.option.timestep = PHYSICS_STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # What is held must not creep out of the fingers.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    visual = spec.visual
    visual.quality.shadowsize = 8192 if look.shadows else 0
    visual.quality.offsamples = look.samples
    visual.global_.offwidth, visual.global_.offheight = look.width, look.height
    visual.headlight.ambient = [0.36, 0.36, 0.37]
    visual.headlight.diffuse = [0.16, 0.16, 0.16]
    visual.headlight.specular = [0.05, 0.05, 0.05]
    visual.map.znear, visual.map.zfar = 0.005, 12.0
    spec.stat.extent, spec.stat.center = 2.0, centre


def add_room(spec: mujoco.MjSpec, look: Look, back_x: float) -> None:
    """Add floor, two walls and lights; the wall behind everything is at ``back_x`` [m]."""
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.83, 0.86],
        rgb2=[0.50, 0.52, 0.55],
        width=64,
        height=384,
    )
    spec.add_texture(
        name="tiles",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.50, 0.47, 0.43],
        rgb2=[0.46, 0.43, 0.40],
        width=256,
        height=256,
    )
    tiles = spec.add_material(name="tiles", texrepeat=[5, 5], texuniform=False, specular=0.1)
    tiles.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    room = spec.worldbody
    add_box(room, "floor", [0.5, 0, -0.05], [4, 4, 0.05], {**SOLID, "material": "tiles"})
    add_box(room, "wall", [back_x, 0, 1.2], [0.02, 4, 1.2], SEEN)
    add_box(room, "side_wall", [0.5, 2.4, 1.2], [4, 0.02, 1.2], SEEN)
    spec.worldbody.add_light(
        name="lamp",
        pos=[0.5, 0, 2.4],
        dir=[0, 0, -1],
        castshadow=look.shadows,
        diffuse=[0.50, 0.49, 0.46],
        specular=[0.15, 0.15, 0.15],
        cutoff=85,
        attenuation=[1, 0, 0],
    )
    spec.worldbody.add_light(
        name="window",
        pos=[-1.0, -2.0, 2.0],
        dir=[0.8, 1.0, -0.8],
        castshadow=False,
        diffuse=[0.20, 0.21, 0.23],
        specular=[0, 0, 0],
        cutoff=90,
    )


def add_camera(body: Any, name: str, at: list[float], towards: list[float], fovy: float) -> None:
    """Add a camera that looks at a point of the body's frame; z of that frame is up."""
    body.add_camera(name=name, pos=at, quat=look_at(at, towards), fovy=fovy)


def add_box(
    body: Any, name: str, position: list[float], half: list[float], options: Mapping[str, Any]
) -> None:
    """Add a box of half sizes [m]."""
    body.add_geom(name=name, type=BOX, pos=position, size=half, **options)


def tinted(rng: np.random.Generator, colour: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return a colour, a little lighter or darker and off."""
    shade = rng.uniform(0.9, 1.1)
    return np.clip(np.array(colour) * shade + rng.uniform(-0.03, 0.03, 3), 0.0, 1.0)
