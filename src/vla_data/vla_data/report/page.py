"""The report as one HTML file that needs nothing else: no network, no other file but the film."""

from __future__ import annotations

from html import escape
from pathlib import Path

from vla_data.checker import Execution, judge_execution
from vla_data.checker.execution import join
from vla_data.recording import Recording
from vla_data.report import figures
from vla_data.report.metrics import EpisodeMetrics, Metrics
from vla_data.report.table import figures as figures_of
from vla_data.report.table import pair, seconds, title

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")

LEGEND = (
    ("command", "commanded"),
    ("measured", "measured"),
    ("chunk0", "chunks of the policy"),
    ("seam", "seam"),
    ("limit", "position limit"),
)


def make_page(recording: Recording, metrics: Metrics, film: str = "") -> str:
    """Return the page's HTML."""
    executions = [
        judge_execution(recording, episode.start_ns, episode.end_ns)
        for episode in metrics.episodes
    ]
    episodes = "".join(
        _episode(recording, episode, execution, number)
        for number, (episode, execution) in enumerate(
            zip(metrics.episodes, executions, strict=True), start=1
        )
    )
    name = escape(f"{metrics.robot} with policy {metrics.policy}")
    video = (
        f'<video controls muted preload="metadata" src="{escape(film)}"></video>' if film else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE.read_text()}</style></head><body><main>"
        f"<header><h1>{name}</h1>{_summary(metrics)}</header>{_cards(metrics)}{video}"
        f"<h2>Episodes</h2>{_table(metrics)}{_violations(metrics)}"
        f"<h2>Commands, chunks and seams</h2>{_legend()}{episodes}"
        "<h2>Timing and seams of the whole run</h2>"
        f'<div class="charts">{figures.distributions(recording, join(executions))}</div>'
        f"{_footer(recording)}</main><script>{SCRIPT.read_text()}</script></body></html>\n"
    )


def _summary(metrics: Metrics) -> str:
    count = len(metrics.episodes)
    words = f"{count} episode{'s' if count != 1 else ''}, {metrics.total.ticks} ticks"
    note = f'<p class="note">{escape(metrics.note)}</p>' if metrics.note else ""
    return (
        f"<p>{words}. Judged from the recorded commands, not by the executor's counters.</p>{note}"
    )


def _cards(metrics: Metrics) -> str:
    cards = []
    for name, value, good in figures_of(metrics):
        style = "" if good is None else "good" if good else "bad"
        cards.append(
            f'<div class="card {style}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        )
    return f'<section class="cards">{"".join(cards)}</section>'


def _table(metrics: Metrics) -> str:
    heads = (
        "episode", "seed", "success", "time", "age p50 / p95", "starved", "violations",
        "interventions", "request to chunk", "seam step p95", "jerk RMS",
    )  # fmt: skip
    rows = "".join(_row(episode, i) for i, episode in enumerate(metrics.episodes, start=1))
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _row(episode: EpisodeMetrics, number: int) -> str:
    success = {True: "yes", False: "no", None: "?"}[episode.success]
    style = {True: "good", False: "bad", None: ""}[episode.success]
    cells = (
        (escape(title(episode, number)), "left"),
        ("" if episode.seed is None else str(episode.seed), ""),
        (success, style),
        (seconds(episode.task_time_s), ""),
        (pair(episode.observation_age_p50_s, episode.observation_age_p95_s), ""),
        (str(episode.starved_ticks), "bad" if episode.starved_ticks else "good"),
        (str(episode.limit_violations), "bad" if episode.limit_violations else "good"),
        (str(episode.limit_interventions), ""),
        (pair(episode.answer_p50_s, episode.answer_p95_s), ""),
        (f"{episode.seam_step_velocity_p95:.3f} rad/s", ""),
        (f"{episode.jerk_rms:.1f} rad/s³", ""),
    )
    return "<tr>" + "".join(f'<td class="{style}">{text}</td>' for text, style in cells) + "</tr>"


def _violations(metrics: Metrics) -> str:
    if not metrics.violations:
        return ""
    shown = "".join(f"<li>{escape(str(violation))}</li>" for violation in metrics.violations[:50])
    return f'<h2>Violations</h2><ul class="bad">{shown}</ul>'


def _legend() -> str:
    items = "".join(f'<span><i class="key {name}"></i>{words}</span>' for name, words in LEGEND)
    return f'<p class="legend">{items}</p>'


def _episode(
    recording: Recording, episode: EpisodeMetrics, execution: Execution, number: int
) -> str:
    is_open = " open" if number == 1 else ""
    verdict = {True: "done", False: "not done", None: ""}[episode.success]
    style = {True: "good", False: "bad", None: ""}[episode.success]
    return (
        f"<details{is_open}><summary>{escape(title(episode, number))} "
        f'<em class="{style}">{verdict}</em> '
        f"<small>{seconds(episode.task_time_s)}</small></summary>"
        f'<div class="charts group">{figures.plan_charts(recording, episode, execution)}'
        f"{figures.timing_chart(recording, episode)}</div></details>"
    )


def _footer(recording: Recording) -> str:
    texts = [
        f"<details><summary>{kind}</summary><pre>{escape(text)}</pre></details>"
        for kind in ("contract", "policy", "notes")
        for text in recording.texts[kind]
        if text.strip()
    ]
    return f"<h2>Made with</h2>{''.join(texts)}<footer>bag: {escape(recording.path.name)}</footer>"
