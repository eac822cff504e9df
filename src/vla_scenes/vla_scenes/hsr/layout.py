"""Where table, cabinet, cans and robot stand and how they look, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_scenes.hsr.tasks import CANS
from vla_scenes.stage.room import Lighting, tinted

Floats = NDArray[np.float64]

CAN_RADIUS, CAN_HEIGHT, CAN_MASS = 0.030, 0.120, 0.15  # [m, kg]
TABLE_HALF, TABLE_HEIGHT = np.array([0.25, 0.42]), 0.60  # [m]
CABINET_HALF, CABINET_HEIGHT = np.array([0.22, 0.24]), 0.86  # [m]
DRAWER_Z = {"top": 0.70, "bottom": 0.48}  # of the handles above the floor [m]
HANDLE_OUT, HANDLE_RADIUS, TRAVEL = 0.050, 0.008, 0.28  # [m]
# Cans stand in a row behind the table's edge, so far apart that open fingers fit between [m].
DEPTH, APART = (0.07, 0.15), 0.17

COLOURS = {
    "red_can": (0.80, 0.08, 0.07),
    "green_can": (0.10, 0.52, 0.16),
    "blue_can": (0.08, 0.22, 0.75),
    "table": (0.66, 0.50, 0.34),
    "cabinet": (0.86, 0.84, 0.80),
    "wall": (0.62, 0.68, 0.70),
}


@dataclass(frozen=True)
class Layout:
    """Everything that a seed decides; poses are x, y, yaw in the world [m, rad]."""

    table: Floats  # (3,); yaw is the direction from which one stands before it, plus pi
    cabinet: Floats  # (3,)
    robot: Floats  # (3,)
    joint_shift: Floats  # (8,) from the home pose
    cans: dict[str, Floats]  # colour -> (2,) from the middle of the table's edge: behind it, left
    colours: dict[str, Floats]
    lighting: Lighting
    camera_shift: Floats  # (3,) of the external camera [m]


def draw_layout(seed: int) -> Layout:
    """Draw the layout of a seed."""
    rng = np.random.default_rng(seed)

    def about(middle: tuple[float, ...], spread: tuple[float, ...]) -> Floats:
        return np.asarray(middle + rng.uniform(-1, 1, len(middle)) * np.array(spread))

    return Layout(
        table=about((1.10, 0.48, 0.0), (0.05, 0.04, 0.08)),
        cabinet=about((1.12, -0.52, 0.0), (0.05, 0.04, 0.08)),
        robot=about((-0.20, 0.0, 0.0), (0.10, 0.15, 0.20)),
        joint_shift=about((0.03, -0.05, 0.0, 0.0, 0.0, 0.3, 0.0, -0.2), (0.03, *[0.05] * 7)),
        cans=_cans(rng),
        colours={name: tinted(rng, colour) for name, colour in COLOURS.items()},
        lighting=Lighting.draw(rng, (0.6, 0.0, 2.3)),
        camera_shift=about((0.0, 0.0, 0.0), (0.02, 0.02, 0.02)),
    )


def _cans(rng: np.random.Generator) -> dict[str, Floats]:
    left = (np.arange(3) - 1) * APART * 1.15 + rng.uniform(-0.07, 0.07)
    left += rng.uniform(-0.07, 0.07, 3) * APART
    order = rng.permutation(3)
    return {
        can: np.array([rng.uniform(*DEPTH), left[place]])
        for can, place in zip(CANS, order, strict=True)
    }
