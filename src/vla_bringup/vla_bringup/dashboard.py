"""What ``vla top`` shows, as rich renderables. Pure: from the newest messages to a table."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from vla_bringup.cli.common import mode_markup

WINDOW_S = 2.0


@dataclass
class Rate:
    """Messages per second within the newest two seconds."""

    _times_s: deque[float] = field(default_factory=deque)

    def count(self, now_s: float) -> None:
        """Count one message."""
        self._times_s.append(now_s)

    def hz(self, now_s: float) -> float:
        """Return the rate; 0 when nothing came."""
        while self._times_s and self._times_s[0] < now_s - WINDOW_S:
            self._times_s.popleft()
        return len(self._times_s) / WINDOW_S


@dataclass
class Seen:
    """The newest of everything; None: nothing came yet."""

    executor: Any = None  # ExecutorState
    policy: Any = None  # PolicyState
    real_time_factor: float = math.nan
    rates: dict[str, Rate] = field(default_factory=dict)
    executor_at_s: float = -math.inf


def render(robot: str, seen: Seen, now_s: float) -> RenderableType:
    """Return the dashboard."""
    state = seen.executor
    if state is None:
        return Panel("waiting for executor/state", title=f"vla top  {robot}")
    silent = now_s - seen.executor_at_s
    lost = f"  [red]silent for {silent:.1f} s[/]" if silent > 1.0 else ""
    head = f"{mode_markup(state.mode)}  {escape(state.reason)}{lost}"
    if state.task_id:
        head += f"\n[bold]{escape(state.instruction)}[/]  [dim]({escape(state.policy)})[/]"
    if state.synchronous:
        head += f"\n[yellow]synchronous[/] {escape(state.synchronous_reason)}"
    columns = Table.grid(padding=(0, 4))
    columns.add_row(
        _table("plan", PLAN, state),
        _table("latency", LATENCY, state, seen.policy),
        _table("counters", COUNTERS, state),
    )
    return Panel(
        Group(head, "", columns, "", _rates(seen, now_s)), title=f"vla top  {escape(robot)}"
    )


def milliseconds(value: float) -> str:
    """Return seconds as milliseconds; a dash where there is none."""
    return "-" if math.isnan(value) else f"{1e3 * value:.0f} ms"


def number(digits: int, unit: str = "") -> Callable[[float], str]:
    """Return what formats a number; a dash where there is none."""
    return lambda value: "-" if math.isnan(value) else f"{value:.{digits}f}{unit}"


Row = tuple[str, str, Callable[[Any], str]]  # label, field, format
PLAN: tuple[Row, ...] = (
    ("horizon left", "horizon_left", milliseconds),
    ("plan left", "plan_left", milliseconds),
    ("asks below", "request_threshold", milliseconds),
    ("request in flight", "request_in_flight", lambda value: "yes" if value else "no"),
    ("seam gap", "seam_gap", number(4, " rad")),
    ("seam step", "seam_step_velocity", number(3, " rad/s")),
    ("jerk (RMS)", "jerk_rms", number(1, " rad/s³")),
)
LATENCY: tuple[Row, ...] = (
    ("observation age", "observation_age", milliseconds),
    ("answer p50", "latency_p50", milliseconds),
    ("answer p95", "latency_p95", milliseconds),
    ("tick error p50", "tick_error_p50", lambda value: number(2, " ms")(1e3 * value)),
    ("tick error p99", "tick_error_p99", lambda value: number(2, " ms")(1e3 * value)),
)
COUNTERS: tuple[Row, ...] = tuple(
    (label, name, str)
    for label, name in (
        ("ticks", "ticks"),
        ("starved ticks", "starved_ticks"),
        ("chunks accepted", "chunks_accepted"),
        ("chunks rejected", "chunks_rejected"),
        ("rows dropped late", "rows_dropped_late"),
        ("requests sent", "requests_sent"),
        ("requests failed", "requests_failed"),
        ("requests timed out", "requests_timed_out"),
        ("limit interventions", "limit_interventions"),
    )
)


def _table(title: str, rows: tuple[Row, ...], state: Any, policy: Any = None) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_row(f"[cyan]{title}[/]", "")
    for label, name, text in rows:
        table.add_row(label, text(getattr(state, name)))
    if policy is not None:
        table.add_row("inference p50", milliseconds(policy.latency_p50))
        ready = "ready" if policy.ready else f"[red]{escape(policy.reason)}[/]"
        table.add_row("policy", ready)
    return table


def _rates(seen: Seen, now_s: float) -> str:
    parts = [f"{name} {rate.hz(now_s):.1f} Hz" for name, rate in seen.rates.items()]
    if not math.isnan(seen.real_time_factor):
        colour = "green" if seen.real_time_factor >= 0.98 else "red"
        parts.append(f"real-time factor [{colour}]{seen.real_time_factor:.3f}[/]")
    return "   ".join(parts)
