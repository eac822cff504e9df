"""The charts of the page: what was planned and commanded, how fresh, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vla_data.checker import Execution
from vla_data.recording import Recording
from vla_data.records import MODES, NS, Chunk, Command, State
from vla_data.report import svg
from vla_data.report.metrics import EpisodeMetrics

Floats = NDArray[np.float64]

LEAST_SPAN = 0.1  # of a plot's values [rad, m]: noise must not fill it
NAMED = 0.1  # share of an answer from which a stage's name is written below it
WIDE = (1220, 150)


def plan_charts(recording: Recording, episode: EpisodeMetrics, execution: Execution) -> str:
    """Return one chart per column: chunks, commands, measured positions, seams."""
    name, receiver = next(iter(recording.robot.receivers.items()))
    commands = [
        c for c in recording.commands[name] if episode.start_ns <= c.stamp_ns <= episode.end_ns
    ]
    chunks = played_chunks(recording, episode, execution)
    seams = ((execution.seams_ns - episode.start_ns) / NS).tolist()
    charts = [
        _plan_chart(recording, episode, commands, chunks, seams, column, i)
        for i, column in enumerate(receiver.columns)
    ]
    return "".join(charts)


def _plan_chart(
    recording: Recording,
    episode: EpisodeMetrics,
    commands: Sequence[Command],
    chunks: Sequence[Chunk],
    seams: Sequence[float],
    name: str,
    index: int,
) -> str:
    start = episode.start_ns
    told = np.array([c.positions[0, index] for c in commands])
    due = np.array([(c.stamp_ns + c.times_ns[0] - start) / NS for c in commands])
    at, measured = _measured(recording, episode, name)
    known = [v for v in (told, measured) if len(v)]
    joined = np.concatenate(known) if known else np.zeros(1)
    half = max(LEAST_SPAN, float(np.ptp(joined))) * 0.58
    middle = float(joined.min() + joined.max()) / 2
    column = recording.robot.columns[name]
    chart = svg.Chart(
        name.replace("_", " "),
        (0.0, episode.task_time_s),
        (middle - half, middle + half),
        y_unit=recording.robot.unit(name),
        kind="timed",
    )
    for limit in (column.lower, column.upper):
        chart.level(limit, "limit")
    for number, chunk in enumerate(chunks):
        if name in chunk.columns:
            rows = (chunk.start_ns - start + np.arange(len(chunk.values)) * chunk.step_ns) / NS
            values = chunk.values[:, chunk.columns.index(name)]
            chart.line(rows, values, f"chunk{number % 2}")
    chart.line(at, measured, "measured")
    chart.line(due, told, "command")
    chart.marks(seams, "seam")
    return chart.render()


def timing_chart(recording: Recording, episode: EpisodeMetrics) -> str:
    """Return modes, requests and observation age over the time of one episode."""
    start = episode.start_ns
    states = [s for s in recording.states if start <= s.stamp_ns <= episode.end_ns]
    times = np.array([(s.stamp_ns - start) / NS for s in states])
    ages = np.array([s.fields.get("observation_age", np.nan) for s in states]) * 1000
    known = ages[np.isfinite(ages)]
    top = float(known.max()) * 1.25 if len(known) else 1.0
    chart = svg.Chart(
        "observation age, requests (bars: request to chunk) and mode",
        (0.0, episode.task_time_s),
        (-0.28 * top, top),
        WIDE,
        y_unit="ms",
        kind="timed wide",
    )
    for first, until, mode, reason in _modes(states, episode):
        span = ((first - start) / NS, (until - start) / NS)
        chart.box(span, (-0.28 * top, -0.18 * top), f"mode-{mode}", f"{mode}: {reason}")
    for sent, arrived, tip in _answers(recording, episode):
        chart.box((sent, arrived), (-0.13 * top, -0.05 * top), "answer", tip)
    chart.line(times, ages, "command")
    return chart.render()


def _modes(
    states: Sequence[State], episode: EpisodeMetrics
) -> Iterator[tuple[int, int, str, str]]:
    """Yield begin, end, mode and reason of each stretch in which they were the same."""
    groups = [list(group) for _, group in groupby(states, key=lambda s: (s.mode, s.reason))]
    for i, group in enumerate(groups):
        until = groups[i + 1][0].stamp_ns if i + 1 < len(groups) else episode.end_ns
        yield group[0].stamp_ns, until, MODES[group[0].mode], group[0].reason


def distributions(recording: Recording, execution: Execution) -> str:
    """Return the distributions of ages, answers, ticks at the receiver, and the seams."""
    requests = {(r.epoch, r.request_id): r.arrived_ns for r in recording.requests}
    answers = np.array(
        [
            (chunk.arrived_ns - requests[key]) / NS * 1000
            for chunk in recording.chunks
            if (key := (chunk.epoch, chunk.request_id)) in requests
        ]
    )
    charts = [
        svg.histogram("observation age at execution", execution.ages_s * 1000, "ms"),
        svg.histogram("request to chunk", answers, "ms"),
        svg.histogram("time between commands, as they arrived", _intervals(recording), "ms"),
        _stages(recording),
        _seams(execution),
    ]
    return "".join(charts)


def _intervals(recording: Recording) -> Floats:
    """Return the times between commands of one tick after the other [ms]."""
    found = []
    for commands in recording.commands.values():
        stamps = np.array([command.stamp_ns for command in commands], np.int64)
        arrived = np.array([command.arrived_ns for command in commands], np.int64)
        following = np.diff(stamps) <= 2 * recording.robot.step_ns
        found.append(np.diff(arrived)[following] / NS * 1000)
    return np.concatenate(found) if found else np.zeros(0)


def _stages(recording: Recording) -> str:
    """Return the median time of each stage of an answer."""
    names = list(dict.fromkeys(name for chunk in recording.chunks for name in chunk.stages_ns))
    if not names:
        return ""
    medians = [
        float(np.median([chunk.stages_ns.get(name, 0) for chunk in recording.chunks])) / NS * 1000
        for name in names
    ]
    chart = svg.Chart(
        "stages of an answer, median",
        (0.0, max(sum(medians), 1e-3)),
        (0.0, 1.0),
        x_unit="ms",
        y_ticks=0,
    )
    left = 0.0
    for i, (name, value) in enumerate(zip(names, medians, strict=True)):
        chart.box((left, left + value), (0.4, 0.9), f"stage{i % 5}", f"{name}: {value:.2f} ms")
        if value > NAMED * sum(medians):
            chart.words(left + value / 2, 0.25, name)
        left += value
    return chart.render()


def _seams(execution: Execution) -> str:
    gaps, steps = execution.seam_gaps, execution.seam_steps_velocity
    if not len(gaps) or len(gaps) != len(steps) or not np.isfinite(gaps).any():
        return ""
    top = (float(np.nanmax(gaps)) * 1.1, max(float(steps.max()) * 1.1, 0.01))
    chart = svg.Chart(
        "seams: step of velocity [rad/s] over gap [rad]", (0, top[0]), (0, top[1]), x_unit="rad"
    )
    chart.dots(gaps, steps, "dot")
    return chart.render()


def played_chunks(
    recording: Recording, episode: EpisodeMetrics, execution: Execution
) -> list[Chunk]:
    """Return the chunks of an episode as they were played: a first one may start later."""
    shifts = execution.shifts_ns
    return [
        replace(chunk, start_ns=chunk.start_ns + shifts.get((chunk.epoch, chunk.request_id), 0))
        for chunk in recording.chunks
        if episode.start_ns <= chunk.start_ns + chunk.step_ns and chunk.start_ns <= episode.end_ns
    ]


def _answers(recording: Recording, episode: EpisodeMetrics) -> list[tuple[float, float, str]]:
    chunks = {(chunk.epoch, chunk.request_id): chunk for chunk in recording.chunks}
    found = []
    for request in recording.requests:
        chunk = chunks.get((request.epoch, request.request_id))
        if chunk is None or not episode.start_ns <= request.sent_ns <= episode.end_ns:
            continue
        arrived = recording.clock.to_ros(chunk.arrived_ns)
        lasted = (chunk.arrived_ns - request.arrived_ns) / NS * 1000
        span = [(ns - episode.start_ns) / NS for ns in (request.sent_ns, arrived)]
        found.append((span[0], span[1], f"request {request.request_id}: {lasted:.1f} ms"))
    return found


def _measured(recording: Recording, episode: EpisodeMetrics, name: str) -> tuple[Floats, Floats]:
    for series in recording.series.values():
        if name in series.entries:
            inside = (series.stamps_ns >= episode.start_ns) & (series.stamps_ns <= episode.end_ns)
            at = (series.stamps_ns[inside] - episode.start_ns) / NS
            return at, series.values[inside, series.entries.index(name)]
    return np.zeros(0), np.zeros(0)
