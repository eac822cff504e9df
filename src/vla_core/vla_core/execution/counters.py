"""What is counted while a task runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Counted since the task began; names as in `Snapshot`."""

    ticks: int = 0
    starved_ticks: int = 0  # held for want of a plan, after the first chunk, asynchronous
    chunks_accepted: int = 0
    chunks_rejected: int = 0
    rows_dropped_late: int = 0
    requests_sent: int = 0
    requests_by_threshold: int = 0  # while the plan still had rows
    requests_failed: int = 0
    requests_timed_out: int = 0
    rows_accepted: int = 0  # of accepted chunks, late ones among them
    rows_clamped: int = 0  # a little outside the limits
    mode_switches: int = 0  # plans too far apart to be joined
    corrections_used: int = 0
    command_gaps: int = 0  # more than one and a half steps between two commands in motion
    limit_interventions: int = 0  # ticks in which a column could not follow the plan
