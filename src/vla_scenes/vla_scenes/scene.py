"""What every scene gives, and the scenes there are by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError
from vla_scenes.world import Look

Floats = NDArray[np.float64]

SCENES = {
    "tabletop": "vla_scenes.tabletop:TabletopScene",
    "hsr_room": "vla_scenes.hsr.scene:HsrScene",
    "go2_arm_table": "vla_scenes.go2_arm.scene:Go2ArmScene",
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where everything was at one instant: enough to render it later, or in another thread."""

    time_ns: int
    qpos: Floats


class Scene(Protocol):
    """A simulated robot, what is around it, and whether a task is done.

    One thread resets, commands and steps. One thread renders, always the same (the renderer
    belongs to the thread that made it); if it is another one it is handed a `snapshot`, and the
    scene is reset only while nothing is being rendered, since a layout has its own colours.
    """

    columns: tuple[str, ...]  # what `command` takes
    cameras: tuple[str, ...]
    entries: tuple[str, ...]  # what `joints` measures
    object_entries: tuple[str, ...]  # what `objects` tells: for experts and success alone
    model: mujoco.MjModel
    data: mujoco.MjData

    def reset(self, seed: int) -> None:
        """Put the layout of a seed there and the robot at its start; time starts at zero."""
        ...

    def set_task(self, instruction: str) -> object:
        """Choose what `success` checks; InstructionError: nothing that this scene knows."""
        ...

    def success(self) -> bool:
        """Return whether the chosen task is done now; VlaError: none was chosen."""
        ...

    def command(self, values: Sequence[float] | Floats) -> None:
        """Set the targets by column: positions, or velocities of a base; all finite, SI."""
        ...

    def step(self, duration_ns: int) -> None:
        """Advance the world."""
        ...

    @property
    def time_ns(self) -> int:
        """Simulated time since reset [ns]."""
        ...

    def targets(self) -> Floats:
        """Return what was commanded last, by column."""
        ...

    def joints(self) -> tuple[Floats, Floats]:
        """Return measured positions and velocities by entry, as the robot itself knows them."""
        ...

    def objects(self) -> dict[str, float]:
        """Return the truth by entry of `object_entries`."""
        ...

    def snapshot(self) -> Snapshot:
        """Return where everything is."""
        ...

    def image(self, camera: str, snapshot: Snapshot | None = None) -> NDArray[np.uint8]:
        """Return what a camera sees now, or saw at a snapshot: (height, width, 3) RGB."""
        ...

    def close(self) -> None:
        """Release the renderer; must happen before the interpreter ends."""
        ...


class SceneClass(Protocol):
    """A scene's class: what its scenes take and give is known before one is built."""

    columns: tuple[str, ...]
    cameras: tuple[str, ...]
    entries: tuple[str, ...]
    object_entries: tuple[str, ...]

    def __call__(self, seed: int, look: Look) -> Scene: ...


def scene_class(name: str) -> SceneClass:
    """Return the class of a scene.

    Raises:
        VlaError: there is no such scene; names those there are.
    """
    if name not in SCENES:
        raise VlaError(f"unknown scene '{name}'; known: {sorted(SCENES)}")
    module, _, attribute = SCENES[name].partition(":")
    return cast("SceneClass", getattr(importlib.import_module(module), attribute))
