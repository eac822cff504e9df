"""The scripted expert as a policy: sees the truth instead of pixels, acts through chunks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError
from vla_core.ports import EXAMPLE_INSTRUCTION, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_scenes.hsr.decision import ARM, SQUEEZE, View, decide, is_held, predict, thing_of
from vla_scenes.hsr.robot import BASE, HAND, JOINTS, LOWER, UPPER, hand_at
from vla_scenes.hsr.scene import OBJECT_ENTRIES
from vla_scenes.hsr.tasks import TASKS, parse
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

# x, y, yaw, then the joints; inside the contract with room for interpolation between rows.
VELOCITY = np.array([0.17, 0.17, 0.6, 0.12, 0.8, 0.8, 0.8, 0.8, 1.8, 0.8, 0.8])
ACCELERATION = np.array([0.30, 0.30, 1.0, 0.18, 1.1, 1.1, 1.1, 1.1, 8.0, 1.1, 1.1])
JERK = np.array([1.6, 1.6, 6.0, 1.2, 8.0, 8.0, 8.0, 8.0, 120.0, 8.0, 8.0])


class HsrExpert:
    """Fetches the named can, opens the named drawer; a pure function of what it is given."""

    def __init__(self, config: object = None, contract: object = None) -> None:
        # `scripted:` hands over both; what the expert knows is in the scene.
        self._profile = Profile(VELOCITY, ACCELERATION, JERK)

    @property
    def spec(self) -> PolicySpec:
        """What the expert takes and gives."""
        return PolicySpec(
            name="hsr_expert",
            images={},
            state={"joints": JOINTS, "objects": OBJECT_ENTRIES},
            columns=(*JOINTS, *BASE),
            units=("m", *["rad"] * 7, "m/s", "m/s", "rad/s"),
            horizon=ROWS,
            step_ns=STEP_NS,
            robot="hsr",
            accepts_prefix=True,
            metadata={EXAMPLE_INSTRUCTION: TASKS[0].instruction},
        )

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next 1.6 s of the task.

        With a prefix the chunk repeats what is committed and continues from there; without one
        it starts from the measured joints, at rest.

        Raises:
            InferenceError: the instruction names no can and no drawer.
        """
        self.spec.validate(observation)
        truth = dict(zip(OBJECT_ENTRIES, observation.state["objects"], strict=True))
        joints = observation.state["joints"]
        try:
            thing = thing_of(parse(observation.instruction), truth)
        except InstructionError as error:
            raise InferenceError(f"expert: {error}") from error
        view = View(thing, float(joints[HAND]))
        pose = np.array([truth[f"base.{axis}"] for axis in ("x", "y", "yaw")])
        plan = committed(prefix, observation.as_of_ns)
        given = (
            [c.bounded(VELOCITY, ACCELERATION) for c in continued(pose, plan, _joints)]
            if plan
            else [_standing(view, pose, joints)]
        )
        ahead = _Foresight(view, given[0])
        path = unroll(given, ahead.decide, ahead.predict, self._profile)
        rows = np.array([_row(configuration) for configuration in path])
        return ActionChunk(
            rows, observation.as_of_ns, STEP_NS, self.spec.columns, prefix_rows=len(plan)
        )

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


class _Foresight:
    """What would be seen as a path unrolls."""

    def __init__(self, view: View, now: Configuration) -> None:
        self._view, self._now = view, now

    def decide(self, now: Configuration) -> Floats:
        return decide(self._view, now)

    def predict(self, now: Configuration) -> None:
        self._view, self._now = predict(self._view, now, self._now), now


def _standing(view: View, pose: Floats, joints: Floats) -> Configuration:
    """Return the configuration of a robot at rest that does not let go of what it holds."""
    value = np.concatenate([pose, np.clip(joints, LOWER, UPPER)])
    standing = Configuration.at_rest(value)
    if is_held(view, standing):
        standing.value[ARM + HAND] = hand_at(view.thing.half) - SQUEEZE
    return standing


def _joints(planned: Planned) -> Arm:
    arm = len(JOINTS)
    return planned.value[:arm], planned.slope[:arm], planned.bend[:arm]


def _row(now: Configuration) -> Floats:
    """Return one row of the chunk (11,): joint targets, base velocity in its own frame."""
    return np.concatenate([np.clip(now.value[ARM:], LOWER, UPPER), now.base_velocity()])
