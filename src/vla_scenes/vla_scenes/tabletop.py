"""The tabletop: an SO-101, three cubes, two pads, two cameras, and whether a task is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError
from vla_scenes.geometry import flat_yaw
from vla_scenes.kinematics import JOINTS, LOWER, UPPER
from vla_scenes.layout import CUBE, PAD, PAD_HEIGHT, Layout, draw_layout
from vla_scenes.pick_place import HOME
from vla_scenes.scene import Snapshot
from vla_scenes.so101 import ROBOT_BIT, joint_indices
from vla_scenes.tasks import CUBES, PADS, Task, parse
from vla_scenes.world import PHYSICS_STEP_S, Look, build

CAMERAS = ("front", "wrist")
THINGS = tuple(f"{cube}_cube" for cube in CUBES) + tuple(f"{pad}_pad" for pad in PADS)
OBJECT_ENTRIES = tuple(
    f"{cube}_cube.{axis}" for cube in CUBES for axis in ("x", "y", "z", "yaw")
) + tuple(f"{pad}_pad.{axis}" for pad in PADS for axis in ("x", "y"))

_PHYSICS_STEP_NS = round(PHYSICS_STEP_S * 1e9)
# A cube is placed when its centre is this far inside the pad's edge [m], slower than [m/s].
_INSIDE, _REST_SPEED = 0.006, 0.02


class TabletopScene:
    """A simulated robot and what lies before it.

    One thread resets, commands and steps. One thread renders, always the same (the renderer
    belongs to the thread that made it); if it is another one it is handed a `snapshot`, and the
    scene is reset only while nothing is being rendered, since a layout has its own colours.

    Args:
        seed: the first layout.
        look: image size and effort; the default is what the robot's cameras deliver.
    """

    columns: tuple[str, ...] = JOINTS
    entries: tuple[str, ...] = JOINTS
    object_entries: tuple[str, ...] = OBJECT_ENTRIES
    cameras: tuple[str, ...] = CAMERAS

    def __init__(self, seed: int = 0, look: Look | None = None) -> None:
        self.look = look or Look()
        self.model = build(self.look)
        self.data = mujoco.MjData(self.model)
        self._seen = mujoco.MjData(self.model)  # what is rendered, so that stepping may go on
        self._qpos, self._qvel, self._ctrl = joint_indices(self.model)
        self._renderer: mujoco.Renderer | None = None
        self._task: Task | None = None
        robot = np.flatnonzero(self.model.geom_contype == ROBOT_BIT)
        self._robot_geoms = frozenset(robot.tolist())
        self._front_camera = self.model.camera("front").pos.copy()
        self._lamp = self.model.light("lamp").diffuse.copy()
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Put the layout of a seed on the table and the arm at home; time starts at zero."""
        self.layout = draw_layout(seed)
        mujoco.mj_resetData(self.model, self.data)
        self._apply_look(self.layout)
        for name, place in self.layout.places.items():
            quat = [np.cos(place.yaw / 2), 0.0, 0.0, np.sin(place.yaw / 2)]
            if name.endswith("_cube"):
                self.data.joint(name).qpos[:] = [place.x, place.y, CUBE / 2, *quat]
            else:
                self.model.body(name).pos[:] = [place.x, place.y, 0.0]
                self.model.body(name).quat[:] = quat
        joints = np.clip(HOME + self.layout.joint_shift, LOWER, UPPER)
        self.data.qpos[self._qpos] = joints
        self.data.ctrl[self._ctrl] = joints
        mujoco.mj_forward(self.model, self.data)

    def arrange(
        self, joints: NDArray[np.float64], cubes: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        """Put the arm and some cubes where they are wanted at once, at rest.

        Args:
            joints: (6,) [rad].
            cubes: "red_cube", ... to x, y, z [m] and yaw [rad].
        """
        self.data.qpos[self._qpos] = self.data.ctrl[self._ctrl] = joints
        for name, (x, y, z, yaw) in (cubes or {}).items():
            self.data.joint(name).qpos[:] = [x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        self.data.qvel[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def _apply_look(self, layout: Layout) -> None:
        for name, colour in layout.colours.items():
            self.model.geom(name).rgba[:3] = colour
        self.model.light("lamp").diffuse[:] = self._lamp * layout.light
        self.model.light("lamp").pos[:] = layout.light_position
        self.model.camera("front").pos[:] = self._front_camera + layout.camera_shift

    # -- task ---------------------------------------------------------------------------------

    def set_task(self, instruction: str) -> Task:
        """Choose what `success` checks.

        Raises:
            InstructionError: the instruction names no cube and pad of the scene.
        """
        self._task = parse(instruction)
        return self._task

    @property
    def task(self) -> Task | None:
        """What was chosen last."""
        return self._task

    def success(self) -> bool:
        """Return whether the named cube lies still on the named pad and the arm has let go."""
        if self._task is None:
            raise VlaError("the scene has no task; call set_task(instruction) first")
        cube, pad = f"{self._task.cube}_cube", f"{self._task.pad}_pad"
        return self._is_on(cube, pad) and self._is_still(cube) and not self._is_touched(cube)

    def _is_on(self, cube: str, pad: str) -> bool:
        body, place = self.data.body(cube), self.data.body(pad)
        offset = place.xmat.reshape(3, 3).T @ (body.xpos - place.xpos)
        lies = abs(offset[2] - PAD_HEIGHT - CUBE / 2) < 0.004
        return bool(lies and np.abs(offset[:2]).max() < PAD / 2 - _INSIDE)

    def _is_still(self, cube: str) -> bool:
        return float(np.linalg.norm(self.data.joint(cube).qvel[:3])) < _REST_SPEED

    def _is_touched(self, cube: str) -> bool:
        geom = self.model.geom(cube).id
        return any(
            (a == geom and b in self._robot_geoms) or (b == geom and a in self._robot_geoms)
            for a, b in self.data.contact.geom[: self.data.ncon].tolist()
        )

    # -- robot --------------------------------------------------------------------------------

    def command(self, positions: Sequence[float] | NDArray[np.float64]) -> None:
        """Set the servos' targets (6,) [rad]; they hold until the next command.

        Raises:
            VlaError: another number of joints, or NaN or infinity.
        """
        targets = np.asarray(positions, np.float64)
        if targets.shape != (len(JOINTS),) or not np.isfinite(targets).all():
            raise VlaError(f"so101 scene: expected {len(JOINTS)} finite targets, got {positions}")
        self.data.ctrl[self._ctrl] = np.clip(targets, LOWER, UPPER)

    def step(self, duration_ns: int) -> None:
        """Advance the world by whole physics steps of 2 ms, rounded."""
        steps = (duration_ns + _PHYSICS_STEP_NS // 2) // _PHYSICS_STEP_NS
        mujoco.mj_step(self.model, self.data, nstep=int(steps))

    @property
    def time_ns(self) -> int:
        """Simulated time since reset [ns]."""
        steps: int = round(self.data.time / PHYSICS_STEP_S)
        return steps * _PHYSICS_STEP_NS

    def joints(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return measured positions and velocities (6,), (6,) [rad, rad/s]."""
        return self.data.qpos[self._qpos], self.data.qvel[self._qvel]

    def targets(self) -> NDArray[np.float64]:
        """Return the servos' targets now (6,) [rad]."""
        targets: NDArray[np.float64] = self.data.ctrl[self._ctrl]
        return targets

    # -- what is there ------------------------------------------------------------------------

    def objects(self) -> dict[str, float]:
        """Return true poses by entry (`OBJECT_ENTRIES`) [m, rad]: for expert and success alone."""
        poses: dict[str, float] = {}
        for name in self.layout.places:
            body = self.data.body(name)
            poses[f"{name}.x"], poses[f"{name}.y"] = float(body.xpos[0]), float(body.xpos[1])
            if name.endswith("_cube"):
                poses[f"{name}.z"] = float(body.xpos[2])
                poses[f"{name}.yaw"] = flat_yaw(body.xmat.reshape(3, 3))
        return {entry: poses[entry] for entry in OBJECT_ENTRIES}

    def pixels(self, camera: str) -> NDArray[np.float64]:
        """Return where a camera has the centre of each thing (len(THINGS), 2).

        Right and down as shares of the image, NaN outside it; what hides a thing is not looked at.
        """
        eye = self.model.camera(camera)
        points = np.array([self.data.body(thing).xpos for thing in THINGS])
        place = self.data.cam(camera)
        seen = (points - place.xpos) @ place.xmat.reshape(3, 3)  # right, up, backward
        half = np.tan(np.deg2rad(eye.fovy[0]) / 2)
        aspect = self.look.width / self.look.height
        depth = np.maximum(-seen[:, 2], 1e-6)
        right, up = seen[:, 0] / (depth * half * aspect), seen[:, 1] / (depth * half)
        shares = np.stack([(1 + right) / 2, (1 - up) / 2], axis=1)
        inside = (seen[:, 2] < 0) & (np.abs(shares - 0.5) < 0.5).all(axis=1)
        return np.where(inside[:, None], shares, np.nan)

    def snapshot(self) -> Snapshot:
        """Return where everything is now; called by the thread that steps."""
        return Snapshot(self.time_ns, self.data.qpos.copy())

    def image(self, camera: str, snapshot: Snapshot | None = None) -> NDArray[np.uint8]:
        """Return what a camera sees now, or saw at a snapshot: (height, width, 3) RGB.

        Raises:
            VlaError: no such camera, or nothing on this machine can render.
        """
        if camera not in CAMERAS:
            raise VlaError(f"scene has no camera '{camera}'; it has {list(CAMERAS)}")
        if self._renderer is None:
            self._renderer = self._make_renderer()
        self._seen.qpos[:] = (snapshot or self.snapshot()).qpos
        for place in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            place(self.model, self._seen)
        self._renderer.update_scene(self._seen, camera)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self.look.shadows
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def _make_renderer(self) -> mujoco.Renderer:
        if os.environ.get("MUJOCO_GL") == "disable":
            raise VlaError(
                "the scene cannot render: neither EGL nor OSMesa was found. On Debian or Ubuntu "
                "install libegl1 libegl-mesa0 libgl1-mesa-dri libglvnd0."
            )
        return mujoco.Renderer(self.model, self.look.height, self.look.width)

    def close(self) -> None:
        """Release the renderer; must happen before the interpreter ends."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
