"""The scripted expert as a policy: sees object poses instead of pixels, acts through chunks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError
from vla_core.ports import EXAMPLE_INSTRUCTION, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_scenes.kinematics import JOINTS
from vla_scenes.motion import Mover, Reference, look_ahead, predict
from vla_scenes.pick_place import GRIPPER, SQUEEZE, View, is_held
from vla_scenes.tabletop import OBJECT_ENTRIES
from vla_scenes.tasks import TASKS, InstructionError, Task, parse

ROWS = 32
STEP_NS = 50_000_000


class TabletopExpert:
    """Puts the named cube on the named pad; a pure function of observation and prefix."""

    def __init__(self, config: object = None, contract: object = None) -> None:
        # `scripted:` hands over both; what the expert knows is in the scene.
        self._mover = Mover(STEP_NS / NS_PER_S)

    @property
    def spec(self) -> PolicySpec:
        """What the expert takes and gives."""
        return PolicySpec(
            name="expert",
            images={},
            state={"joints": JOINTS, "objects": OBJECT_ENTRIES},
            columns=JOINTS,
            units=("rad",) * len(JOINTS),
            horizon=ROWS,
            step_ns=STEP_NS,
            robot="so101",
            accepts_prefix=True,
            metadata={EXAMPLE_INSTRUCTION: TASKS[0].instruction},
        )

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next 1.6 s of the task.

        With a prefix the chunk repeats what is committed and continues from there; without one
        it starts from the measured joints, at rest.

        Raises:
            InferenceError: the instruction names no cube and pad of the scene.
        """
        self.spec.validate(observation)
        joints = observation.state["joints"]
        objects = dict(zip(OBJECT_ENTRIES, observation.state["objects"], strict=True))
        try:
            task = parse(observation.instruction)
        except InstructionError as error:
            raise InferenceError(f"expert: {error}") from error
        start_ns = observation.as_of_ns
        given = committed(prefix, start_ns)
        first = given[0] if given else self._standing(task, joints, objects)
        view, reference = view_of(task, joints, objects, first), (given or [first])[-1]
        for planned in given[1:]:
            view = predict(view, planned)
        ahead = given[:-1] + look_ahead(self._mover, reference, view, ROWS - len(given[:-1]))
        values = np.array([r.joints() for r in ahead])
        return ActionChunk(values, start_ns, STEP_NS, JOINTS, prefix_rows=len(given))

    def _standing(
        self, task: Task, joints: NDArray[np.float64], objects: Mapping[str, float]
    ) -> Reference:
        """Return the reference of an arm at rest that does not let go of what it holds."""
        reference = Reference.at_rest(joints)
        if is_held(view_of(task, joints, objects, reference)):
            reference.pose[GRIPPER] = SQUEEZE
        return reference

    def rows(
        self,
        task: Task,
        joints: NDArray[np.float64],
        objects: Mapping[str, float],
        reference: Reference,
        rows: int = ROWS,
    ) -> NDArray[np.float64]:
        """Return joint targets (rows, 6) [rad] from a reference on; row 0 is now."""
        view = view_of(task, joints, objects, reference)
        ahead = look_ahead(self._mover, reference, view, rows)
        return np.array([r.joints() for r in ahead])

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def view_of(
    task: Task,
    joints: NDArray[np.float64],
    objects: Mapping[str, float],
    reference: Reference,
) -> View:
    """Return what the decision looks at: the planned pose, the measured jaw, cube and pad."""
    cube, pad = f"{task.cube}_cube", f"{task.pad}_pad"
    return View(
        pose=reference.pose,
        jaw=float(joints[GRIPPER]),
        cube=np.array([objects[f"{cube}.{axis}"] for axis in "xyz"]),
        cube_yaw=objects[f"{cube}.yaw"],
        pad=np.array([objects[f"{pad}.x"], objects[f"{pad}.y"]]),
    )


def committed(prefix: Prefix | None, now_ns: int) -> list[Reference]:
    """Return the plan's references at the chunk's rows from now until it may change."""
    if prefix is None:
        return []
    until_ns = max(prefix.committed_until_ns, prefix.start_ns)
    rows = 1 + max(0, -(-(until_ns - now_ns) // STEP_NS))
    given = [reference_at(prefix, now_ns + row * STEP_NS) for row in range(min(rows, ROWS - 1))]
    return [reference for reference in given if reference is not None]


def reference_at(prefix: Prefix | None, now_ns: int) -> Reference | None:
    """Return position, velocity and acceleration of the plan now, None if there is no plan.

    Before its first knot and after its last one a plan is at rest.
    """
    if prefix is None or len(prefix.values) < 4:
        return None
    at = (now_ns - prefix.start_ns) / prefix.step_ns
    last = len(prefix.values) - 1
    if not 0 <= at <= last:
        return Reference.at_rest(prefix.values[0 if at < 0 else last])
    # The position is that of a cubic through four knots. The derivatives are of one fitted to
    # more: plans may have corners, which it must not take for accelerations that no limit allows.
    times_s = (np.arange(last + 1) - at) * prefix.step_ns / NS_PER_S
    distance = np.abs(times_s)
    near = np.argsort(distance, kind="stable")[: max(5, int((distance <= 0.06).sum()))]
    here = np.polyfit(times_s[near[:4]], prefix.values[near[:4]], 3)[-1]
    _, bend, slope, _ = np.polyfit(times_s[near], prefix.values[near], 3)
    return Reference.moving(here, slope, 2 * bend).bounded()
