"""The scripted expert as a policy: sees the truth instead of pixels, acts through chunks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError
from vla_core.ports import EXAMPLE_INSTRUCTION, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_scenes import motion
from vla_scenes.go2_arm.decision import ARM, Seen, arm_view, decide, predict
from vla_scenes.go2_arm.robot import BASE
from vla_scenes.go2_arm.scene import OBJECT_ENTRIES
from vla_scenes.go2_arm.tasks import TASKS, Task, parse
from vla_scenes.kinematics import JOINTS, forward, inverse
from vla_scenes.motion import Reference
from vla_scenes.pick_place import GRIPPER, SQUEEZE, is_held
from vla_scenes.stage.planning import (
    ROWS,
    STEP_NS,
    Arm,
    Configuration,
    Planned,
    Profile,
    committed,
    continued,
    unroll,
)
from vla_scenes.tasks import InstructionError

Floats = NDArray[np.float64]

# x, y, yaw, then the arm's pose as on the tabletop; inside the contract.
VELOCITY = np.concatenate([[0.22, 0.15, 0.5], motion.VELOCITY])
ACCELERATION = np.concatenate([[0.5, 0.4, 1.2], motion.ACCELERATION])
JERK = np.concatenate([[3.0, 2.5, 8.0], motion.JERK])


class Go2ArmExpert:
    """Walks to the named cube and lifts it; a pure function of what it is given."""

    def __init__(self, config: object = None, contract: object = None) -> None:
        # `scripted:` hands over both; what the expert knows is in the scene.
        self._profile = Profile(VELOCITY, ACCELERATION, JERK)

    @property
    def spec(self) -> PolicySpec:
        """What the expert takes and gives."""
        return PolicySpec(
            name="go2_arm_expert",
            images={},
            state={"joints": JOINTS, "objects": OBJECT_ENTRIES},
            columns=(*JOINTS, *BASE),
            units=(*["rad"] * 6, "m/s", "m/s", "rad/s"),
            horizon=ROWS,
            step_ns=STEP_NS,
            robot="go2_arm",
            accepts_prefix=True,
            metadata={EXAMPLE_INSTRUCTION: TASKS[0].instruction},
        )

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next 1.6 s of the task.

        With a prefix the chunk repeats what is committed and continues from there; without one
        it starts from the measured joints, at rest.

        Raises:
            InferenceError: the instruction names no cube.
        """
        self.spec.validate(observation)
        truth = dict(zip(OBJECT_ENTRIES, observation.state["objects"], strict=True))
        joints = observation.state["joints"]
        try:
            seen = seen_of(parse(observation.instruction), truth, float(joints[GRIPPER]))
        except InstructionError as error:
            raise InferenceError(f"expert: {error}") from error
        pose = np.array([truth[f"trunk.{axis}"] for axis in ("x", "y", "yaw")])
        plan = committed(prefix, observation.as_of_ns)
        given = continued(pose, plan, _arm) if plan else [_standing(seen, pose, joints)]
        given = [c.bounded(VELOCITY, ACCELERATION) for c in given]
        ahead = _Foresight(seen, given[0])
        path = unroll(given, ahead.decide, ahead.predict, self._profile)
        rows = np.array([_row(configuration) for configuration in path])
        return ActionChunk(
            rows, observation.as_of_ns, STEP_NS, self.spec.columns, prefix_rows=len(plan)
        )

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def seen_of(task: Task, truth: Mapping[str, float], jaw: float) -> Seen:
    """Return what the decision looks at."""
    cube = f"{task.cube}_cube"
    return Seen(
        cube=np.array([truth[f"{cube}.{axis}"] for axis in "xyz"]),
        cube_yaw=truth[f"{cube}.yaw"],
        table_yaw=truth["table.yaw"],
        trunk_z=truth["trunk.z"],
        roll=truth["trunk.roll"],
        pitch=truth["trunk.pitch"],
        jaw=jaw,
    )


class _Foresight:
    """What would be seen as a path unrolls."""

    def __init__(self, seen: Seen, now: Configuration) -> None:
        self._seen, self._now = seen, now

    def decide(self, now: Configuration) -> Floats:
        return decide(self._seen, now)

    def predict(self, now: Configuration) -> None:
        self._seen, self._now = predict(self._seen, now, self._now), now


def _arm(planned: Planned) -> Arm:
    """Return the arm's pose with its derivatives from a plan of its joints."""
    arm = len(JOINTS)
    moving = Reference.moving(planned.value[:arm], planned.slope[:arm], planned.bend[:arm])
    return moving.pose, moving.velocity, moving.acceleration


def _standing(seen: Seen, pose: Floats, joints: Floats) -> Configuration:
    """Return the configuration of a robot at rest that does not let go of what it holds."""
    value = np.concatenate([pose, forward(joints)])
    if is_held(arm_view(seen, value)[0]):
        value[ARM + GRIPPER] = SQUEEZE
    return Configuration.at_rest(value)


def _row(now: Configuration) -> Floats:
    """Return one row of the chunk (9,): joint targets, base velocity in its own frame."""
    return np.concatenate([inverse(now.value[ARM:]), now.base_velocity()])
