"""The Go2's scene: a low table with three cubes, cameras at nose and wrist, a gait that shakes."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError
from vla_core.types import NS_PER_S
from vla_scenes.geometry import flat_yaw
from vla_scenes.go2_arm.gait import Gait
from vla_scenes.go2_arm.layout import COLOURS, TABLE_HALF, TABLE_HEIGHT, draw_layout
from vla_scenes.go2_arm.robot import BASE, TRUNK, add_robot, pose_of_stride
from vla_scenes.go2_arm.tasks import Task, parse
from vla_scenes.kinematics import JOINTS, LOWER, UPPER
from vla_scenes.layout import CUBE
from vla_scenes.pick_place import HOME
from vla_scenes.stage.base import in_world
from vla_scenes.stage.room import BOX, SOLID, add_box, add_room, set_options
from vla_scenes.stage.scene import StageScene
from vla_scenes.tasks import CUBES
from vla_scenes.world import CUBE_MASS, Look

Floats = NDArray[np.float64]

ODOMETRY, ATTITUDE = ("base_x", "base_y", "base_yaw"), ("base_roll", "base_pitch")
OBJECT_ENTRIES = (
    *(f"trunk.{axis}" for axis in ("x", "y", "z", "roll", "pitch", "yaw")),
    *(f"{cube}_cube.{axis}" for cube in CUBES for axis in ("x", "y", "z", "yaw")),
    *(f"table.{axis}" for axis in ("x", "y", "yaw")),
)
LIFTED = 0.06  # of a cube's underside above the table [m]
JAWS = {"fixed_pad", "moving_pad"}


class Go2ArmScene(StageScene):
    """See `vla_scenes.scene.Scene`. Nine columns: the arm's six joints, the base's velocity."""

    columns = (*JOINTS, *BASE)
    cameras = ("front", "wrist")
    entries = (*JOINTS, *ODOMETRY, *ATTITUDE)
    object_entries = OBJECT_ENTRIES
    servos = JOINTS
    limits = (LOWER, UPPER)
    _task: Task | None = None

    def build(self, look: Look) -> mujoco.MjModel:
        """Return the compiled model."""
        spec = mujoco.MjSpec()
        set_options(spec, "vla_go2_arm_table", look, [0.5, 0.0, 0.3])
        add_room(spec, look, back_x=2.4)
        add_robot(spec)
        _add_table(spec.worldbody.add_body(name="table"))
        for cube in CUBES:
            _add_cube(spec.worldbody.add_body(name=f"{cube}_cube"), f"{cube}_cube")
        return spec.compile()

    def arrange(self, seed: int) -> None:
        """Put table, cubes and robot where a seed wants them."""
        self.layout = layout = draw_layout(seed)
        table = layout.table
        self.model.body("table").pos[:] = [table[0], table[1], 0.0]
        self.model.body("table").quat[:] = _turned(table[2])
        for cube, (depth, left, yaw) in layout.cubes.items():
            x, y, _ = table + in_world(table[2], np.array([depth - TABLE_HALF[0], left, 0.0]))
            height = TABLE_HEIGHT + CUBE / 2
            self.data.joint(f"{cube}_cube").qpos[:] = [x, y, height, *_turned(table[2] + yaw)]
        self._apply_look()
        self.base.place(layout.robot)
        self.place_servos(np.clip(HOME + layout.joint_shift, LOWER, UPPER))
        self.gait = Gait(layout.gait_seed)
        self._odometry: Floats = np.zeros(3)
        for joint, value in pose_of_stride(self.gait.advance(0, np.zeros(3))).items():
            self.data.joint(joint).qpos[:] = self.data.actuator(joint).ctrl[:] = value

    def disturbance(self, duration_ns: int) -> Floats:
        """Walk on: trunk and legs follow the gait; returns what it adds to the velocity (3,)."""
        stride = self.gait.advance(duration_ns, self.base.commanded)
        for joint, value in pose_of_stride(stride).items():
            self.data.actuator(joint).ctrl[:] = value
        moved = self._own_velocity() * duration_ns / NS_PER_S
        self._odometry = self._odometry + in_world(self._odometry[2], moved)
        return stride.drift

    def _own_velocity(self) -> Floats:
        return self.base.velocity() * self.gait.odometry_scale

    def _apply_look(self) -> None:
        layout = self.layout
        for geom in range(self.model.ngeom):
            name = self.model.geom(geom).name.split("/")[0]
            if name in COLOURS:
                self.model.geom_rgba[geom, :3] = layout.colours[name]
        brightness = layout.lighting.brightness
        self.model.light("lamp").diffuse[:] = np.array([0.5, 0.49, 0.46]) * brightness
        self.model.light("lamp").pos[:] = layout.lighting.lamp

    # -- task ---------------------------------------------------------------------------------

    def set_task(self, instruction: str) -> Task:
        """Choose what `success` checks; InstructionError: names no cube."""
        self._task = parse(instruction)
        return self._task

    def success(self) -> bool:
        """Return whether both jaws hold the named cube, 6 cm and more above the table."""
        if self._task is None:
            raise VlaError("the scene has no task; call set_task(instruction) first")
        cube = f"{self._task.cube}_cube"
        height = self.data.body(cube).xpos[2] - CUBE / 2 - TABLE_HEIGHT
        return bool(height > LIFTED and self.touching(cube) >= JAWS)

    # -- what is there ------------------------------------------------------------------------

    def joints(self) -> tuple[Floats, Floats]:
        """Return what the robot measures by entry: arm, odometry (drifts), roll and pitch.

        Velocities of the odometry are in the base's frame [m/s, rad/s].
        """
        attitude = [float(self.data.joint(name).qpos[0]) for name in TRUNK[1:]]
        rates = [float(self.data.joint(name).qvel[0]) for name in TRUNK[1:]]
        positions = np.concatenate([self.data.qpos[self.qpos], self._odometry, attitude])
        own = self._own_velocity()
        return positions, np.concatenate([self.data.qvel[self.qvel], own, rates])

    def objects(self) -> dict[str, float]:
        """Return the truth by entry (`OBJECT_ENTRIES`) [m, rad]: for expert and success alone."""
        x, y, yaw = (float(value) for value in self.base.pose())
        roll, pitch = (float(self.data.joint(name).qpos[0]) for name in TRUNK[1:])
        height = float(self.data.body("trunk").xpos[2])
        truth = {"trunk.x": x, "trunk.y": y, "trunk.z": height}
        truth |= {"trunk.roll": roll, "trunk.pitch": pitch, "trunk.yaw": yaw}
        for cube in CUBES:
            body = self.data.body(f"{cube}_cube")
            at = (*body.xpos, flat_yaw(body.xmat.reshape(3, 3)))
            axes = zip(("x", "y", "z", "yaw"), at, strict=True)
            truth |= {f"{cube}_cube.{axis}": float(value) for axis, value in axes}
        axes = zip(("x", "y", "yaw"), self.layout.table, strict=True)
        truth |= {f"table.{axis}": float(value) for axis, value in axes}
        return {entry: truth[entry] for entry in OBJECT_ENTRIES}


def _turned(yaw: float) -> list[float]:
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


def _add_table(table: Any) -> None:
    wood = {**SOLID, "friction": [0.8, 0.01, 0.001]}
    add_box(table, "table/top", [0, 0, TABLE_HEIGHT - 0.012], [*TABLE_HALF, 0.012], wood)
    for side in (-1, 1):
        at = [0.0, side * (TABLE_HALF[1] - 0.03), TABLE_HEIGHT / 2 - 0.012]
        half = [TABLE_HALF[0] - 0.02, 0.015, TABLE_HEIGHT / 2 - 0.012]
        add_box(table, f"table/leg{side}", at, half, SOLID)


def _add_cube(body: Any, name: str) -> None:
    body.add_freejoint(name=name)
    options = {"mass": CUBE_MASS, "friction": [0.8, 0.01, 0.0005], "condim": 4, **SOLID}
    body.add_geom(name=name, type=BOX, size=[CUBE / 2] * 3, **options)
