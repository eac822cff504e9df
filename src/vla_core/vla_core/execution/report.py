"""What people and bags see of the executor."""

from __future__ import annotations

import math

from vla_core.execution.modes import TABLE
from vla_core.execution.session import Session
from vla_core.execution.values import Snapshot
from vla_core.metrics import JitterMeter


def make_snapshot(now_ns: int, session: Session, jitter: JitterMeter) -> Snapshot:
    """Return everything `ExecutorState` carries."""
    nan = math.nan
    task, trigger, plan = session.task, session.trigger, session.pilot.plan
    smoothness, pace = session.pilot.smoothness, session.pilot.pace
    meters, stages = session.meters, session.meters.stages
    ages, errors = meters.ages(0.5, 0.95, 1.0), jitter.quantiles(0.5, 0.99, 1.0)
    reason = trigger.synchronous_reason if task is not None and trigger is not None else ""
    latency = trigger.latency.quantile if trigger is not None else lambda _: nan
    return Snapshot(
        epoch=session.epoch,
        mode=TABLE[session.standing.condition].mode,
        reason=session.standing.reason,
        task_id=task.task_id if task is not None else "",
        instruction=task.instruction if task is not None else "",
        policy=task.policy if task is not None else "",
        synchronous=bool(reason),
        synchronous_reason=reason,
        horizon_left=nan if plan is None else pace.left_s(plan.horizon_end_ns, now_ns),
        plan_left=nan if plan is None else pace.left_s(plan.end_ns, now_ns),
        request_threshold=nan if trigger is None else trigger.threshold_s,
        request_in_flight=trigger is not None and trigger.in_flight is not None,
        observation_age=nan if plan is None else (now_ns - plan.observed_ns) * 1e-9,
        seam_gap=smoothness.seam_gap,
        seam_step_velocity=smoothness.seam_step_velocity,
        seam_step_acceleration=smoothness.seam_step_acceleration,
        jerk_rms=smoothness.jerk_rms,
        latency_p50=latency(0.5),
        latency_p95=latency(0.95),
        latency_p99=latency(0.99),
        tick_error_p50=errors[0],
        tick_error_p99=errors[1],
        join=task.execution.join if task is not None else "",
        speed_scale=pace.speed(now_ns),
        shadow=session.settings.shadow,
        observation_age_p50=ages[0],
        observation_age_p95=ages[1],
        observation_age_max=ages[2],
        sample_age=nan if plan is None else (now_ns - plan.sampled_ns) * 1e-9,
        chunk_rate=meters.chunk_rate,
        stage_names=tuple(stages),
        stage_p50=tuple(stages.values()),
        overlap_rms=smoothness.overlap_rms,
        jerk_peak=smoothness.jerk_peak,
        tick_error_max=errors[2],
        stop_time=meters.stop_time,
        starved_longest=meters.starved_longest,
        command_gap_max=meters.command_gap_max,
        **vars(session.counters),
    )
