"""What was asked of the executor, and whether this run has it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from executor_vs_lerobot.figures import Figures, has_solution, saved_share
from executor_vs_lerobot.scenario import Scenario

# At 100 Hz, p99 of the period's error [ms] with so many busy cores.
TICK_LIMITS_MS = {0: 0.5, 1: 1.0, 2: 2.0}
Runs = Mapping[tuple[str, Scenario], Figures]  # (system, scenario)


@dataclass(frozen=True)
class Goal:
    """One line of the verdict."""

    name: str
    wanted: str
    found: str
    is_met: bool | None  # None: not measured in this run


def overheads(runs: Runs) -> dict[str, float]:
    """Return the median overhead [ms] of each system over its asynchronous runs without load."""
    found = {}
    for system in ("ours", "lerobot"):
        values = [f.overhead_p50_ms for (s, c), f in runs.items() if s == system and _plain(c)]
        wires = [f.wire_p50_ms for (s, c), f in runs.items() if s == system and _plain(c)]
        found[system] = float(np.median(values)) if values else math.nan
        found[f"{system}_wire"] = float(np.median(wires)) if wires else math.nan
    return found


def judge(runs: Runs) -> list[Goal]:
    """Return every goal with what was found."""
    return [
        *_overhead(runs),
        _starved(runs),
        *_joins(runs),
        _saving(runs),
        *_ticks(runs),
        _successes(runs),
    ]


def _overhead(runs: Runs) -> Iterator[Goal]:
    found = overheads(runs)
    ours, theirs = found["ours"], found["lerobot"]
    yield _limit("overhead, median", 2.0, ours, "ms")
    ratio = ours / theirs
    yield _limit("overhead against LeRobot's", 0.2, ratio, "", f" of {theirs:.1f} ms")


def _starved(runs: Runs) -> Goal:
    cases = [(c, f) for (s, c), f in runs.items() if s == "ours" and c.mode == "async"]
    solvable = [(c, f) for c, f in cases if has_solution(c) and not c.busy]
    starved = {f"{c.rate_hz} Hz {c.latency} {c.join}": f.starved_ticks for c, f in solvable}
    worst = {name: ticks for name, ticks in starved.items() if ticks}
    return Goal(
        f"starved ticks where a threshold exists ({len(solvable)} runs)",
        "0",
        str(worst or 0),
        not worst if solvable else None,
    )


def _joins(runs: Runs) -> Iterator[Goal]:
    pairs = [
        (f, runs["ours", replaced])
        for (s, c), f in runs.items()
        if s == "ours" and c.join == "blend" and _plain(c)
        for replaced in [_with_join(c, "replace", runs)]
        if replaced is not None
    ]
    if not pairs:
        return
    velocity = 1 - _mean(b.seam_velocity for b, _ in pairs) / _mean(
        r.seam_velocity for _, r in pairs
    )
    jerk = 1 - _mean(b.jerk_rms for b, _ in pairs) / _mean(r.jerk_rms for _, r in pairs)
    lag = _mean(b.lag_ms for b, _ in pairs) - _mean(r.lag_ms for _, r in pairs)
    yield _least("seam step of velocity, blend below replace", 0.65, velocity)
    yield _least("RMS jerk, blend below replace", 0.31, jerk)
    # Two runs never lose exactly the same: their starts differ by up to a tick.
    yield _limit("lag, blend beyond replace", 10.0, lag, "ms")


def _saving(runs: Runs) -> Goal:
    shares = [
        saved_share(c, f)
        for (s, c), f in runs.items()
        if s == "ours" and c.join == "blend" and _plain(c) and has_solution(c) and f.succeeded
    ]
    if not shares:
        return Goal("saving against synchronous", ">= 95 % of possible", "", None)
    return _least("saving against synchronous, of l/(n dt + l), mean", 0.95, _mean(shares))


def _ticks(runs: Runs) -> Iterator[Goal]:
    for busy, limit in TICK_LIMITS_MS.items():
        found = [
            f.own_tick_p99_ms
            for (s, c), f in runs.items()
            if s == "ours" and c.rate_hz == 100 and c.busy == busy and c.mode == "async"
        ]
        name = f"tick at 100 Hz, p99 of the period's error, {busy} cores busy"
        if found:
            yield _limit(name, limit, float(np.median(found)), "ms")
        else:
            yield Goal(name, f"<= {limit} ms", "", None)


def _successes(runs: Runs) -> Goal:
    blend = [f.succeeded for (s, c), f in runs.items() if s == "ours" and c.join == "blend"]
    return Goal(
        "tasks done with blend", "all", f"{sum(blend)} of {len(blend)}", bool(blend) and all(blend)
    )


def _plain(scenario: Scenario) -> bool:
    return scenario.mode == "async" and not scenario.busy


def _with_join(scenario: Scenario, join: str, runs: Runs) -> Scenario | None:
    other = replace(scenario, join=join)
    return other if ("ours", other) in runs else None


def _mean(values: object) -> float:
    return float(np.nanmean(np.array(list(values), np.float64)))  # type: ignore[call-overload]


def _limit(name: str, limit: float, found: float, unit: str, more: str = "") -> Goal:
    met = None if math.isnan(found) else found <= limit
    return Goal(name, f"<= {limit:g} {unit}".rstrip(), f"{found:.3g} {unit}".rstrip() + more, met)


def _least(name: str, least: float, found: float) -> Goal:
    met = None if math.isnan(found) else found >= least
    return Goal(name, f">= {least:.0%}", f"{found:.0%}", met)
