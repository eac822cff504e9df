"""The executor's diagnostics: its state in key-value pairs whose names stay."""

from __future__ import annotations

from dataclasses import fields

from vla_core.execution import Mode, Snapshot
from vla_ros.diagnostics import ERROR, OK, WARN, Report

_LEVELS = {Mode.STOPPED: ERROR, Mode.DEGRADED: WARN, Mode.HOLDING: WARN}
# Seconds have their unit in the name.
_SECONDS = (
    "horizon_left", "plan_left", "request_threshold", "observation_age", "observation_age_p50",
    "observation_age_p95", "observation_age_max", "sample_age", "latency_p50", "latency_p95",
    "latency_p99", "tick_error_p50", "tick_error_p99", "tick_error_max", "stop_time",
    "starved_longest", "command_gap_max",
)  # fmt: skip
_TOLD_OTHERWISE = ("epoch", "mode", "reason", "stage_names", "stage_p50")


def report(snapshot: Snapshot, ticks_missed: int) -> Report:
    """Return every field of the state, and the stages of an answer one by one."""
    values: dict[str, object] = {"mode": snapshot.mode.name.lower()}
    for field in fields(snapshot):
        if field.name not in _TOLD_OTHERWISE:
            name = f"{field.name}_s" if field.name in _SECONDS else field.name
            values[name] = _text(getattr(snapshot, field.name))
    for name, time_s in zip(snapshot.stage_names, snapshot.stage_p50, strict=True):
        values[f"stage_{name}_p50_s"] = _text(time_s)
    values["ticks_missed"] = ticks_missed
    return Report(_LEVELS.get(snapshot.mode, OK), snapshot.reason, values)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
