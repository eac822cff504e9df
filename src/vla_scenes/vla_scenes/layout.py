"""Where things lie and how they look, drawn from one seed: the same seed is the same scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_scenes.kinematics import PAN_X
from vla_scenes.tasks import CUBES, PADS

# Demonstrations draw from the first range, evaluation from the second: never the same scene.
TRAIN_SEEDS = range(1_000_000)
EVAL_SEEDS = range(1_000_000, 2_000_000)

CUBE = 0.025  # edge [m]
PAD = 0.064  # edge [m]
PAD_HEIGHT = 0.002  # [m]

# The ring in which the arm grasps from straight above, seen from the pan axis.
REACH = (0.135, 0.225)  # [m]
AZIMUTH = (-0.85, 0.85)  # [rad]
# Centre to centre, so that an open jaw fits between two cubes [m].
CUBE_TO_CUBE, CUBE_TO_PAD, PAD_TO_PAD = 0.066, 0.062, 0.092

COLOURS = {
    "red_cube": (0.80, 0.08, 0.07),
    "green_cube": (0.10, 0.55, 0.16),
    "blue_cube": (0.08, 0.22, 0.75),
    "yellow_pad": (0.95, 0.76, 0.10),
    "purple_pad": (0.45, 0.18, 0.62),
    "table": (0.76, 0.68, 0.59),
    "wall": (0.42, 0.52, 0.56),
}


@dataclass(frozen=True)
class Place:
    """Position on the table in the base frame [m] and yaw [rad]."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything that a seed decides."""

    places: dict[str, Place]  # "red_cube", ..., "purple_pad"
    colours: dict[str, NDArray[np.float64]]  # (3,) RGB in 0..1, same names and "table", "wall"
    light: float  # brightness, 1 is nominal
    light_position: NDArray[np.float64]  # (3,) [m]
    camera_shift: NDArray[np.float64]  # (3,) of the front camera [m]
    joint_shift: NDArray[np.float64]  # (6,) from the home pose [rad]


def draw_layout(seed: int) -> Layout:
    """Draw the layout of a seed."""
    rng = np.random.default_rng(seed)
    return Layout(
        places=_places(rng),
        colours={name: _tinted(rng, colour) for name, colour in COLOURS.items()},
        light=float(rng.uniform(0.85, 1.15)),
        light_position=np.array([0.25, 0.0, 1.2]) + rng.uniform(-0.3, 0.3, 3),
        camera_shift=rng.uniform(-0.004, 0.004, 3),
        joint_shift=rng.uniform(-1, 1, 6) * np.array([0.06, 0.05, 0.05, 0.05, 0.05, 0.03]),
    )


def _places(rng: np.random.Generator) -> dict[str, Place]:
    names = [f"{pad}_pad" for pad in PADS] + [f"{cube}_cube" for cube in CUBES]
    while True:
        places: dict[str, Place] = {}
        for name in names:
            for _ in range(60):
                place = _draw(rng)
                if all(_apart(name, place, other, at) for other, at in places.items()):
                    places[name] = place
                    break
        if len(places) == len(names):
            return places


def _draw(rng: np.random.Generator) -> Place:
    # Uniform over the ring's area.
    reach = float(np.sqrt(rng.uniform(REACH[0] ** 2, REACH[1] ** 2)))
    azimuth = float(rng.uniform(*AZIMUTH))
    # A cube looks the same every quarter turn; within this band the nearest grasp is unambiguous.
    yaw = azimuth + float(rng.uniform(-0.6, 0.6))
    return Place(PAN_X + reach * np.cos(azimuth), reach * np.sin(azimuth), yaw)


def _apart(a: str, at_a: Place, b: str, at_b: Place) -> bool:
    pads = a.endswith("_pad") + b.endswith("_pad")
    needed = (CUBE_TO_CUBE, CUBE_TO_PAD, PAD_TO_PAD)[pads]
    return float(np.hypot(at_a.x - at_b.x, at_a.y - at_b.y)) >= needed


def _tinted(rng: np.random.Generator, colour: tuple[float, float, float]) -> NDArray[np.float64]:
    shade = rng.uniform(0.9, 1.1)
    return np.clip(np.array(colour) * shade + rng.uniform(-0.03, 0.03, 3), 0.0, 1.0)
