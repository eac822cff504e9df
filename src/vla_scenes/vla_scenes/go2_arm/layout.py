"""Where table, cubes and robot stand, how they look and how the robot walks, from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_scenes.stage.room import Lighting, tinted
from vla_scenes.tasks import CUBES

Floats = NDArray[np.float64]

TABLE_HALF, TABLE_HEIGHT = np.array([0.16, 0.40]), 0.26  # [m]
# Cubes lie in a row behind the table's edge, so far apart that an open jaw fits between [m].
DEPTH, APART = (0.035, 0.065), 0.15

COLOURS = {
    "red_cube": (0.80, 0.08, 0.07),
    "green_cube": (0.10, 0.55, 0.16),
    "blue_cube": (0.08, 0.22, 0.75),
    "table": (0.78, 0.72, 0.62),
    "wall": (0.55, 0.62, 0.60),
}


@dataclass(frozen=True)
class Layout:
    """Everything that a seed decides; poses are x, y, yaw in the world [m, rad]."""

    table: Floats  # (3,); its yaw is the direction in which one approaches it
    robot: Floats  # (3,)
    cubes: dict[str, Floats]  # colour -> (3,) behind the edge, left, yaw in the table's frame
    joint_shift: Floats  # (6,) from the home pose
    colours: dict[str, Floats]
    lighting: Lighting
    gait_seed: int


def draw_layout(seed: int) -> Layout:
    """Draw the layout of a seed."""
    rng = np.random.default_rng(seed)

    def about(middle: tuple[float, ...], spread: tuple[float, ...]) -> Floats:
        return np.asarray(middle + rng.uniform(-1, 1, len(middle)) * np.array(spread))

    return Layout(
        table=about((1.10, 0.0, 0.0), (0.08, 0.05, 0.10)),
        robot=about((0.0, 0.0, 0.0), (0.12, 0.15, 0.20)),
        cubes=_cubes(rng),
        joint_shift=about((0.0,) * 6, (0.06, 0.05, 0.05, 0.05, 0.05, 0.03)),
        colours={name: tinted(rng, colour) for name, colour in COLOURS.items()},
        lighting=Lighting.draw(rng, (0.6, 0.0, 2.0)),
        gait_seed=int(rng.integers(2**31)),
    )


def _cubes(rng: np.random.Generator) -> dict[str, Floats]:
    left = (np.arange(3) - 1) * APART + rng.uniform(-0.06, 0.06) + rng.uniform(-0.02, 0.02, 3)
    order = rng.permutation(3)
    return {
        cube: np.array([rng.uniform(*DEPTH), left[place], rng.uniform(-0.6, 0.6)])
        for cube, place in zip(CUBES, order, strict=True)
    }
