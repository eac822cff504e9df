"""What is the same for both systems: robot, task, policy, latency. Loaded in both environments."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from vla_data.tuning.latency import parse
from vla_data.tuning.reference import Follower, Way

Floats = NDArray[np.float64]

JOINTS = ("pan", "lift", "elbow", "flex", "roll", "tip")
HOME = (-1.0, 0.0, 0.2, -0.1, 0.0, 0.1)
SPAN = (2.0, 0.3, 0.3, 0.25, 0.4, 0.35)
CAMERAS = ("front", "wrist")
HEIGHT, WIDTH, CAMERA_HZ = 480, 640, 30.0
SERVO_S = 0.03
# 1.6 s per answer at both rates: LeRobot's usual 50 rows at 30 Hz.
ROWS = {30: 50, 100: 160}


@dataclass(frozen=True)
class Scenario:
    """One run of one system."""

    rate_hz: int
    latency: str  # as in vla_data.tuning.latency
    way_s: float  # duration of the way at its own pace
    mode: str = "async"  # or sync
    join: str = "blend"  # of our executor
    seed: int = 0
    busy: int = 0  # cores that somebody else keeps busy
    time_limit_s: float = 30.0

    @property
    def rows(self) -> int:
        return ROWS[self.rate_hz]

    @property
    def step_s(self) -> float:
        return 1.0 / self.rate_hz

    @property
    def way(self) -> Way:
        return Way(HOME, SPAN, self.way_s)

    def follower(self, held_s: float = 0.0) -> Follower:
        """Return the policy's brain; targets that are held are half of that time late."""
        return Follower(self.way, self.rows, self.step_s, SERVO_S + held_s / 2)

    def text(self) -> str:
        """Return the scenario as the instruction that tells the policy what to do."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Scenario:
        return cls(**json.loads(text))


class Thinker:
    """The policy without anybody's interface: rows for a position, after the drawn latency.

    As a network that was trained on its own robot's data, it knows how late that robot is:
    ``held_s`` is how long each target stands, a tick of LeRobot's or of our bridge.
    """

    def __init__(self, text: str, held_s: float) -> None:
        self.text = text
        scenario = Scenario.of(text)
        self._follower = scenario.follower(held_s)
        self._latency = parse(scenario.latency)
        self._rng = np.random.default_rng(scenario.seed)

    def answer(
        self,
        positions: Floats,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Floats:
        """Return (T, A) [rad] after as long as an inference takes."""
        began = clock()
        rows = self._follower.chunk(positions)
        sleep(max(0.0, self._latency.draw(self._rng) - (clock() - began)))
        return rows


def frames() -> dict[str, NDArray[np.uint8]]:
    """Return one picture per camera: noise, so that no encoding can cheat."""
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for name in CAMERAS}
