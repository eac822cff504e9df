"""Pictures of the driving robots for people: ``python -m vla_scenes.stage.picture hsr OUT.jpg``.

The large view is one that no policy has; the small ones are the robot's cameras, here with the
shadows that they otherwise leave out for speed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.contract import load_contract
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import run_executed
from vla_scenes.stage.measure import expert_of
from vla_scenes.stage.scene import StageScene
from vla_scenes.world import Look

LOOK = Look(width=960, height=720, shadows=True, samples=4)


@dataclass(frozen=True)
class Angle:
    """From where the large view is taken [deg, m], and when [s]."""

    azimuth: float
    elevation: float
    distance: float
    centre: tuple[float, float, float]
    after_s: float


ANGLES = {
    "hsr": Angle(242.0, -22.0, 2.6, (0.50, 0.15, 0.55), 5.2),
    "go2_arm": Angle(140.0, -18.0, 1.45, (0.62, 0.0, 0.28), 5.0),
}


def main() -> None:
    """Let the expert work for a while and take the picture."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("robot", choices=sorted(ANGLES))
    parser.add_argument("file", help="image to write")
    parser.add_argument("--config", type=Path, default=Path("config"), help="of the checkout")
    parser.add_argument("--task", type=int, default=0)
    parser.add_argument("--seed", type=int, default=EVAL_SEEDS[3])
    parser.add_argument("--after", type=float, help="simulated time [s]")
    chosen = parser.parse_args()
    expert, _, instructions = expert_of(chosen.robot)
    folder = chosen.config / "robots" / chosen.robot
    contract = load_contract([folder / "contract.yaml", folder / "sim.yaml"])
    scene = scene_of(chosen.robot)
    angle = ANGLES[chosen.robot]
    try:
        told = instructions[chosen.task]
        run_executed(
            expert(), contract, scene, chosen.seed, told, 0.1, chosen.after or angle.after_s
        )
        picture = take(scene, angle)[..., ::-1]
        cv2.imwrite(chosen.file, picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    finally:
        scene.close()


def scene_of(robot: str) -> StageScene:
    """Return a robot's scene, drawn with shadows."""
    return expert_of(robot)[1](0, LOOK)


def take(scene: StageScene, angle: Angle) -> NDArray[np.uint8]:
    """Return the large view with the cameras beside it, (720, ..., 3) RGB."""
    height = LOOK.height // len(scene.cameras)
    width = round(height * LOOK.width / LOOK.height)
    small = [
        cv2.resize(scene.image(name), (width, height), interpolation=cv2.INTER_AREA)
        for name in scene.cameras
    ]
    return np.hstack([_large(scene, angle), np.vstack(small)])


def _large(scene: StageScene, angle: Angle) -> NDArray[np.uint8]:
    camera = mujoco.MjvCamera()
    camera.azimuth, camera.elevation = angle.azimuth, angle.elevation
    camera.distance, camera.lookat[:] = angle.distance, angle.centre
    renderer = mujoco.Renderer(scene.model, LOOK.height, LOOK.width)
    try:
        renderer.update_scene(scene.data, camera)
        image: NDArray[np.uint8] = renderer.render()
        return image
    finally:
        renderer.close()


if __name__ == "__main__":
    main()
