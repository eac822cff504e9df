"""The figures of a run as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vla_data.report.metrics import EpisodeMetrics, Metrics

GOOD, BAD, UNKNOWN = "green", "red", "dim"
# Below this a simulation did not keep up, and what it says about timing is not valid.
LEAST_REAL_TIME_FACTOR = 0.98


def table(metrics: Metrics) -> RenderableType:
    """Return what is printed at the end of a run: one row per episode, then the figures."""
    parts: list[RenderableType] = [_episodes(metrics), _figures(metrics)]
    parts += [Text(f"violation: {violation}", BAD) for violation in metrics.violations[:5]]
    if len(metrics.violations) > 5:
        parts.append(Text(f"... and {len(metrics.violations) - 5} more violations", BAD))
    if metrics.note:
        parts.append(Text(metrics.note, "yellow"))
    return Group(*parts)


def _episodes(metrics: Metrics) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    columns = ("instruction", "success", "time", "age p50 / p95", "starved", "violations")
    for i, name in enumerate(columns):
        grid.add_column(name, justify="left" if i < 2 else "right", no_wrap=i > 0)
    for episode in metrics.episodes:
        grid.add_row(
            episode.instruction,
            success_text(episode.success),
            f"{episode.task_time_s:.1f} s",
            pair(episode.observation_age_p50_s, episode.observation_age_p95_s),
            counted(episode.starved_ticks),
            counted(episode.limit_violations),
        )
    return grid


def _figures(metrics: Metrics) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("", "")
    for name, value, good in figures(metrics):
        style = UNKNOWN if good is None else GOOD if good else BAD
        grid.add_row(name, Text(value, "" if good is None else style))
    return grid


def figures(metrics: Metrics) -> Iterator[tuple[str, str, bool | None]]:
    """Yield name, text, and whether that is good (None: neither) of each figure of the run."""
    total = metrics.total
    wins = sum(e.success is True for e in metrics.episodes)
    if metrics.judged:
        interval = f"{100 * metrics.success_low:.0f} to {100 * metrics.success_high:.0f} %"
        yield "success", f"{wins} of {metrics.judged} (95 % interval {interval})", wins > 0
    else:
        yield "success", "nobody judged", None
    yield "task time, mean", seconds(total.task_time_s), None
    yield (
        "observation age p50 / p95 / max",
        f"{pair(total.observation_age_p50_s, total.observation_age_p95_s)}"
        f" / {milliseconds(total.observation_age_max_s)}",
        None,
    )
    yield "starved ticks", f"{total.starved_ticks} of {total.ticks}", not total.starved_ticks
    yield "limit violations", str(total.limit_violations), not total.limit_violations
    yield "limit interventions", str(total.limit_interventions), None
    yield "seam gap, p95", f"{total.seam_gap_p95:.3f} rad", None
    yield (
        "seam step, p95",
        f"{total.seam_step_velocity_p95:.3f} rad/s, {total.seam_step_acceleration_p95:.2f} rad/s²",
        None,
    )
    yield "jerk, RMS", f"{total.jerk_rms:.1f} rad/s³", None
    yield "inference p50 / p95", pair(total.inference_p50_s, total.inference_p95_s), None
    yield "request to chunk p50 / p95", pair(total.answer_p50_s, total.answer_p95_s), None
    share = total.requests_by_threshold / total.requests if total.requests else math.nan
    yield "requests by threshold", f"{100 * share:.0f} % of {total.requests}", None
    factor = total.real_time_factor
    if math.isfinite(factor):
        yield "real-time factor, least", f"{factor:.3f}", factor >= LEAST_REAL_TIME_FACTOR


def success_text(success: bool | None) -> Text:
    """Return yes, no or a question mark."""
    if success is None:
        return Text("?", UNKNOWN)
    return Text("yes", GOOD) if success else Text("no", BAD)


def counted(number: int) -> Text:
    """Return a number of bad things."""
    return Text(str(number), BAD if number else GOOD)


def seconds(value: float) -> str:
    """Return seconds, a dash where not known."""
    return f"{value:.1f} s" if math.isfinite(value) else "–"


def milliseconds(value: float) -> str:
    """Return seconds as milliseconds, a dash where not known."""
    if not math.isfinite(value):
        return "–"
    return f"{value * 1000:.0f} ms" if abs(value) >= 0.01 else f"{value * 1000:.1f} ms"


def pair(low: float, high: float) -> str:
    """Return two times."""
    return f"{milliseconds(low)} / {milliseconds(high)}"


def title(episode: EpisodeMetrics, number: int) -> str:
    """Return what an episode is called."""
    return f"{number}. {episode.instruction or episode.task_id}"
