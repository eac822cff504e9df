"""The figures for people: in the terminal, and as Markdown for the docs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from executor_vs_lerobot.figures import Figures
from executor_vs_lerobot.goals import Goal, Runs
from executor_vs_lerobot.scenario import Scenario

BEGIN, END = "<!-- figures -->\n", "<!-- end of the figures -->"
Row = tuple[str, Scenario, Figures]


def _number(value: float, digits: int = 1) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _pair(low: float, high: float, digits: int = 1) -> str:
    return f"{_number(low, digits)} / {_number(high, digits)}"


def _who(system: str, scenario: Scenario) -> str:
    if system == "lerobot":
        return "LeRobot" if scenario.mode == "async" else "LeRobot, g = 0"
    return f"ours, {scenario.join if scenario.mode == 'async' else 'synchronous'}"


def _starved(figures: Figures) -> str:
    return f"{figures.starved_ticks} of {figures.ticks}" + (" (sync)" * figures.synchronous)


COLUMNS: dict[str, Callable[[str, Scenario, Figures], str]] = {
    "Hz": lambda s, c, f: str(c.rate_hz),
    "latency": lambda s, c, f: c.latency + (f", {c.busy} busy" if c.busy else ""),
    "system": lambda s, c, f: _who(s, c),
    "done": lambda s, c, f: "yes" if f.succeeded else "no",
    "task [s]": lambda s, c, f: _number(f.task_time_s, 2),
    "lag [ms]": lambda s, c, f: _number(f.lag_ms, 0),
    "overhead p50 / p95 [ms]": lambda s, c, f: _pair(f.overhead_p50_ms, f.overhead_p95_ms),
    "age p50 / p95 [ms]": lambda s, c, f: _pair(f.age_p50_ms, f.age_p95_ms, 0),
    "starved": lambda s, c, f: _starved(f),
    "by threshold": lambda s, c, f: f"{f.by_threshold:.0%} of {f.requests}",
    "tick p50 / p99 [ms]": lambda s, c, f: _pair(f.tick_p50_ms, f.tick_p99_ms, 2),
    "seam v [rad/s]": lambda s, c, f: _number(f.seam_velocity, 3),
    "jerk [rad/s³]": lambda s, c, f: _number(f.jerk_rms, 0),
    "CPU": lambda s, c, f: f"{f.cpu_share:.0%}",
    "MB": lambda s, c, f: _number(f.memory_mb, 0),
}


def rows(runs: Runs) -> list[Row]:
    """Return the runs, what belongs together side by side."""
    found = [(system, scenario, figures) for (system, scenario), figures in runs.items()]
    order = {"constant": 0, "lognormal": 1}

    def key(row: Row) -> tuple[object, ...]:
        system, c, _ = row
        kind, _, numbers = c.latency.partition(":")
        seconds = float(numbers.split(",")[0])
        return (c.busy, c.way_s, c.rate_hz, seconds, order[kind], c.mode, system != "ours", c.join)

    return sorted(found, key=key)


def print_tables(runs: Runs, goals: Sequence[Goal]) -> None:
    """Print all runs and the goals."""
    console = Console(highlight=False)
    console.width = max(console.width, 190)  # cut off rather than folded
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for name in COLUMNS:
        grid.add_column(name)
    for row in rows(runs):
        grid.add_row(*(column(*row) for column in COLUMNS.values()))
    console.print(grid)
    verdict = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("goal", "wanted", "found", ""):
        verdict.add_column(name)
    for goal in goals:
        word = {True: "[green]met[/]", False: "[red]missed[/]", None: "[dim]not measured[/]"}
        verdict.add_row(goal.name, goal.wanted, goal.found, word[goal.is_met])
    console.print(verdict)


def markdown(runs: Runs, goals: Sequence[Goal], document: Mapping[str, object]) -> str:
    """Return the tables for the docs."""
    lines = [
        f"LeRobot {document['lerobot']}, {document['machine']}, {document['date']}, "
        f"load {document['load_average']:.1f}.",
        "",
        *_table(("Goal", "Wanted", "Found", ""), [_goal(goal) for goal in goals]),
        "",
        *_table(tuple(COLUMNS), [[c(*row) for c in COLUMNS.values()] for row in rows(runs)]),
    ]
    return "\n".join(lines) + "\n"


def put(path: Path, tables: str) -> None:
    """Put the tables between the marks of a document; a file without marks becomes the tables."""
    text = path.read_text() if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n{tables}\n{end}{after}" if begin and end else tables)


def _goal(goal: Goal) -> list[str]:
    return [goal.name, goal.wanted, goal.found, {True: "met", False: "**missed**", None: "–"}[
        goal.is_met
    ]]  # fmt: skip


def _table(names: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return lines + [f"| {' | '.join(row)} |" for row in body]
