"""A scripted policy that needs no camera: walks in curves while the arm moves. For mocks.

Loaded as ``scripted:vla_go2_arm.patrol:PatrolPolicy``; imports no ROS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError
from vla_core.ports import EXAMPLE_INSTRUCTION, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_so101.calibration import JOINTS
from vla_so101.reach import WAVE, ReachPolicy

Floats = NDArray[np.float64]

BASE = ("vx", "vy", "vyaw")
# Largest velocities [m/s, m/s, rad/s] and their periods [s]: well inside the contract's limits.
SPEED = np.array([0.25, 0.1, 0.4])
PERIOD_S = np.array([8.0, 6.0, 5.0])

# Instruction -> what the base does (share of the above), what the arm does.
TASKS: Mapping[str, tuple[float, str]] = {
    "patrol": (1.0, WAVE),
    "walk": (1.0, "go home"),
    "stand and wave": (0.0, WAVE),
    "stand": (0.0, "go home"),
}


class PatrolPolicy:
    """Velocities that are a function of time, and the arm's own scripted motions."""

    def __init__(self, config: object = None, contract: object = None) -> None:
        self._arm = ReachPolicy()
        spec = self._arm.spec
        self._spec = replace(
            spec,
            name="patrol",
            columns=JOINTS + BASE,
            units=(*spec.units, "m/s", "m/s", "rad/s"),
            robot="go2_arm",
            metadata={EXAMPLE_INSTRUCTION: "patrol"},
        )

    @property
    def spec(self) -> PolicySpec:
        """What the policy takes and gives."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next rows.

        Raises:
            InferenceError: the instruction is not known; the sentence lists the known ones.
        """
        task = " ".join(observation.instruction.lower().split())
        if task not in TASKS:
            raise InferenceError(f"patrol: unknown instruction '{task}'; known: {list(TASKS)}")
        share, motion = TASKS[task]
        arm = self._arm.infer(replace(observation, instruction=motion), _arm_part(prefix))
        rows = np.hstack([arm.values, share * velocities(arm.start_ns, arm.step_ns, arm.horizon)])
        if prefix is not None:
            kept = arm.prefix_rows
            rows[:kept, len(JOINTS) :] = _base_part(prefix, arm, kept)
        return replace(arm, values=rows, columns=self._spec.columns)

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def velocities(start_ns: int, step_ns: int, count: int) -> Floats:
    """Return the velocities of the base (count, 3)."""
    seconds = (start_ns + np.arange(count)[:, None] * step_ns) / NS_PER_S
    return SPEED * np.sin(2 * np.pi * seconds / PERIOD_S)


def _arm_part(prefix: Prefix | None) -> Prefix | None:
    return None if prefix is None else replace(prefix, values=prefix.values[:, : len(JOINTS)])


def _base_part(prefix: Prefix, chunk: ActionChunk, kept: int) -> Floats:
    """Return what is committed of the base, at the chunk's rows (kept, 3)."""
    knots = np.arange(len(prefix.values)) * prefix.step_ns
    due = chunk.start_ns - prefix.start_ns + np.arange(kept) * chunk.step_ns
    columns = prefix.values[:, len(JOINTS) :].T
    return np.array([np.interp(due, knots, column) for column in columns]).T
