"""How a trotting trunk shakes and drifts: what a velocity command does beside what it says.

Amplitudes are our guess of the size that a walking Go2 shows in its own camera; no measurement of
a real one was available.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S

Floats = NDArray[np.float64]

STEPS_HZ = 2.5  # strides of one diagonal pair
# Trunk while trotting: up [m], roll, pitch [rad]; the same at rest, as noise.
TROT, STAND = np.array([0.005, 0.014, 0.010]), np.array([0.0003, 0.0010, 0.0010])
SWAY = 0.03  # sideways velocity with each step [m/s]
# Slip: share by which each axis goes too far or not far enough, and wandering while walking.
SLIP, WANDER = 0.05, np.array([0.015, 0.015, 0.03])  # [m/s, m/s, rad/s]
FULL_TROT = 0.08  # speed from which the trot is full [m/s, rad/s]
SETTLE_S, WANDER_S, NOISE_S = 0.15, 0.5, 0.08  # time constants


@dataclass(frozen=True, eq=False)
class Stride:
    """What the gait adds at one instant."""

    drift: Floats  # (3,) velocity that was not commanded, in the base's frame [m/s, rad/s]
    trunk: Floats  # (3,) up, roll, pitch from standing [m, rad]
    phase: float  # of the diagonal pairs [rad]
    trot: float  # 0 stands .. 1 trots


class Gait:
    """Advances with simulated time; the same seed walks alike."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._slip = self._rng.uniform(-SLIP, SLIP, 3)
        # Own odometry is wrong in another way than the feet are.
        self.odometry_scale = 1.0 + self._rng.uniform(-SLIP, SLIP, 3) / 2
        self._phase, self._trot = 0.0, 0.0
        self._wander: Floats = np.zeros(3)
        self._noise: Floats = np.zeros(3)

    def advance(self, duration_ns: int, commanded: Floats) -> Stride:
        """Return the stride after some time of walking as commanded (3,)."""
        dt = duration_ns / NS_PER_S
        wanted = min(1.0, float(np.abs(commanded).max()) / FULL_TROT)
        self._trot += (wanted - self._trot) * min(1.0, dt / SETTLE_S)
        self._phase += 2 * np.pi * STEPS_HZ * dt
        self._wander = self._red(self._wander, dt / WANDER_S)
        self._noise = self._red(self._noise, dt / NOISE_S)
        swing = np.array([0.0, SWAY * np.cos(self._phase), 0.0])
        drift = self._slip * commanded + self._trot * (WANDER * self._wander + swing)
        shape = np.sin(self._phase * np.array([2, 1, 2]) + np.array([0.0, 0.3, 0.7]))
        return Stride(
            drift, self._trot * TROT * shape + STAND * self._noise, self._phase, self._trot
        )

    def _red(self, value: Floats, share: float) -> Floats:
        """Return the next value of noise with unit variance that remembers."""
        keep = np.exp(-share)
        fresh = self._rng.standard_normal(len(value))
        return np.asarray(keep * value + np.sqrt(1 - keep * keep) * fresh)
