"""The figures of a run, computed from its recording; what the executor counts stands apart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.metrics import wilson
from vla_data.checker import Execution, Violation, check_limits, judge_execution
from vla_data.checker.execution import join
from vla_data.recording import Recording
from vla_data.records import NS, State, Task

NAN = float("nan")


@dataclass(frozen=True)
class Episode:
    """One task as whoever asked for it saw it."""

    task_id: str
    instruction: str
    seed: int | None = None
    success: bool | None = None  # None: nobody judged
    ended: str = ""
    duration_s: float = NAN


@dataclass(frozen=True)
class EpisodeMetrics:
    """Figures of one task. Times in s, NaN: not known."""

    task_id: str
    instruction: str
    policy: str
    seed: int | None
    success: bool | None
    ended: str
    start_ns: int  # ROS time
    end_ns: int
    task_time_s: float
    ticks: int
    chunks: int
    starved_ticks: int
    limit_violations: int
    limit_interventions: int
    observation_age_p50_s: float
    observation_age_p95_s: float
    observation_age_max_s: float
    seam_gap_p95: float
    seam_step_velocity_p95: float
    seam_step_acceleration_p95: float
    jerk_rms: float
    inference_p50_s: float
    inference_p95_s: float
    answer_p50_s: float  # from request to chunk
    answer_p95_s: float
    overhead_p50_s: float  # of it, what was not the policy's own inference
    requests: int
    requests_by_threshold: int
    rows_dropped_late: int
    real_time_factor: float  # NaN: time is not simulated


@dataclass(frozen=True)
class Metrics:
    """Figures of a whole run: `total` joins the episodes."""

    robot: str
    policy: str
    episodes: tuple[EpisodeMetrics, ...]
    total: EpisodeMetrics
    success_rate: float  # of the judged ones; NaN: none was
    success_low: float  # 95 % Wilson interval
    success_high: float
    violations: tuple[Violation, ...]
    note: str = ""

    @property
    def judged(self) -> int:
        """Number of episodes with a verdict."""
        return sum(episode.success is not None for episode in self.episodes)

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the total's figures at the top, NaN as null."""
        top = _plain(self.total)
        for name in ("task_id", "instruction", "seed", "success", "ended", "start_ns", "end_ns"):
            del top[name]
        kinds = [violation.kind for violation in self.violations]
        return {
            "robot": self.robot,
            "success_rate": _null(self.success_rate),
            "success_interval": [_null(self.success_low), _null(self.success_high)],
            "episodes": len(self.episodes),
            **top,
            "violations_by_kind": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "per_episode": [_plain(episode) for episode in self.episodes],
            "note": self.note,
        }


def compute(recording: Recording, episodes: Sequence[Episode] = ()) -> Metrics:
    """Return the figures of a recording; episodes add who succeeded."""
    violations = check_limits(recording)
    pairs = _pairs(recording, episodes)
    executions = [judge_execution(recording, task.start_ns, task.end_ns) for task, _ in pairs]
    found = [
        _figures(recording, task, episode, execution, violations)
        for (task, episode), execution in zip(pairs, executions, strict=True)
    ]
    whole = _whole(recording, found)
    total = _figures(recording, whole, None, join(executions), violations)
    total = _summed(total, found)
    wins = sum(episode.success is True for episode in found)
    judged = sum(episode.success is not None for episode in found)
    low, high = wilson(wins, judged)
    return Metrics(
        robot=recording.robot.name,
        policy=total.policy,
        episodes=tuple(found),
        total=total,
        success_rate=wins / judged if judged else NAN,
        success_low=low,
        success_high=high,
        violations=tuple(violations),
        note=recording.note,
    )


def _pairs(recording: Recording, episodes: Sequence[Episode]) -> list[tuple[Task, Episode | None]]:
    """Return the recorded tasks, each with its episode: by id, else by order."""
    by_id = {episode.task_id: episode for episode in episodes if episode.task_id}
    if episodes and not any(task.task_id in by_id for task in recording.tasks):
        unnamed = list(episodes)
        return [
            (task, unnamed[i] if i < len(unnamed) else None)
            for i, task in enumerate(recording.tasks)
        ]
    return [(task, by_id.get(task.task_id)) for task in recording.tasks]


def _figures(
    recording: Recording,
    task: Task,
    episode: Episode | None,
    execution: Execution,
    violations: Sequence[Violation],
) -> EpisodeMetrics:
    inside = [v for v in violations if task.start_ns <= v.stamp_ns <= task.end_ns]
    inference, answers = _latencies(recording, task)
    last = _last_state(recording, task)
    return EpisodeMetrics(
        task_id=task.task_id,
        instruction=task.instruction,
        policy=task.policy,
        seed=episode.seed if episode else None,
        success=episode.success if episode else None,
        ended=episode.ended if episode else "",
        start_ns=task.start_ns,
        end_ns=task.end_ns,
        task_time_s=(task.end_ns - task.start_ns) / NS,
        ticks=execution.ticks,
        chunks=execution.chunks,
        starved_ticks=execution.starved,
        limit_violations=len(inside),
        limit_interventions=_counter(last, "limit_interventions"),
        observation_age_p50_s=quantile(execution.ages_s, 0.5),
        observation_age_p95_s=quantile(execution.ages_s, 0.95),
        observation_age_max_s=quantile(execution.ages_s, 1.0),
        seam_gap_p95=quantile(execution.seam_gaps, 0.95),
        seam_step_velocity_p95=quantile(execution.seam_steps_velocity, 0.95),
        seam_step_acceleration_p95=quantile(execution.seam_steps_acceleration, 0.95),
        jerk_rms=execution.jerk_rms,
        inference_p50_s=quantile(inference, 0.5),
        inference_p95_s=quantile(inference, 0.95),
        answer_p50_s=quantile(answers, 0.5),
        answer_p95_s=quantile(answers, 0.95),
        overhead_p50_s=quantile(answers - inference, 0.5),
        requests=_counter(last, "requests_sent"),
        requests_by_threshold=_counter(last, "requests_by_threshold"),
        rows_dropped_late=_counter(last, "rows_dropped_late"),
        real_time_factor=recording.clock.factor(task.start_ns, task.end_ns),
    )


def _summed(total: EpisodeMetrics, episodes: Sequence[EpisodeMetrics]) -> EpisodeMetrics:
    """Add up what the executor counts per task, and take the worst and the mean where apt."""
    counters = ("limit_interventions", "requests", "requests_by_threshold", "rows_dropped_late")
    sums = {name: sum(getattr(e, name) for e in episodes) for name in counters}
    times = [e.task_time_s for e in episodes]
    factors = [e.real_time_factor for e in episodes if math.isfinite(e.real_time_factor)]
    return dataclasses.replace(
        total,
        **sums,
        task_time_s=float(np.mean(times)) if times else NAN,
        real_time_factor=min(factors) if factors else NAN,
    )


def _whole(recording: Recording, found: Sequence[EpisodeMetrics]) -> Task:
    policies = sorted({episode.policy for episode in found if episode.policy})
    stamps = [c.stamp_ns for commands in recording.commands.values() for c in commands]
    stamps += [e.start_ns for e in found] + [e.end_ns for e in found]
    return Task("", "", ", ".join(policies), min(stamps, default=0), max(stamps, default=0))


def _latencies(recording: Recording, task: Task) -> tuple[Any, Any]:
    """Return the policy's own time and the time from request to chunk of each answer, (N,) [s]."""
    requests = {(r.epoch, r.request_id): r for r in recording.requests}
    pairs = [
        (chunk.inference_ns / NS, (chunk.arrived_ns - request.arrived_ns) / NS)
        for chunk in recording.chunks
        if (request := requests.get((chunk.epoch, chunk.request_id))) is not None
        and task.start_ns <= request.sent_ns <= task.end_ns
    ]
    values = np.array(pairs).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _last_state(recording: Recording, task: Task) -> State | None:
    states = [s for s in recording.states if s.task_id == task.task_id and s.task_id]
    return states[-1] if states else None


def _counter(state: State | None, name: str) -> int:
    return int(state.fields[name]) if state is not None else 0


def quantile(values: Any, q: float) -> float:
    """Return a quantile of what is finite; NaN: there is nothing."""
    known = values[np.isfinite(values)]
    return float(np.quantile(known, q)) if len(known) else NAN


def _plain(episode: EpisodeMetrics) -> dict[str, Any]:
    return {name: _null(value) for name, value in dataclasses.asdict(episode).items()}


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
