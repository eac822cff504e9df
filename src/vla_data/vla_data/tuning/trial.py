"""One candidate tried: the live executor in lockstep, judged from its commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from vla_core.execution import Decision, Execution, Executor, Task
from vla_core.execution.lockstep import run_lockstep
from vla_data.tuning.reference import ASTRAY, Follower
from vla_data.tuning.robot import SERVO_S, FollowPolicy, ServoPlant, Setting, way_for
from vla_data.tuning.smoothness import Track, jerk_rms, lost_s, seam_steps

PATIENCE = 4.0  # times the way's own duration


@dataclass(frozen=True)
class Candidate:
    """What is tuned."""

    horizon_rows: int
    threshold: float | None  # share of the horizon; None: from the measured latency
    join: str
    synchronous: bool = False

    @property
    def words(self) -> str:
        """The candidate in a few words."""
        if self.synchronous:
            return "synchronous"
        asked = "by latency" if self.threshold is None else f"at {self.threshold:g}"
        return f"{self.join}, {self.horizon_rows} rows, {asked}"


@dataclass(frozen=True)
class Score:
    """How a candidate did, mean over the trials; s, rad. NaN: not known."""

    succeeded: float  # share of the trials
    starved: float  # share of the ticks without a plan to play, after the first chunk
    synchronous: float  # share of the ticks in which it had fallen back to that
    task_time_s: float
    lag_s: float  # lost against the way's own pace since the first motion
    age_p50_s: float  # observation at execution
    age_p95_s: float
    seam_velocity: float  # beyond what is usual within chunks, mean over seams
    seam_acceleration: float
    jerk_rms: float
    inference_duty: float  # share of the time in which the policy computes

    @classmethod
    def mean(cls, scores: Sequence[Score]) -> Score:
        """Return the mean of several trials; what one of them does not know is left out."""
        found = {}
        for field in fields(cls):
            values = np.array([getattr(score, field.name) for score in scores])
            known = values[np.isfinite(values)]
            found[field.name] = float(known.mean()) if len(known) else math.nan
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, NaN as null."""
        return {k: None if math.isnan(v) else v for k, v in asdict(self).items()}


class _Witness:
    """Sees every tick of a run."""

    def __init__(self, executor: Executor, plant: ServoPlant) -> None:
        self._executor, self._plant = executor, plant
        self.ages_s: list[float] = []
        self.seams_s: list[float] = []
        self.synchronous = 0
        self._chunks = 0

    def tick(self, now_ns: int, decision: Decision) -> None:
        snapshot = self._executor.snapshot(now_ns)
        if snapshot.chunks_accepted > max(1, self._chunks):
            self.seams_s.append(self._plant.now_s)
        self._chunks = snapshot.chunks_accepted
        self.synchronous += snapshot.synchronous
        if math.isfinite(snapshot.observation_age):
            self.ages_s.append(snapshot.observation_age)


def tried(candidate: Candidate, setting: Setting, seed: int) -> Score:
    """Return how a candidate does in one run; the same seed draws the same latencies."""
    contract, rng = setting.contract, np.random.default_rng(seed)
    way = way_for(contract, setting.way_s)
    follower = Follower(way, setting.rows, setting.step_ns * 1e-9, SERVO_S, setting.offset)
    policy = FollowPolicy(follower, contract, setting.step_ns)
    plant, executor = ServoPlant(way, contract), Executor(contract)
    executor.activate(0)
    witness, spent_s = _Witness(executor, plant), list[float]()

    def latency_s() -> float:
        spent_s.append(setting.latency.draw(rng))
        return spent_s[-1]

    begin_ns = 1_000_000_000
    outcome = run_lockstep(
        executor,
        contract,
        _task(candidate, setting, policy),
        policy,
        plant,
        time_limit_s=PATIENCE * setting.way_s,
        latency_s=latency_s,
        is_done=lambda: follower.is_done(plant.measured),
        on_tick=witness.tick,
        start_ns=begin_ns,
    )
    ticks = max(1, outcome.snapshot.ticks)
    track = Track(
        np.array(plant.times_s),
        np.array(plant.commands).reshape(len(plant.times_s), len(contract.columns)),
        np.array(witness.seams_s),
        contract.action.step_s,
    )
    moved = len(track.times_s) > 4
    steps = seam_steps(track) if moved else np.zeros((0, 2))
    astray = max((follower.locate(row)[1] for row in track.positions[::5]), default=math.inf)
    succeeded = bool(outcome.succeeded) and astray <= ASTRAY
    ages = np.array(witness.ages_s) if witness.ages_s else np.array([math.nan])
    return Score(
        succeeded=float(succeeded),
        starved=outcome.snapshot.starved_ticks / ticks,
        synchronous=witness.synchronous / ticks,
        task_time_s=outcome.duration_s if outcome.succeeded else math.nan,
        lag_s=lost_s(track, follower) if moved and outcome.succeeded else math.nan,
        age_p50_s=float(np.quantile(ages, 0.5)),
        age_p95_s=float(np.quantile(ages, 0.95)),
        seam_velocity=float(steps[:, 0].mean()) if len(steps) else math.nan,
        seam_acceleration=float(steps[:, 1].mean()) if len(steps) else math.nan,
        jerk_rms=jerk_rms(track),
        inference_duty=min(1.0, sum(spent_s) / outcome.duration_s),
    )


def _task(candidate: Candidate, setting: Setting, policy: FollowPolicy) -> Task:
    return Task(
        task_id="tune",
        instruction="follow the way",
        policy=policy.spec.name,
        columns=policy.spec.columns,
        horizon=setting.rows,
        step_ns=setting.step_ns,
        horizon_rows=candidate.horizon_rows,
        execution=Execution(
            synchronous=candidate.synchronous,
            join=candidate.join,  # type: ignore[arg-type]  # checked by the executor
            threshold=candidate.threshold,
        ),
    )
