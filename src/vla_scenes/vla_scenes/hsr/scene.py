"""The HSR's scene: a table with three cans, a cabinet with two drawers, three cameras."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError
from vla_scenes.hsr.layout import (
    CABINET_HALF,
    CABINET_HEIGHT,
    CAN_HEIGHT,
    CAN_MASS,
    CAN_RADIUS,
    DRAWER_Z,
    HANDLE_OUT,
    HANDLE_RADIUS,
    TABLE_HALF,
    TABLE_HEIGHT,
    TRAVEL,
    draw_layout,
)
from vla_scenes.hsr.robot import BASE, HOME, JOINTS, LOWER, PADS, UPPER, add_robot
from vla_scenes.hsr.tasks import CANS, DRAWERS, Task, parse
from vla_scenes.stage.base import in_base, in_world
from vla_scenes.stage.room import (
    BOX,
    CYLINDER,
    SEEN,
    SOLID,
    add_box,
    add_camera,
    add_room,
    set_options,
)
from vla_scenes.stage.scene import StageScene
from vla_scenes.world import Look

Floats = NDArray[np.float64]

OBJECT_ENTRIES = (
    *(f"base.{axis}" for axis in ("x", "y", "yaw")),
    *(f"{can}_can.{axis}" for can in CANS for axis in "xyz"),
    *(f"{thing}.{axis}" for thing in ("table", "cabinet") for axis in ("x", "y", "yaw")),
    *(f"{drawer}_drawer.opening" for drawer in DRAWERS),
)
# A can is fetched when it is held this far before the table's edge; a drawer is open from here.
FETCHED_BEFORE, OPENED, SHUT = 0.10, 0.18, 0.03  # [m]
EXTERNAL = [-0.55, 1.30, 1.75]  # over the robot's left shoulder [m]


class HsrScene(StageScene):
    """See `vla_scenes.scene.Scene`. Eleven columns: eight joints, the base's velocity."""

    columns = (*JOINTS, *BASE)
    cameras = ("head", "hand", "external")
    entries = JOINTS
    object_entries = OBJECT_ENTRIES
    servos = JOINTS
    limits = (LOWER, UPPER)
    _task: Task | None = None

    def build(self, look: Look) -> mujoco.MjModel:
        """Return the compiled model."""
        spec = mujoco.MjSpec()
        set_options(spec, "vla_hsr_room", look, [0.5, 0.0, 0.5])
        add_room(spec, look, back_x=2.2)
        add_robot(spec)
        _add_table(spec.worldbody.add_body(name="table"))
        _add_cabinet(spec.worldbody.add_body(name="cabinet"))
        for can in CANS:
            _add_can(spec.worldbody.add_body(name=f"{can}_can"), f"{can}_can")
        add_camera(spec.worldbody, "external", EXTERNAL, [0.75, -0.05, 0.55], 48.0)
        return spec.compile()

    def arrange(self, seed: int) -> None:
        """Put furniture, cans and robot where a seed wants them."""
        self.layout = layout = draw_layout(seed)
        for name, pose in (("table", layout.table), ("cabinet", layout.cabinet)):
            self.model.body(name).pos[:] = [pose[0], pose[1], 0.0]
            self.model.body(name).quat[:] = [np.cos(pose[2] / 2), 0, 0, np.sin(pose[2] / 2)]
        for can, place in layout.cans.items():
            at = np.array([place[0] - TABLE_HALF[0], place[1], 0.0])
            x, y, _ = layout.table + in_world(layout.table[2], at)
            height = TABLE_HEIGHT + CAN_HEIGHT / 2 + 0.001
            self.data.joint(f"{can}_can").qpos[:] = [x, y, height, 1, 0, 0, 0]
        self._apply_look()
        self.base.place(layout.robot)
        self.place_servos(np.clip(HOME + layout.joint_shift, LOWER, UPPER))
        hand = self.data.joint("hand_motor_joint").qpos[0]
        self.data.joint("hand_r_proximal_joint").qpos[:] = hand
        for tip in ("left_tip_joint", "right_tip_joint"):
            self.data.joint(tip).qpos[:] = -hand
        self.data.joint("torso_lift_joint").qpos[:] = self.data.joint("arm_lift_joint").qpos / 2

    def _apply_look(self) -> None:
        layout = self.layout
        for geom in range(self.model.ngeom):
            name = self.model.geom(geom).name.split("/")[0]
            if name in layout.colours:
                self.model.geom_rgba[geom, :3] = layout.colours[name]
        self.model.light("lamp").diffuse[:] = np.array([0.5, 0.49, 0.46]) * (
            layout.lighting.brightness
        )
        self.model.light("lamp").pos[:] = layout.lighting.lamp
        self.model.camera("external").pos[:] = np.array(EXTERNAL) + layout.camera_shift

    # -- task ---------------------------------------------------------------------------------

    def set_task(self, instruction: str) -> Task:
        """Choose what `success` checks; InstructionError: names no can and no drawer."""
        self._task = parse(instruction)
        return self._task

    def success(self) -> bool:
        """Return whether the can is held clear of the table, or the one drawer is open.

        A can: between both fingers, 10 cm before the table's edge, not lower than it stood. A
        drawer: 18 cm open, the other one shut.
        """
        if self._task is None:
            raise VlaError("the scene has no task; call set_task(instruction) first")
        if self._task.can:
            return self._is_fetched(f"{self._task.can}_can")
        others = [self._opening(name) for name in DRAWERS if name != self._task.drawer]
        return self._opening(self._task.drawer) > OPENED and max(others) < SHUT

    def _is_fetched(self, can: str) -> bool:
        at = self.data.body(can).xpos
        edge = in_base(self.layout.table[2], np.array([*(at[:2] - self.layout.table[:2]), 0.0]))
        clear = edge[0] < -TABLE_HALF[0] - FETCHED_BEFORE
        high = at[2] > TABLE_HEIGHT + CAN_HEIGHT / 2 - 0.02
        return bool(clear and high and set(PADS) <= self.touching(can))

    def _opening(self, drawer: str) -> float:
        return float(self.data.joint(f"{drawer}_drawer").qpos[0])

    # -- what is there ------------------------------------------------------------------------

    def joints(self) -> tuple[Floats, Floats]:
        """Return measured positions and velocities (8,), (8,) [rad, m, per second]."""
        return self.data.qpos[self.qpos], self.data.qvel[self.qvel]

    def objects(self) -> dict[str, float]:
        """Return the truth by entry (`OBJECT_ENTRIES`) [m, rad]: for expert and success alone."""
        layout = self.layout
        truth: dict[str, float] = {}
        poses = {"base": self.base.pose(), "table": layout.table, "cabinet": layout.cabinet}
        for name, pose in poses.items():
            axes = zip(("x", "y", "yaw"), pose, strict=True)
            truth |= {f"{name}.{axis}": float(value) for axis, value in axes}
        for can in CANS:
            at = self.data.body(f"{can}_can").xpos
            truth |= {f"{can}_can.{axis}": float(v) for axis, v in zip("xyz", at, strict=True)}
        truth |= {f"{drawer}_drawer.opening": self._opening(drawer) for drawer in DRAWERS}
        return {entry: truth[entry] for entry in OBJECT_ENTRIES}


def _add_table(table: Any) -> None:
    wood = {**SOLID, "friction": [0.8, 0.01, 0.001]}
    add_box(table, "table/top", [0, 0, TABLE_HEIGHT - 0.015], [*TABLE_HALF, 0.015], wood)
    for i, (x, y) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
        at = [x * (TABLE_HALF[0] - 0.03), y * (TABLE_HALF[1] - 0.03), TABLE_HEIGHT / 2 - 0.015]
        add_box(table, f"table/leg{i}", at, [0.02, 0.02, TABLE_HEIGHT / 2 - 0.015], SOLID)


def _add_cabinet(cabinet: Any) -> None:
    depth, width = CABINET_HALF
    middle = CABINET_HEIGHT / 2
    add_box(cabinet, "cabinet/back", [depth - 0.01, 0, middle], [0.01, width, middle], SOLID)
    for name, side in (("left", 1), ("right", -1)):
        at = [0.012, side * (width - 0.01), middle]
        add_box(cabinet, f"cabinet/{name}", at, [depth - 0.012, 0.01, middle], SOLID)
    for name, z in (("top", CABINET_HEIGHT - 0.01), ("foot", 0.17)):
        half = [depth - 0.012, width - 0.02, 0.01 if name == "top" else 0.17]
        add_box(cabinet, f"cabinet/{name}", [0.012, 0, z], half, SOLID)
    for drawer in DRAWERS:
        _add_drawer(cabinet.add_body(name=f"{drawer}_drawer"), f"{drawer}_drawer")


def _add_drawer(body: Any, name: str) -> None:
    """Add a drawer that slides towards -x, with a bar to grasp from above and below."""
    depth, width = CABINET_HALF
    z = DRAWER_Z[name.split("_")[0]]
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[-1, 0, 0],
        range=[0.0, TRAVEL],
        limited=True,
        damping=12.0,
        frictionloss=2.0,
    )
    add_box(
        body,
        f"cabinet/{name}_front",
        [-depth, 0, z],
        [0.01, width - 0.004, 0.105],
        {**SOLID, "mass": 1.0},
    )
    tray = {**SEEN, "rgba": [0.7, 0.6, 0.48, 1], "mass": 0.5}
    add_box(body, f"{name}_tray", [0, 0, z - 0.08], [depth - 0.02, width - 0.03, 0.006], tray)
    metal = {"rgba": [0.25, 0.25, 0.27, 1], "mass": 0.05}
    for end, y in (("left", 0.06), ("right", -0.06)):
        at = [-depth - 0.01 - HANDLE_OUT / 2, y, z]
        half = [HANDLE_OUT / 2, 0.005, 0.005]
        body.add_geom(name=f"{name}_{end}", type=BOX, pos=at, size=half, **SEEN, **metal)
    bar = [-depth - 0.01 - HANDLE_OUT, 0, z]
    half = [HANDLE_RADIUS, 0.065, HANDLE_RADIUS]
    body.add_geom(name=f"{name}_bar", type=BOX, pos=bar, size=half, **SOLID, **metal)


def _add_can(body: Any, name: str) -> None:
    body.add_freejoint(name=name)
    options = {"mass": CAN_MASS, "friction": [0.7, 0.01, 0.001], "condim": 4, **SOLID}
    size = [CAN_RADIUS, CAN_HEIGHT / 2, 0]
    body.add_geom(name=name, type=CYLINDER, size=size, **options)
    for end, z in (("lid", 1), ("bottom", -1)):
        at = [0, 0, z * (CAN_HEIGHT / 2 - 0.0035)]
        grey = {"rgba": [0.75, 0.75, 0.77, 1], "mass": 0.0, **SEEN}
        body.add_geom(
            name=f"{name}_{end}",
            type=CYLINDER,
            pos=at,
            size=[CAN_RADIUS + 0.0006, 0.004, 0],
            **grey,
        )
