"""A scripted policy that moves every column a little, in the layout of the AIRoA data."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, PolicyConfig
from vla_core.ports import PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix

STEP_NS = NS_PER_S // 10
ROWS = 20
PERIOD_S = 6.0
# Column -> unit, middle, amplitude, phase [turns]; velocities for the base.
MOTION = {
    "arm_lift_joint": ("m", 0.2, 0.08, 0.0),
    "arm_flex_joint": ("rad", -0.5, 0.3, 0.0),
    "arm_roll_joint": ("rad", 0.0, 0.3, 0.25),
    "wrist_flex_joint": ("rad", -1.2, 0.3, 0.5),
    "wrist_roll_joint": ("rad", 0.0, 0.4, 0.75),
    "hand_motor_joint": ("rad", 0.6, 0.5, 0.0),
    "head_pan_joint": ("rad", 0.0, 0.5, 0.25),
    "head_tilt_joint": ("rad", -0.3, 0.2, 0.0),
    "base_x": ("m/s", 0.0, 0.15, 0.0),
    "base_y": ("m/s", 0.0, 0.1, 0.25),
    "base_t": ("rad/s", 0.0, 0.4, 0.5),
}
STATE = tuple(MOTION)[:8]
ABSOLUTE = ("hand_motor_joint", "base_x", "base_y", "base_t")


class Sway:
    """Sines of absolute time, so that chunks agree with each other whenever they are asked for."""

    def __init__(self, config: PolicyConfig, contract: Contract) -> None:
        self._spec = PolicySpec(
            name=config.name,
            images={},
            state={"joints": STATE},
            columns=tuple(MOTION),
            units=tuple(unit for unit, *_ in MOTION.values()),
            horizon=ROWS,
            step_ns=STEP_NS,
            robot=contract.robot,
        )

    @property
    def spec(self) -> PolicySpec:
        """Deltas for arm and head: absolute only after the conversions of the policy's file."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return where to be in the next seconds, arm and head relative to the observed state."""
        times = observation.as_of_ns + STEP_NS * np.arange(ROWS)
        values = targets(times)
        for i, name in enumerate(MOTION):
            if name not in ABSOLUTE:
                values[:, i] -= observation.state["joints"][STATE.index(name)]
        return ActionChunk(values, observation.as_of_ns, STEP_NS, tuple(MOTION))

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to release."""


def targets(times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the absolute targets (T, 11) at these times."""
    turns = times_ns[:, None] / (PERIOD_S * NS_PER_S)
    _, middle, amplitude, phase = (np.array(part) for part in zip(*MOTION.values(), strict=True))
    return np.asarray(
        middle.astype(float)
        + amplitude.astype(float) * np.sin(2 * math.pi * (turns + phase.astype(float))),
        np.float64,
    )
