"""How smooth the commands are: jerk, and the step at each join apart from the plans' own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.execution.join import Seam

Array = NDArray[np.float64]

HISTORY = 500  # ticks that tell what is usual within chunks
SEAM_S = 0.1  # a join shows within this time
USUAL = 0.95


class SmoothnessMeter:
    """Measures commanded steps of velocity and acceleration from tick to tick.

    `seam_gap` is the disagreement of two plans, the policy's doing; `seam_step` is what the
    commands change at a join beyond the 95th percentile of what they change within chunks.
    Grippers are left out of both and of the jerk.
    """

    def __init__(self, columns: tuple[Column, ...], step_ns: int) -> None:
        self._step_s = step_ns * 1e-9
        self._step_ns = step_ns
        self._smooth = np.array([not column.is_gripper for column in columns])
        self._gapped = np.array([column.kind == "joint_position" for column in columns])
        second = max(1, round(1.0 / self._step_s))
        self._jerks = np.zeros((second, len(columns)))
        self._usual = np.zeros((HISTORY, 2, len(columns)))  # steps of velocity, acceleration
        self._jerk_count = self._usual_count = 0
        self._last: Array | None = None  # (2, A): velocity, acceleration of the newest command
        self._seam_left = 0
        self._seam_peak = np.zeros((2, len(columns)))
        self._seam: Seam | None = None  # the newest one, until somebody asks about it
        self._gap = self._overlap = math.nan
        self.seam_step_velocity = math.nan
        self.seam_step_acceleration = math.nan

    def joined(self, seam: Seam) -> None:
        """Note that a plan takes over from another one in motion."""
        self._seam = seam
        self._seam_left = max(1, round(SEAM_S / self._step_s))
        self._seam_peak[:] = 0.0

    @property
    def seam_gap(self) -> float:
        """How far the plans of the newest join were apart just after it; NaN: no join yet."""
        self._compare()
        return self._gap

    @property
    def overlap_rms(self) -> float:
        """RMS distance of the plans of the newest join where both were; NaN: nowhere."""
        self._compare()
        return self._overlap

    def _compare(self) -> None:
        """Compare the newest join's plans: when somebody asks, since a new chunk cannot wait."""
        seam, self._seam = self._seam, None
        if seam is None or not self._gapped.any():
            return
        gap = seam.disagreement(seam.at_ns + round(SEAM_S * 1e9)).mean(axis=0)
        self._gap, self._overlap = float(gap[self._gapped].max()), self._rms(seam)

    def _rms(self, seam: Seam) -> float:
        if seam.old_end_ns is None or seam.old_end_ns <= seam.at_ns:
            return math.nan
        apart = seam.disagreement(min(seam.old_end_ns, seam.end_ns))
        return float(np.sqrt((apart**2).mean(axis=0))[self._gapped].max())

    def tick(self, velocities: Array, accelerations: Array) -> None:
        """Note the newest commanded point."""
        newest = np.stack([velocities, accelerations])
        if self._last is not None:
            step = np.abs(newest - self._last)
            self._jerks[self._jerk_count % len(self._jerks)] = step[1] / self._step_s
            self._jerk_count += 1
            self._note(step)
        self._last = newest

    def _note(self, step: Array) -> None:
        if self._seam_left == 0:
            self._usual[self._usual_count % HISTORY] = step
            self._usual_count += 1
            return
        np.maximum(self._seam_peak, step, out=self._seam_peak)
        self._seam_left -= 1
        if self._seam_left == 0 and self._usual_count:
            usual = np.quantile(self._usual[: min(self._usual_count, HISTORY)], USUAL, axis=0)
            beyond = np.maximum(self._seam_peak - usual, 0.0)[:, self._smooth]
            if beyond.size:
                self.seam_step_velocity = float(beyond[0].max())
                self.seam_step_acceleration = float(beyond[1].max())

    def interrupted(self) -> None:
        """Note that no command left: the next one is compared with nothing."""
        self._last = None
        self._seam_left = 0

    @property
    def jerk_peak(self) -> float:
        """Largest jerk within the newest second, over the columns; NaN: no commands yet."""
        count = min(self._jerk_count, len(self._jerks))
        return float(self._jerks[:count, self._smooth].max()) if count else math.nan

    @property
    def jerk_rms(self) -> float:
        """RMS jerk over the newest second, largest over the columns; NaN: no commands yet."""
        count = min(self._jerk_count, len(self._jerks))
        if not count or not self._smooth.any():
            return math.nan
        rms = np.sqrt(np.mean(self._jerks[:count] ** 2, axis=0))
        return float(rms[self._smooth].max())
