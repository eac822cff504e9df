"""One run as its receiver saw it, in the same words for both systems."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """One chunk: when it was asked for, from which instant, when it could be played [s]."""

    asked_s: float
    observed_s: float
    usable_s: float
    inference_s: float
    waited_s: float = 0.0  # of the way, behind an earlier inference
    prepared_s: float = 0.0  # of the way, turning the observation into the policy's input
    by_threshold: bool = True


@dataclass(frozen=True, eq=False)
class Run:
    """What was written down during one run; wall clock of one machine [s]."""

    began_s: float  # the first request leaves
    commands_s: Floats  # (N,) when each command reached the robot
    due_s: Floats  # (N,) the tick that it belongs to; where nobody says: when it came
    commands: Floats  # (N, A)
    states_s: Floats  # (M,)
    states: Floats  # (M, A) of the simulated joints
    answers: tuple[Answer, ...]
    ticks: int
    starved_ticks: int
    requests: int
    requests_by_threshold: int
    is_synchronous: bool = False  # fell back to it, or was asked to
    tick_error_s: tuple[float, float] = (float("nan"), float("nan"))  # p50, p99, by the ticker
    cpu_s: dict[str, float] = field(default_factory=dict)  # per process
    wall_s: float = float("nan")
    memory_mb: dict[str, float] = field(default_factory=dict)
    interventions: int = 0
