"""What all scenes with a driving robot do alike: step, render, answer; each adds its own world."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError
from vla_scenes.scene import Snapshot
from vla_scenes.stage.base import PlanarBase
from vla_scenes.world import PHYSICS_STEP_S, Look

Floats = NDArray[np.float64]
_PHYSICS_STEP_NS = round(PHYSICS_STEP_S * 1e9)
_BASE_STEPS = 5  # physics steps between two updates of the base


class StageScene:
    """Base class; see `vla_scenes.scene.Scene` for what callers may do, and from which thread.

    A subclass gives ``build``, ``arrange``, ``objects``, ``set_task``, ``success`` and ``joints``.
    """

    columns: tuple[str, ...]  # positions of `servos`, then the base's three velocities
    cameras: tuple[str, ...]
    entries: tuple[str, ...]
    object_entries: tuple[str, ...]
    servos: ClassVar[tuple[str, ...]]
    limits: ClassVar[tuple[Floats, Floats]]  # of the servos (S,), (S,)

    def __init__(self, seed: int = 0, look: Look | None = None) -> None:
        self.look = look or Look()
        self.model = self.build(self.look)
        self.data = mujoco.MjData(self.model)
        self._seen = mujoco.MjData(self.model)  # what is rendered, so that stepping may go on
        self._renderer: mujoco.Renderer | None = None
        self.base = PlanarBase(self.model, self.data)
        self.qpos = [int(self.model.joint(name).qposadr[0]) for name in self.servos]
        self.qvel = [int(self.model.joint(name).dofadr[0]) for name in self.servos]
        self._ctrl = [int(self.model.actuator(name).id) for name in self.servos]
        self.reset(seed)

    # -- what a subclass gives ------------------------------------------------------------------

    def build(self, look: Look) -> mujoco.MjModel:
        """Return the compiled model."""
        raise NotImplementedError

    def arrange(self, seed: int) -> None:
        """Put everything where a seed wants it, with `place_servos` and `base.place`."""
        raise NotImplementedError

    def set_task(self, instruction: str) -> object:
        """Choose what `success` checks; InstructionError: nothing that this scene knows."""
        raise NotImplementedError

    def success(self) -> bool:
        """Return whether the chosen task is done now; VlaError: none was chosen."""
        raise NotImplementedError

    def joints(self) -> tuple[Floats, Floats]:
        """Return measured positions and velocities by entry, as the robot itself knows them."""
        raise NotImplementedError

    def objects(self) -> dict[str, float]:
        """Return the truth by entry of `object_entries`."""
        raise NotImplementedError

    def disturbance(self, duration_ns: int) -> Floats | None:
        """Return what the base does beside what it is told (3,); called as time passes."""
        return None

    # -- time -----------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Put the layout of a seed there and the robot at its start; time starts at zero."""
        mujoco.mj_resetData(self.model, self.data)
        self.arrange(seed)
        mujoco.mj_forward(self.model, self.data)

    def step(self, duration_ns: int) -> None:
        """Advance the world by whole physics steps of 2 ms, rounded."""
        left = (duration_ns + _PHYSICS_STEP_NS // 2) // _PHYSICS_STEP_NS
        while left > 0:
            steps = int(min(left, _BASE_STEPS))
            duration = steps * _PHYSICS_STEP_NS
            self.base.advance(duration, self.disturbance(duration))
            mujoco.mj_step(self.model, self.data, nstep=steps)
            left -= steps

    @property
    def time_ns(self) -> int:
        """Simulated time since reset [ns]."""
        steps: int = round(self.data.time / PHYSICS_STEP_S)
        return steps * _PHYSICS_STEP_NS

    # -- robot ----------------------------------------------------------------------------------

    def command(self, values: Sequence[float] | Floats) -> None:
        """Set targets by column; they hold until the next command.

        Raises:
            VlaError: another number of columns, or NaN or infinity.
        """
        targets = np.asarray(values, np.float64)
        if targets.shape != (len(self.columns),) or not np.isfinite(targets).all():
            raise VlaError(f"scene: expected {len(self.columns)} finite targets, got {values}")
        servos = len(self.servos)
        self.data.ctrl[self._ctrl] = np.clip(targets[:servos], *self.limits)
        self.base.command(targets[servos:])

    def targets(self) -> Floats:
        """Return what was commanded last, by column."""
        return np.concatenate([self.data.ctrl[self._ctrl], self.base.commanded])

    def place_servos(self, positions: Floats) -> None:
        """Put the servos somewhere, at rest; to be called by `arrange`."""
        self.data.qpos[self.qpos] = self.data.ctrl[self._ctrl] = positions

    # -- what is there --------------------------------------------------------------------------

    def touching(self, geom: str) -> set[str]:
        """Return the names of the geoms that touch one."""
        own = self.model.geom(geom).id
        pairs = self.data.contact.geom[: self.data.ncon].tolist()
        others = {b if a == own else a for a, b in pairs if own in (a, b)}
        return {self.model.geom(other).name for other in others}

    def snapshot(self) -> Snapshot:
        """Return where everything is now; called by the thread that steps."""
        return Snapshot(self.time_ns, self.data.qpos.copy())

    def image(self, camera: str, snapshot: Snapshot | None = None) -> NDArray[np.uint8]:
        """Return what a camera sees now, or saw at a snapshot: (height, width, 3) RGB.

        Raises:
            VlaError: no such camera, or nothing on this machine can render.
        """
        if camera not in self.cameras:
            raise VlaError(f"scene has no camera '{camera}'; it has {list(self.cameras)}")
        if self._renderer is None:
            if os.environ.get("MUJOCO_GL") == "disable":
                raise VlaError(
                    "the scene cannot render: neither EGL nor OSMesa was found. On Debian or "
                    "Ubuntu install libegl1 libegl-mesa0 libgl1-mesa-dri libglvnd0."
                )
            self._renderer = mujoco.Renderer(self.model, self.look.height, self.look.width)
        self._seen.qpos[:] = (snapshot or self.snapshot()).qpos
        for place in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            place(self.model, self._seen)
        self._renderer.update_scene(self._seen, camera)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self.look.shadows
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Release the renderer; must happen before the interpreter ends."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
