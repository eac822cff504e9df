"""``vla tune``: which horizon, threshold and join suit a latency, before the robot moves.

The core's executor runs in lockstep, so minutes of robot time take seconds and the machine's load
does not matter; nothing of the graph is started. What is missing against the graph is its
transport, which a recorded latency contains.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vla_bringup import paths
from vla_bringup.graph import contract_files
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_core.execution.join import join_named
from vla_data.tuning.latency import FORMS, parse
from vla_data.tuning.robot import Setting
from vla_data.tuning.sweep import Grid, Proposal, policy_lines, propose, ranked, sweep
from vla_data.tuning.trial import Candidate, Score

SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--latency", default="lognormal:0.2,0.3", help=FORMS)
    source.add_argument("--bag", type=Path, help="a recording: its latency, chunks and contract")
    parser.add_argument("--robot", default="so101", help="folder in config/robots")
    parser.add_argument("--backend", default="sim", help="whose overlay of the contract is used")
    parser.add_argument("--rows", type=int, default=50, help="rows per chunk; a bag knows them")
    parser.add_argument("--rate", type=float, default=30.0, metavar="HZ", help="rows per second")
    parser.add_argument("--horizons", default="", metavar="ROWS,...", help="default: six shares")
    parser.add_argument("--thresholds", default="", metavar="auto,0.5,...", help="shares to try")
    parser.add_argument(
        "--joins", default="", metavar="NAME,...", help="the first is the main one"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="of the task, per run")
    parser.add_argument("--seeds", type=int, default=2, help="runs per candidate")
    parser.add_argument("--quick", action="store_true", help="a coarse grid, one run each")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the plot goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all scores here")


def main(arguments: argparse.Namespace) -> int:
    """Sweep, print, draw; 1 if nothing that was tried is good."""
    setting = setting_of(arguments)
    grid = grid_of(arguments, setting.rows)
    console = Console(highlight=False)
    console.width = max(console.width, 120)  # the table: cut off rather than folded
    console.print(
        f"{setting.contract.robot}, chunks of {setting.rows} rows in {setting.chunk_s:.2f} s, "
        f"latency {setting.latency.name}: median {setting.latency.median_s:.3f} s, "
        f"p99 {setting.latency.quantile(0.99):.3f} s",
        soft_wrap=True,
    )
    scores = _swept(setting, grid, console)
    proposal = propose(setting, scores)
    console.print(_table(scores, proposal))
    _tell(proposal, console)
    folder = arguments.output or paths.runs() / time.strftime("%Y-%m-%d_%H-%M-%S_tune")
    folder.mkdir(parents=True, exist_ok=True)
    from vla_data.tuning.plot import draw

    draw(folder / "tune.png", setting, scores, proposal)
    console.print(f"plot: {folder / 'tune.png'}", soft_wrap=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(to_json(setting, scores, proposal), indent=2) + "\n")
    return 0 if proposal.is_safe else 1


def setting_of(arguments: argparse.Namespace) -> Setting:
    """Return what is not tuned.

    Raises:
        ConfigurationError: a value that makes no sense, a bag that cannot be read.
    """
    if arguments.rows < 4 or arguments.rate <= 0 or arguments.seconds < 2 or arguments.seeds < 1:
        raise ConfigurationError(
            "tune: expected --rows of at least 4, --rate above 0, --seconds of at least 2 and "
            f"--seeds of at least 1, got {arguments.rows}, {arguments.rate:g}, "
            f"{arguments.seconds:g} and {arguments.seeds}"
        )
    if arguments.bag is not None:
        from vla_data.tuning.recorded import setting_from

        return setting_from(arguments.bag, arguments.seconds)
    contract = load_contract(contract_files(paths.root(), arguments.robot, arguments.backend))
    step_ns = round(1e9 / arguments.rate)
    return Setting(contract, arguments.rows, step_ns, parse(arguments.latency), arguments.seconds)


def grid_of(arguments: argparse.Namespace, rows: int) -> Grid:
    """Return what is tried for chunks of so many rows.

    Raises:
        ConfigurationError: a horizon, threshold or join that cannot be.
    """
    grid = Grid.usual(rows, arguments.seeds)
    if arguments.quick:
        grid = replace(grid, horizons=grid.horizons[::2], thresholds=(None, 0.5), seeds=1)
    try:
        if arguments.horizons:
            grid = replace(grid, horizons=tuple(int(h) for h in arguments.horizons.split(",")))
        if arguments.thresholds:
            words = arguments.thresholds.split(",")
            shares = tuple(None if word == "auto" else float(word) for word in words)
            grid = replace(grid, thresholds=shares)
    except ValueError as error:
        raise ConfigurationError(f"tune: a list of numbers was expected: {error}") from error
    if arguments.joins:
        grid = replace(grid, joins=tuple(arguments.joins.split(",")))
    for join in grid.joins:
        join_named(join)
    if "rtc" in grid.joins:
        raise ConfigurationError("tune: 'rtc' asks for a policy that continues a prefix")
    if any(not 1 <= h <= rows for h in grid.horizons):
        raise ConfigurationError(f"tune: expected horizons of 1 to {rows} rows")
    if any(t is not None and not 0 < t < 1 for t in grid.thresholds):
        raise ConfigurationError("tune: expected thresholds between 0 and 1, or auto")
    return grid


def to_json(
    setting: Setting, scores: dict[Candidate, Score], proposal: Proposal
) -> dict[str, object]:
    """Return everything as plain data."""
    return {
        "robot": setting.contract.robot,
        "rows": setting.rows,
        "step_s": setting.step_ns * 1e-9,
        "latency": setting.latency.name,
        "latency_p99_s": setting.latency.quantile(0.99),
        "proposal": {
            **vars(proposal.candidate),
            "reason": proposal.reason,
            "safe": proposal.is_safe,
        },
        "candidates": [{**vars(c), **s.to_json()} for c, s in scores.items()],
    }


def _swept(setting: Setting, grid: Grid, console: Console) -> dict[Candidate, Score]:
    columns = (
        TextColumn("{task.description:32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=grid.count)
        return sweep(setting, grid, lambda words: bar.update(task, advance=1, description=words))


def _table(scores: dict[Candidate, Score], proposal: Proposal) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in (
        "", "join", "rows", "ask", "done", "starved", "age p50 / p95", "seam v", "jerk", "lag",
        "task", "inferring",
    ):  # fmt: skip
        grid.add_column(name, justify="left" if name in ("", "join", "ask") else "right")
    order = [*ranked(scores)[:SHOWN], *(c for c in scores if c.synchronous)]
    for candidate in order:
        s, is_best = scores[candidate], candidate == proposal.candidate
        grid.add_row(
            ">" if is_best else "",
            "synchronous" if candidate.synchronous else candidate.join,
            str(candidate.horizon_rows),
            "" if candidate.synchronous else _asked(candidate),
            f"{s.succeeded:.0%}",
            f"{s.starved:.1%}" + (" (sync)" if s.synchronous > 0.001 else ""),
            f"{1e3 * s.age_p50_s:.0f} / {1e3 * s.age_p95_s:.0f} ms",
            f"{s.seam_velocity:.3f}",
            f"{s.jerk_rms:.0f}",
            f"{1e3 * s.lag_s:.0f} ms",
            f"{s.task_time_s:.2f} s",
            f"{s.inference_duty:.0%}",
            style="bold" if is_best else "",
        )
    return grid


def _asked(candidate: Candidate) -> str:
    return "by latency" if candidate.threshold is None else f"at {candidate.threshold:g}"


def _tell(proposal: Proposal, console: Console) -> None:
    colour = "green" if proposal.is_safe else "yellow"
    console.print(f"[{colour}]{proposal.candidate.words}[/]: {proposal.reason}.", soft_wrap=True)
    console.print("in the policy's file:", style="dim")
    for line in policy_lines(proposal):
        console.print(f"  {line}", markup=False)
