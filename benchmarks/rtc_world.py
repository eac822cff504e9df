"""The task of `rtc.py`: a point goes round a disc, left or right, and both are right.

All of it is vectorised over episodes. Lengths in m, time in steps of 50 ms. Demonstrations go
straight on for a while, then decide for a side by chance; kicks show how to recover, and make
either side possible from many places. So a policy that looks twice may change its mind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

START, GOAL = np.array([-0.1, 0.0]), np.array([1.0, 0.0])
DISC, RADIUS = np.array([0.5, 0.0]), 0.15
FORWARD = 0.03  # per step
SIDE = 0.27  # how far a demonstration goes round
BRANCH, AROUND, BACK = 0.12, 0.40, 0.62  # where it leaves the line, is round, comes back
SIDEWAYS = 0.045  # largest lateral move per step of a demonstration
STEPS = 48  # of an episode
REACHED = 0.06
# The plant follows its targets, but no faster than this.
SPEED, SURGE = 0.06, 0.02  # per step, per step and step
SENSOR = 0.01  # standard deviation of what is observed


def profile(x: Array, side: Array) -> Array:
    """Return where a demonstration wants to be at ``x``."""
    out = np.clip((x - BRANCH) / (AROUND - BRANCH), 0.0, 1.0)
    home = np.clip((x - BACK) / (0.95 - BACK), 0.0, 1.0)
    smooth = out * out * (3 - 2 * out) * (1 - home * home * (3 - 2 * home))
    return np.asarray(side * SIDE * smooth)


def demonstrate(at: Array, side: Array, rows: int) -> Array:
    """Return the next positions (N, rows, 2) of demonstrations that are at (N, 2) now."""
    positions, here = [], at
    for _ in range(rows):
        x = np.minimum(here[:, 0] + FORWARD, GOAL[0])
        move = np.clip(0.7 * (profile(x, side) - here[:, 1]), -SIDEWAYS, SIDEWAYS)
        here = np.stack([x, here[:, 1] + move], axis=1)
        positions.append(here)
    return np.stack(positions, axis=1)


def demonstrations(episodes: int, rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return observations (N, 2) and the targets (N, rows, 2) that were commanded then."""
    here = START + np.array([0.03, 0.04]) * rng.normal(size=(episodes, 2))
    side = rng.choice([-1.0, 1.0], episodes)
    seen, asked = [], []
    for _ in range(STEPS):
        future = demonstrate(here, side, rows)
        seen.append(here + SENSOR * rng.normal(size=here.shape))
        asked.append(future)
        kick = (rng.random((episodes, 1)) < 0.1) * 0.05 * rng.normal(size=(episodes, 2))
        here = future[:, 0] + kick
    return np.concatenate(seen), np.concatenate(asked)


@dataclass
class Plant:
    """Points that follow targets with limited speed and surge."""

    position: Array  # (N, 2)
    velocity: Array
    has_hit: NDArray[np.bool_]
    has_reached: NDArray[np.bool_]

    @classmethod
    def at_start(cls, episodes: int, rng: np.random.Generator) -> Plant:
        """Return points near the start, at rest."""
        position = START + np.array([0.02, 0.02]) * rng.normal(size=(episodes, 2))
        never = np.zeros(episodes, bool)
        return cls(position, np.zeros((episodes, 2)), never, never.copy())

    def follow(self, targets: Array) -> None:
        """Let one step pass towards the targets (N, 2)."""
        wanted = _shortened(targets - self.position, SPEED)
        self.velocity = self.velocity + _shortened(wanted - self.velocity, SURGE)
        self.position = self.position + self.velocity
        self.has_hit |= np.linalg.norm(self.position - DISC, axis=1) < RADIUS
        self.has_reached |= np.linalg.norm(self.position - GOAL, axis=1) < REACHED


def sides(plan: Array) -> Array:
    """Return on which side plans (N, T, 2) pass the disc: -1, 1; NaN: they do not say."""
    beside = np.abs(plan[:, :, 0] - DISC[0]) < 0.1
    count = beside.sum(axis=1)
    mean = np.where(beside, np.nan_to_num(plan[:, :, 1]), 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, np.where(mean > 0, 1.0, -1.0), np.nan)


def _shortened(vectors: Array, most: float) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors * np.minimum(1.0, most / np.maximum(length, 1e-12)))
