"""A window on the scene where there is a screen: ``python -m vla_scenes.viewer``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import mujoco.viewer

from vla_core.errors import VlaError
from vla_core.types import NS_PER_S
from vla_scenes.expert import STEP_NS, view_of
from vla_scenes.motion import Mover, Reference
from vla_scenes.pick_place import decide
from vla_scenes.tabletop import TabletopScene
from vla_scenes.tasks import TASKS


def has_screen() -> bool:
    """Return whether a window can be opened."""
    return sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def open_viewer(scene: TabletopScene) -> Any:
    """Open MuJoCo's viewer on a scene; call ``sync()`` on it after each step.

    Raises:
        VlaError: there is no screen.
    """
    if not has_screen():
        raise VlaError("no screen (DISPLAY is not set); run without the viewer")
    return mujoco.viewer.launch_passive(scene.model, scene.data)


def main() -> None:
    """Show the expert doing one task after another until the window is closed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0, help="first layout")
    seed = parser.parse_args().seed
    scene = TabletopScene(seed)
    with open_viewer(scene) as window:
        while window.is_running():
            _play(scene, seed, window)
            seed += 1


def _play(scene: TabletopScene, seed: int, window: Any) -> None:
    scene.reset(seed)
    task = scene.set_task(TASKS[seed % len(TASKS)].instruction)
    mover, reference = Mover(STEP_NS / NS_PER_S), Reference.at_rest(scene.targets())
    while window.is_running() and not (scene.success() and scene.time_ns > 6 * NS_PER_S):
        started = time.monotonic()
        view = view_of(task, scene.joints()[0], scene.objects(), reference)
        reference = mover.advance(reference, decide(view, reference.velocity))
        scene.command(reference.joints())
        scene.step(STEP_NS)
        window.sync()
        time.sleep(max(0.0, STEP_NS / NS_PER_S - (time.monotonic() - started)))


if __name__ == "__main__":
    main()
