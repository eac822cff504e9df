"""From what was written down to figures: the same functions for both systems."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executor_vs_lerobot.record import Answer, Run
from executor_vs_lerobot.scenario import Scenario
from vla_data.tuning.latency import parse
from vla_data.tuning.reference import ASTRAY
from vla_data.tuning.smoothness import Track, filled, jerk_rms, lost_s, seam_steps

Floats = NDArray[np.float64]
NAN = math.nan
ROBOT = ("bridge", "cameras")  # the simulation itself, in processes of its own on our side


@dataclass(frozen=True)
class Figures:
    """One run. Times in ms unless the name says s; NaN: not known."""

    succeeded: bool
    task_time_s: float  # from the first request
    lag_ms: float  # lost against the way's own pace since the first motion
    overhead_p50_ms: float  # request to usable chunk minus inference
    overhead_p95_ms: float
    wire_p50_ms: float  # of it, without turning the observation into the policy's input
    waited_p50_ms: float  # in addition: behind an earlier inference
    age_p50_ms: float  # observation at execution
    age_p95_ms: float
    starved_ticks: int
    ticks: int
    requests: int
    by_threshold: float  # share
    synchronous: bool
    tick_p50_ms: float  # error of the period between commands, at the receiver
    tick_p99_ms: float
    own_tick_p50_ms: float  # error of the period as the ticker itself measured it
    own_tick_p99_ms: float
    seams: int
    seam_velocity: float  # mean over seams beyond what is usual [rad/s]
    seam_acceleration: float  # [rad/s^2]
    jerk_rms: float  # [rad/s^3]
    cpu_share: float  # of one core, without the simulated robot
    memory_mb: float
    cpu: dict[str, float] = field(default_factory=dict)  # share of a core by process
    memory: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, NaN as null."""
        values = asdict(self)
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values.items()
        }

    @classmethod
    def of(cls, values: dict[str, Any]) -> Figures:
        """Return what `to_json` has written."""
        return cls(**{name: NAN if value is None else value for name, value in values.items()})


def compute(scenario: Scenario, run: Run) -> Figures:
    """Return the figures of one run."""
    follower = scenario.follower()
    places = [follower.locate(row) for row in run.states]
    end_s = follower.way.duration_s
    done = [at for at, row in zip(run.states_s, run.states, strict=True) if follower.is_done(row)]
    astray = max((gap for _, gap in places), default=NAN)
    playing = run.commands_s <= (done[0] if done else math.inf)
    track = Track(
        run.due_s[playing],
        run.commands[playing],
        np.array([answer.usable_s for answer in run.answers[1:]]),
        scenario.step_s,
    )
    has_moved = len(track.positions) > 4
    whole = filled(track) if has_moved else track
    steps = seam_steps(whole) if has_moved else np.zeros((0, 2))
    overhead = _ms([a.usable_s - a.asked_s - a.inference_s - a.waited_s for a in run.answers])
    wire = overhead - _ms([a.prepared_s for a in run.answers])
    ages = _ms(_ages(track.times_s, run.answers))
    errors = np.abs(np.diff(run.commands_s[playing]) - scenario.step_s) * 1e3
    cpu = {name: spent / run.wall_s for name, spent in run.cpu_s.items()}
    return Figures(
        succeeded=bool(done) and astray <= ASTRAY and end_s > 0,
        task_time_s=done[0] - run.began_s if done else NAN,
        lag_ms=lost_s(whole, follower) * 1e3 if done else NAN,
        overhead_p50_ms=_quantile(overhead, 0.5),
        overhead_p95_ms=_quantile(overhead, 0.95),
        wire_p50_ms=_quantile(wire, 0.5),
        waited_p50_ms=_quantile(_ms([a.waited_s for a in run.answers]), 0.5),
        age_p50_ms=_quantile(ages, 0.5),
        age_p95_ms=_quantile(ages, 0.95),
        starved_ticks=run.starved_ticks,
        ticks=run.ticks,
        requests=run.requests,
        by_threshold=run.requests_by_threshold / max(1, run.requests),
        synchronous=run.is_synchronous,
        tick_p50_ms=_quantile(errors, 0.5),
        tick_p99_ms=_quantile(errors, 0.99),
        own_tick_p50_ms=run.tick_error_s[0] * 1e3,
        own_tick_p99_ms=run.tick_error_s[1] * 1e3,
        seams=len(steps),
        seam_velocity=float(steps[:, 0].mean()) if len(steps) else NAN,
        seam_acceleration=float(steps[:, 1].mean()) if len(steps) else NAN,
        jerk_rms=jerk_rms(whole),
        cpu_share=sum(share for name, share in cpu.items() if name not in ROBOT),
        memory_mb=sum(mb for name, mb in run.memory_mb.items() if name not in ROBOT),
        cpu=cpu,
        memory=run.memory_mb,
    )


def has_solution(scenario: Scenario) -> bool:
    """Return whether a threshold without starving exists: q99 of the latency at most half a chunk.

    Source: SmolVLA (arXiv 2506.01844) 3.3, with the high quantile in place of the mean and with
    the rows that are past on arrival taken off.
    """
    return parse(scenario.latency).quantile(0.99) <= scenario.rows * scenario.step_s / 2


def possible_saving(scenario: Scenario, answers: tuple[Answer, ...] = ()) -> float:
    """Return l / (n dt + l): the share of time that synchronous execution stands still."""
    latency = parse(scenario.latency).mean_s
    if answers:
        latency = float(np.mean([answer.inference_s for answer in answers]))
    return latency / (scenario.rows * scenario.step_s + latency)


def saved_share(scenario: Scenario, figures: Figures) -> float:
    """Return how much of the possible saving this run has made, 1 is all.

    Against ideal synchronous execution: whole chunks at the way's pace, and nothing but the
    inference between them.
    """
    possible = possible_saving(scenario)
    way_s = scenario.way_s - 0.5
    pace = way_s / (way_s + figures.lag_ms * 1e-3)
    return (1 - (1 - possible) / pace) / possible


def _ages(times_s: Floats, answers: tuple[Answer, ...]) -> list[float]:
    """Return the age of the observation behind each command."""
    if not answers:
        return []
    usable = np.array([answer.usable_s for answer in answers])
    observed = np.array([answer.observed_s for answer in answers])
    newest = np.searchsorted(usable, times_s, side="right") - 1
    known = newest >= 0
    return list(times_s[known] - observed[newest[known]])


def _ms(seconds: list[float]) -> Floats:
    return np.array(seconds, np.float64) * 1e3


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else NAN
