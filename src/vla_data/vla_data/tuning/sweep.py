"""Tries candidates, first horizon and threshold, then joins, and proposes one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vla_core.execution.join import JOINS
from vla_data.tuning.robot import Setting
from vla_data.tuning.trial import Candidate, Score, tried

HORIZONS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0)  # shares of a chunk
THRESHOLDS = (None, 0.3, 0.5, 0.7)
FINALISTS = 2  # horizons and thresholds with which every join is tried
STARVED = 0.001  # share of the ticks that counts as none
LAG_S = 0.2  # this much lag weighs as much as observations twice as old
OnDone = Callable[[str], None]


@dataclass(frozen=True)
class Proposal:
    """What to write into the policy's file, and why."""

    candidate: Candidate
    score: Score
    reason: str
    is_safe: bool  # never starved in any trial


@dataclass(frozen=True)
class Grid:
    """Which values are tried."""

    horizons: tuple[int, ...]  # rows
    thresholds: tuple[float | None, ...] = THRESHOLDS
    joins: tuple[str, ...] = ()
    seeds: int = 3

    @classmethod
    def usual(cls, rows: int, seeds: int = 3) -> Grid:
        """Return the usual grid for chunks of so many rows."""
        horizons = sorted({max(2, round(share * rows)) for share in HORIZONS})
        return cls(tuple(horizons), joins=usual_joins(), seeds=seeds)

    @property
    def count(self) -> int:
        """Number of runs that a sweep takes at most."""
        first = len(self.horizons) * len(self.thresholds)
        return self.seeds * (1 + first + FINALISTS * (len(self.joins) - 1))


def usual_joins() -> tuple[str, ...]:
    """Return the joins that need nothing of the policy: blend first, the reference."""
    return ("blend", *(name for name in JOINS if name not in ("blend", "rtc")))


def sweep(
    setting: Setting, grid: Grid, on_done: OnDone = lambda _: None
) -> dict[Candidate, Score]:
    """Return the score of every candidate that was tried."""
    found: dict[Candidate, Score] = {}

    def judge(candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            if candidate in found:
                continue
            trials = []
            for seed in range(grid.seeds):
                trials.append(tried(candidate, setting, seed))
                on_done(candidate.words)
            found[candidate] = Score.mean(trials)

    join = grid.joins[0]
    judge([Candidate(setting.rows, None, join, synchronous=True)])
    judge(Candidate(h, t, join) for h in grid.horizons for t in grid.thresholds)
    best = ranked(found)[:FINALISTS]
    judge(replace(candidate, join=other) for candidate in best for other in grid.joins)
    return found


def ranked(scores: dict[Candidate, Score]) -> list[Candidate]:
    """Return asynchronous candidates, best first.

    Done without ever starving comes first. Among those, short horizons act on fresh observations
    and long ones join less often: the least sum of age and jerk, each against the least that was
    found, and of what is lost in time.
    """
    asynchronous = {c: s for c, s in scores.items() if not c.synchronous}
    solid = {c: s for c, s in asynchronous.items() if is_solid(s)}
    least_jerk = _least(s.jerk_rms for s in solid.values())
    least_age = _least(s.age_p95_s for s in solid.values())

    def key(candidate: Candidate) -> tuple[float, ...]:
        s = scores[candidate]
        if candidate not in solid:
            return (1, 1 - s.succeeded, s.starved, s.synchronous, _known(s.age_p95_s))
        cost = s.age_p95_s / least_age + s.jerk_rms / least_jerk + max(0.0, s.lag_s) / LAG_S
        return (0, _known(cost), 0.0, 0.0, 0.0)

    return sorted(asynchronous, key=key)


def is_solid(score: Score) -> bool:
    """Return whether a candidate did every task without running out of plan."""
    return score.succeeded == 1.0 and score.starved <= STARVED and score.synchronous <= STARVED


def propose(setting: Setting, scores: dict[Candidate, Score]) -> Proposal:
    """Return the best candidate, and what to do if none is good."""
    best = ranked(scores)[0]
    score = scores[best]
    q99_s = setting.latency.quantile(0.99)
    if is_solid(score):
        reason = (
            f"no tick starved, and the best balance of fresh observations "
            f"({1e3 * score.age_p95_s:.0f} ms old at execution, p95) and smoothness "
            f"(RMS jerk {score.jerk_rms:.0f})"
        )
        return Proposal(best, score, reason, True)
    half_s = setting.chunk_s / 2
    if q99_s > half_s:
        rows = math.ceil(2 * q99_s / (setting.step_ns * 1e-9)) + 2
        reason = (
            f"99 % of the answers take up to {q99_s:.2f} s, more than half of a chunk "
            f"({half_s:.2f} s): nothing avoids running out. Chunks of {rows} rows would do, or a "
            "faster policy"
        )
    else:
        reason = f"{score.starved:.1%} of the ticks starved even with the best of what was tried"
    return Proposal(best, score, reason, False)


def _least(values: Iterable[float]) -> float:
    return min((value for value in values if math.isfinite(value)), default=math.inf)


def _known(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def policy_lines(proposal: Proposal) -> Sequence[str]:
    """Return what to write into the policy's file."""
    candidate = proposal.candidate
    lines = ["execution:", f"  horizon_rows: {candidate.horizon_rows}"]
    if candidate.threshold is not None:
        lines.append(f"  threshold: {candidate.threshold:g}")
    return [*lines, f"  join: {candidate.join}"]
