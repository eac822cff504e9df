"""A window onto the simulation, where there is a screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from vla_core.errors import NotReadyError
from vla_scenes.scene import Scene


def open_viewer(scene: Scene) -> Callable[[], None]:
    """Open MuJoCo's window; returns what redraws it (nothing more once it was closed).

    Raises:
        NotReadyError: there is no screen.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise NotReadyError("no screen (neither DISPLAY nor WAYLAND_DISPLAY is set)")
    import mujoco.viewer

    window = mujoco.viewer.launch_passive(
        scene.model, scene.data, show_left_ui=False, show_right_ui=False
    )

    def redraw() -> None:
        if window.is_running():
            window.sync()

    return redraw
