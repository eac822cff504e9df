"""A picture of the tabletop for people: ``python -m vla_scenes.picture OUT.jpg``.

The large view is one that no policy has; the two small ones are the robot's cameras, here with
the shadows that they otherwise leave out for speed.
"""

from __future__ import annotations

import argparse

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S
from vla_scenes.expert import STEP_NS, view_of
from vla_scenes.motion import Mover, Reference
from vla_scenes.pick_place import decide
from vla_scenes.tabletop import CAMERAS, TabletopScene
from vla_scenes.tasks import TASKS
from vla_scenes.world import Look

LOOK = Look(width=960, height=720, shadows=True, samples=8)
# From the front and the robot's left, slightly above [deg, m].
AZIMUTH, ELEVATION, DISTANCE, CENTRE = 207.0, -23.0, 0.60, [0.155, 0.0, 0.085]


def main() -> None:
    """Let the expert work for a while and take the picture."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", help="image to write")
    parser.add_argument("--seed", type=int, default=1_000_004)
    parser.add_argument("--task", type=int, default=0, help="0 to 5")
    parser.add_argument("--after", type=float, default=2.4, help="simulated time [s]")
    chosen = parser.parse_args()
    scene = TabletopScene(chosen.seed, LOOK)
    try:
        work(scene, TASKS[chosen.task].instruction, round(chosen.after * NS_PER_S))
        cv2.imwrite(chosen.file, take(scene)[..., ::-1])
    finally:
        scene.close()


def work(scene: TabletopScene, instruction: str, until_ns: int) -> None:
    """Let the expert do a task until a time."""
    task, mover = scene.set_task(instruction), Mover(STEP_NS / NS_PER_S)
    reference = Reference.at_rest(scene.targets())
    while scene.time_ns < until_ns:
        view = view_of(task, scene.joints()[0], scene.objects(), reference)
        reference = mover.advance(reference, decide(view, reference.velocity))
        scene.command(reference.joints())
        scene.step(STEP_NS)


def take(scene: TabletopScene) -> NDArray[np.uint8]:
    """Return the large view with both cameras beside it, (720, 1440, 3) RGB."""
    small = [
        cv2.resize(scene.image(name), (480, 360), interpolation=cv2.INTER_AREA) for name in CAMERAS
    ]
    return np.hstack([_large(scene), np.vstack(small)])


def _large(scene: TabletopScene) -> NDArray[np.uint8]:
    camera = mujoco.MjvCamera()
    camera.azimuth, camera.elevation, camera.distance = AZIMUTH, ELEVATION, DISTANCE
    camera.lookat[:] = CENTRE
    renderer = mujoco.Renderer(scene.model, scene.look.height, scene.look.width)
    try:
        renderer.update_scene(scene.data, camera)
        image: NDArray[np.uint8] = renderer.render()
        return image
    finally:
        renderer.close()


if __name__ == "__main__":
    main()
