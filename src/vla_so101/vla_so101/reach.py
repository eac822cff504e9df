"""A scripted policy that needs no camera: goes to named poses, or waves. For tests and mocks.

Loaded as ``scripted:vla_so101.reach:ReachPolicy``; imports the core alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError
from vla_core.ports import EXAMPLE_INSTRUCTION, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_so101.calibration import JOINTS

Floats = NDArray[np.float64]
Reference = Callable[[float], tuple[Floats, Floats]]  # seconds -> position, velocity (A,)

ROWS, STEP_NS = 32, 50_000_000
SUBSTEPS = 5
GAIN = 4.0  # [1/s] of the distance
FASTEST, HARDEST = 1.2, 5.0  # [rad/s], [rad/s^2]: well inside the contract's limits

# shoulder_pan, shoulder_lift, elbow_flex, wrist_flex, wrist_roll, gripper [rad]
POSES: Mapping[str, tuple[float, ...]] = {
    "go home": (0.0, -1.2, 0.8, 1.4, 0.0, 0.3),
    "reach left": (0.9, -0.3, 0.3, 0.6, 0.4, 1.2),
    "reach right": (-0.9, -0.3, 0.3, 0.6, -0.4, 0.1),
    "reach up": (0.0, -0.2, -0.6, -0.4, 0.0, 0.6),
}
WAVE = "wave"
WAVE_MIDDLE = (0.0, -0.6, 0.3, 0.4, 0.0, 0.7)
WAVE_WIDTH = (0.7, 0.3, 0.4, 0.4, 0.8, 0.4)
WAVE_PERIODS_S = (5.0, 4.0, 3.5, 3.0, 4.5, 6.0)


class ReachPolicy:
    """Approaches the instruction's reference from where the plan is, inside gentle limits."""

    def __init__(self, config: object = None, contract: object = None) -> None:
        # `scripted:` hands over both; the poses are an SO-101's.
        self._spec = PolicySpec(
            name="reach",
            images={},
            state={"joints": JOINTS},
            columns=JOINTS,
            units=("rad",) * len(JOINTS),
            horizon=ROWS,
            step_ns=STEP_NS,
            robot="so101",
            accepts_prefix=True,
            metadata={EXAMPLE_INSTRUCTION: "go home"},
        )

    @property
    def spec(self) -> PolicySpec:
        """What the policy takes and gives."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next 1.6 s; with a prefix it repeats what is committed and goes on there.

        Raises:
            InferenceError: the instruction is not known; the sentence lists the known ones.
        """
        self.spec.validate(observation)
        reference = reference_of(observation.instruction)
        start_ns = observation.as_of_ns
        rows = repeated(prefix, start_ns)
        position = rows[-1] if rows else observation.state["joints"].copy()
        velocity = (rows[-1] - rows[-2]) * NS_PER_S / STEP_NS if len(rows) > 1 else position * 0.0
        kept, rows = len(rows), rows or [position]
        while len(rows) < ROWS:
            seconds = (start_ns + (len(rows) - 1) * STEP_NS) / NS_PER_S
            position, velocity = approach(position, velocity, reference, seconds)
            rows.append(position)
        return ActionChunk(
            np.array(rows),
            start_ns,
            STEP_NS,
            JOINTS,
            prefix_rows=kept,
            ages_ns=dict(observation.ages_ns),
        )

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def reference_of(instruction: str) -> Reference:
    """Return where an instruction wants the arm to be; raises InferenceError."""
    words = " ".join(instruction.lower().split())
    if words in POSES:
        pose = np.array(POSES[words])
        return lambda seconds: (pose, np.zeros_like(pose))
    if words == WAVE:
        return wave
    raise InferenceError(f"reach: unknown instruction '{instruction}'; known: {[*POSES, WAVE]}")


def wave(seconds: float) -> tuple[Floats, Floats]:
    """Return a motion of all joints that never ends."""
    rate = 2 * np.pi / np.array(WAVE_PERIODS_S)
    width, phase = np.array(WAVE_WIDTH), rate * seconds
    return np.array(WAVE_MIDDLE) + width * np.sin(phase), width * rate * np.cos(phase)


def approach(
    position: Floats, velocity: Floats, reference: Reference, seconds: float
) -> tuple[Floats, Floats]:
    """Return position and velocity one row later."""
    step_s = STEP_NS / NS_PER_S / SUBSTEPS
    for substep in range(SUBSTEPS):
        wanted, speed = reference(seconds + substep * step_s)
        asked = np.clip(speed + GAIN * (wanted - position), -FASTEST, FASTEST)
        velocity = velocity + np.clip(asked - velocity, -HARDEST * step_s, HARDEST * step_s)
        position = position + velocity * step_s
    return position, velocity


def repeated(prefix: Prefix | None, start_ns: int) -> list[Floats]:
    """Return the rows that are committed already, from the chunk's start on."""
    if prefix is None or not len(prefix.values):
        return []
    end_ns = prefix.start_ns + (len(prefix.values) - 1) * prefix.step_ns
    until_ns = min(prefix.committed_until_ns, end_ns)
    knots = prefix.start_ns + np.arange(len(prefix.values)) * prefix.step_ns
    rows: list[Floats] = []
    at_ns = start_ns
    while prefix.start_ns <= at_ns <= end_ns and len(rows) < ROWS - 1:
        columns = prefix.values.T
        rows.append(np.array([np.interp(at_ns - start_ns, knots - start_ns, c) for c in columns]))
        if at_ns >= until_ns and len(rows) > 1:
            break
        at_ns += STEP_NS
    return rows
