"""What is measured while a task runs, beside what is counted and how smooth it is."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import numpy as np

from vla_core.execution.counters import Counters
from vla_core.metrics import quantiles
from vla_core.types import ActionChunk

AGES_S = 10.0
ANSWERS = 50


class Meters:
    """Ages, rates, gaps and stages; the caller tells each tick and each accepted chunk."""

    def __init__(self, step_ns: int, counters: Counters) -> None:
        self._step_ns, self._counters = step_ns, counters
        self._ages = np.zeros(max(1, round(AGES_S * 1e9 / step_ns)))
        self._age_count = 0
        self._answers: deque[tuple[int, ActionChunk]] = deque(maxlen=ANSWERS)
        self._starved_ns: int | None = None  # since then
        self._commanded_ns: int | None = None  # newest command in motion
        self._stopping_ns: int | None = None  # since then
        self.starved_longest = 0.0
        self.command_gap_max = 0.0
        self.stop_time = math.nan

    def answered(self, chunk: ActionChunk, now_ns: int) -> None:
        """Note an accepted chunk."""
        self._answers.append((now_ns, chunk))

    def tick(self, now_ns: int, observed_ns: int | None, is_starved: bool) -> None:
        """Note a tick with a task.

        Args:
            now_ns: the tick.
            observed_ns: observation of the plan that is played; None: no plan.
            is_starved: held for want of a plan.
        """
        if observed_ns is not None:
            self._ages[self._age_count % len(self._ages)] = (now_ns - observed_ns) * 1e-9
            self._age_count += 1
        self._starved_ns = (self._starved_ns or now_ns) if is_starved else None
        if self._starved_ns is not None:
            so_far_s = (now_ns - self._starved_ns + self._step_ns) * 1e-9
            self.starved_longest = max(self.starved_longest, so_far_s)

    def commanded(self, now_ns: int, is_moving: bool) -> None:
        """Note that a command leaves."""
        before_ns, self._commanded_ns = self._commanded_ns, now_ns if is_moving else None
        if before_ns is None or now_ns < before_ns:
            return
        self.command_gap_max = max(self.command_gap_max, (now_ns - before_ns) * 1e-9)
        self._counters.command_gaps += now_ns - before_ns > 1.5 * self._step_ns

    def stopping(self, now_ns: int, is_moving: bool) -> None:
        """Note a tick in which a stop is latched."""
        if self._stopping_ns is None:
            self._stopping_ns = now_ns
        if not is_moving and math.isnan(self.stop_time):
            self.stop_time = (now_ns - self._stopping_ns) * 1e-9

    def ages(self, *shares: float) -> list[float]:
        """Return quantiles of the observation's age over the newest ticks [s]; NaN: none."""
        return quantiles(self._ages[: min(self._age_count, len(self._ages))], shares)

    @property
    def chunk_rate(self) -> float:
        """Accepted chunks per second; NaN: fewer than two."""
        if len(self._answers) < 2:
            return math.nan
        passed_ns = self._answers[-1][0] - self._answers[0][0]
        return (len(self._answers) - 1) * 1e9 / passed_ns if passed_ns > 0 else math.nan

    @property
    def stages(self) -> dict[str, float]:
        """Median time of each stage of an answer [s], by name."""
        times: dict[str, list[float]] = {}
        for _, chunk in self._answers:
            for name, time_ns in chunk.stages_ns.items():
                times.setdefault(name, []).append(time_ns * 1e-9)
        return {name: median(values) for name, values in times.items()}
