"""The trade-off as one picture: what each horizon and threshold costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.tuning.robot import Setting
from vla_data.tuning.sweep import Proposal
from vla_data.tuning.trial import Candidate, Score

PANELS: tuple[tuple[str, Callable[[Score], float]], ...] = (
    ("starved ticks [%]", lambda s: 100 * s.starved),
    ("observation age at execution, p95 [ms]", lambda s: 1e3 * s.age_p95_s),
    ("seam step of velocity [rad/s]", lambda s: s.seam_velocity),
    ("RMS jerk [rad/s³]", lambda s: s.jerk_rms),
    ("lag [ms]", lambda s: 1e3 * s.lag_s),
    ("task time [s]", lambda s: s.task_time_s),
)
NAMED = ("seam step of velocity [rad/s]", "RMS jerk [rad/s³]")  # where joins differ
INK, GRID, MARK, QUIET = "#1c2430", "#dfe4ea", "#d1495b", "#7a8594"
COLOURS = ("#00798c", "#edae49", "#66a182", "#8d6a9f", "#2e4057")


def draw(path: Path, setting: Setting, scores: dict[Candidate, Score], proposal: Proposal) -> None:
    """Write the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 6.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    for axis, (title, value) in zip(axes, PANELS, strict=True):
        _panel(axis, title, value, scores, proposal)
    axes[0].set_ylim(bottom=0.0, top=max(1.0, axes[0].get_ylim()[1]))
    axes[0].legend(fontsize=8, frameon=False, labelcolor=INK)
    figure.suptitle(
        f"{setting.contract.robot}: latency {setting.latency.name}, {setting.rows} rows in "
        f"{setting.chunk_s:.2f} s   proposed: {proposal.candidate.words}",
        color=INK,
        fontsize=11,
    )
    figure.savefig(path)


def _panel(
    axis: Any,
    title: str,
    value: Callable[[Score], float],
    scores: dict[Candidate, Score],
    proposal: Proposal,
) -> None:
    _style(axis, title)
    join = next(c.join for c in scores if not c.synchronous)
    thresholds = {c.threshold: None for c in scores if c.join == join and not c.synchronous}
    for threshold, colour in zip(thresholds, COLOURS, strict=False):
        line = sorted(
            (c.horizon_rows, value(s))
            for c, s in scores.items()
            if (c.join, c.threshold, c.synchronous) == (join, threshold, False)
        )
        label = "ask by latency" if threshold is None else f"ask at {threshold:g}"
        rows, values = zip(*line, strict=True)
        axis.plot(rows, values, "o-", color=colour, markersize=3.5, linewidth=1.3, label=label)
    _others(axis, value, scores, join, with_names=title in NAMED)
    best = proposal.candidate
    axis.plot(
        best.horizon_rows, value(proposal.score), "o", color=MARK, markersize=11,
        markerfacecolor="none", markeredgewidth=1.8, label="proposed",
    )  # fmt: skip


def _others(
    axis: Any,
    value: Callable[[Score], float],
    scores: dict[Candidate, Score],
    join: str,
    with_names: bool,
) -> None:
    """Mark the other joins by name, and what synchronous execution costs as a level."""
    for candidate, score in scores.items():
        at = value(score)
        if not np.isfinite(at):
            continue
        if candidate.synchronous:
            axis.axhline(at, color=QUIET, linestyle=":", linewidth=1.2, label="synchronous")
        elif candidate.join != join:
            axis.plot(candidate.horizon_rows, at, "x", color=QUIET, markersize=4)
            if not with_names:
                continue
            axis.annotate(
                candidate.join, (candidate.horizon_rows, at), fontsize=6, color=QUIET,
                xytext=(3, 1), textcoords="offset points",
            )  # fmt: skip


def _style(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=9, color=INK, loc="left")
    axis.set_xlabel("execution horizon [rows]", fontsize=8, color=INK)
    axis.tick_params(labelsize=8, colors=INK)
    axis.grid(color=GRID, linewidth=0.7)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
