"""Task success of a policy through the whole graph over real DDS, in seeded episodes.

    ./vla shell python benchmarks/task_success.py --policy demo --json out.json
    ... --robot hsr --per-task 20 --table docs/task_success.md
    ... --latency 0.4          each answer later by this [s]
    ... --variant swap         another instruction in mid-task: does it follow the new one?
    ... --variant nonsense     an instruction without meaning: success must be at chance
    ... --quick                a few episodes, under a minute

Everything but success comes from the recording of the run, by the independent checker, which
judges every command as its receiver got it. Below a real-time factor of 0.98 the figures are
marked as not valid. Takes about the sum of the tasks' times: 20 episodes of each of the HSR's
five tasks 17 minutes, of the Go2's three 8 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from vla_bringup import paths
from vla_bringup.cli.common import add_graph
from vla_bringup.cli.demo import FIRST_SEED, judged
from vla_bringup.cli.up import graph_from
from vla_bringup.client import Outcome
from vla_bringup.session import Episode, Session, running, stay_private
from vla_core.errors import ConfigurationError
from vla_core.metrics import wilson
from vla_data.checker import Violation
from vla_data.recording import Recording
from vla_data.report import compute, table
from vla_data.report.metrics import EpisodeMetrics, Metrics
from vla_testing import tables

VALID_REAL_TIME_FACTOR = 0.98
NONSENSE = "colorless ideas sleep furiously"
EPISODES = {"plain": 60, "swap": 20, "nonsense": 24}
QUICK = {"plain": 6, "swap": 4, "nonsense": 3}


@dataclass(frozen=True)
class Trial:
    """One episode to play: what is said, and what counts as success."""

    instruction: str
    goal: str
    seed: int


def trials(variant: str, instructions: Sequence[str], count: int, seed: int) -> Iterator[Trial]:
    """Yield the episodes: each instruction equally often, each episode with a seed of its own."""
    for number in range(count):
        goal = instructions[number % len(instructions)]
        if variant == "swap":
            # Another cube and another pad, whatever the order of the list.
            other = instructions[(number + 1) % len(instructions)]
            yield Trial(other, goal, seed + number)
        elif variant == "nonsense":
            yield Trial(NONSENSE, goal, seed + number)
        else:
            yield Trial(goal, goal, seed + number)


def play(session: Session, trial: Trial, variant: str, arguments: argparse.Namespace) -> Episode:
    """Play one episode."""
    if variant == "plain":
        return session.episode(trial.goal, trial.seed, arguments.time_limit)
    session.prepare(trial.seed, trial.goal)
    began = time.monotonic()
    if variant == "swap":
        outcome = _swapped(session, trial, arguments)
    else:
        outcome = session.client.run_task(trial.instruction, time_limit_s=arguments.time_limit)
        outcome = replace(outcome, success=session.client.judge(trial.goal))
    return Episode(trial.goal, trial.seed, outcome, time.monotonic() - began)


def _swapped(session: Session, trial: Trial, arguments: argparse.Namespace) -> Outcome:
    """Begin with one instruction, go on with another while the arm moves."""
    handle = session.client.start_task(trial.instruction, time_limit_s=arguments.time_limit)
    session.client.wait_until(session.is_running, 20.0, "the first task did not begin")
    swap_at = time.monotonic() + arguments.swap_after
    while time.monotonic() < swap_at:
        session.client.spin(0.01)
    session.client.wait(handle.cancel_goal_async(), 5.0, "nobody took the cancel")
    session.client.result(handle, 10.0)
    return session.client.run_task(trial.goal, time_limit_s=arguments.time_limit)


def main() -> int:
    """Play all episodes and print the figures."""
    arguments = _arguments()
    console = Console(highlight=False)
    stay_private()
    arguments.seed += FIRST_SEED
    check_page(arguments)
    folder = arguments.output or Path(tempfile.mkdtemp(prefix="task_success_", dir=_runs()))
    graph = graph_from(arguments, record=folder, pictures=False)
    count = arguments.episodes or (QUICK if arguments.quick else EPISODES)[arguments.variant]
    if arguments.per_task:
        count = arguments.per_task * len(graph.instructions)
    episodes = []
    with running(graph, folder, console.print) as session:
        for trial in trials(arguments.variant, graph.instructions, count, arguments.seed):
            episode = play(session, trial, arguments.variant, arguments)
            episodes.append(episode)
            won = sum(e.outcome.success is True for e in episodes)
            console.print(
                f"{len(episodes):>3}/{count}  {trial.goal:<40} {episode.outcome.success!s:<5} "
                f"{episode.duration_s:5.1f} s   {won} of {len(episodes)}",
                soft_wrap=True,
            )
    return report(folder, episodes, arguments, console)


def report(
    folder: Path, episodes: Sequence[Episode], arguments: argparse.Namespace, console: Console
) -> int:
    """Print and write the figures; 1 if they are not valid or a command left its limits."""
    recording = Recording(folder / "bag")
    metrics = compute(recording, [judged(episode) for episode in episodes])
    console.print(table(metrics))
    text = "\n".join(summary(metrics))
    console.print(text, soft_wrap=True)
    factor = metrics.total.real_time_factor
    is_valid = factor >= VALID_REAL_TIME_FACTOR
    if not is_valid:
        console.print(f"not valid: real-time factor {factor:.3f}, below {VALID_REAL_TIME_FACTOR}")
    if arguments.json:
        won = sum(episode.outcome.success is True for episode in episodes)
        figures = {
            "variant": arguments.variant,
            "latency_injected_s": arguments.latency or 0.0,
            "succeeded": won,
            "valid": is_valid,
            **metrics.to_json(),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.table:
        tables.write_table(arguments.table, maker(arguments), text)
    return 0 if is_valid and not metrics.violations else 1


def summary(metrics: Metrics) -> Iterator[str]:
    """Yield lines in Markdown: a row per task and one for all, then what holds for the run."""
    head = ("Task", "Succeeded (95 % interval)", "Time, mean (longest)", "Starved ticks",
            "Violations", "Real-time factor, least")  # fmt: skip
    names = dict.fromkeys(episode.instruction for episode in metrics.episodes)
    groups = {n: [e for e in metrics.episodes if e.instruction == n] for n in names}
    rows = [_row(name, group, metrics.violations) for name, group in groups.items()]
    yield tables.table(head, [*rows, _row("all", metrics.episodes, metrics.violations)])
    total = metrics.total
    kinds = Counter(violation.kind for violation in metrics.violations)
    yield ""
    yield f"Policy `{total.policy}`, {total.ticks} ticks, {total.chunks} chunks played."
    yield (
        f"Observation age {1e3 * total.observation_age_p50_s:.0f} / "
        f"{1e3 * total.observation_age_p95_s:.0f} / {1e3 * total.observation_age_max_s:.0f} ms "
        f"(p50, p95, largest), request to chunk {1e3 * total.answer_p50_s:.0f} / "
        f"{1e3 * total.answer_p95_s:.0f} ms, {total.limit_interventions} interventions of the "
        "limiter."
    )
    named = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(kinds.items()))
    yield f"Violations in the whole recording, judged at the receivers: {named or 'none'}."


def _row(
    name: str, episodes: Sequence[EpisodeMetrics], violations: Sequence[Violation]
) -> list[str]:
    won = sum(episode.success is True for episode in episodes)
    low, high = wilson(won, len(episodes))
    times = [episode.task_time_s for episode in episodes]
    return [
        name,
        f"{won}/{len(episodes)} ({low:.2f} to {high:.2f})",
        f"{sum(times) / len(times):.1f} ({max(times):.1f}) s" if times else "–",
        f"{sum(e.starved_ticks for e in episodes)} of {sum(e.ticks for e in episodes)}",
        str(sum(e.start_ns <= v.stamp_ns <= e.end_ns for v in violations for e in episodes)),
        f"{min((e.real_time_factor for e in episodes), default=math.nan):.3f}",
    ]


def maker(arguments: argparse.Namespace) -> str:
    """Return the mark of a run's table: how it was made."""
    words = ["benchmarks/task_success.py", "--robot", arguments.robot]
    words += ["--policy", arguments.policy] if arguments.policy else []
    words += ["--latency", f"{arguments.latency:g}"] if arguments.latency else []
    words += ["--variant", arguments.variant] if arguments.variant != "plain" else []
    return " ".join(words)


def check_page(arguments: argparse.Namespace) -> None:
    """Refuse a page without a place for the table before an hour is spent on it."""
    if arguments.table and not tables.has_place(arguments.table, maker(arguments)):
        raise ConfigurationError(
            f"{arguments.table} has no place for '{maker(arguments)}': add a line "
            f"'<!-- made by {maker(arguments)} -->' and, below it, '<!-- end -->'."
        )


def _runs() -> Path:
    paths.runs().mkdir(parents=True, exist_ok=True)
    return paths.runs()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_graph(parser)
    parser.add_argument("--variant", choices=sorted(EPISODES), default="plain")
    parser.add_argument("--episodes", type=int, help="how many; default: by variant")
    parser.add_argument("--per-task", type=int, help="so many of each task, instead")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--swap-after", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--quick", action="store_true", help="a few episodes only")
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--table", type=Path, metavar="PAGE", help="rewrite its table of this run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
