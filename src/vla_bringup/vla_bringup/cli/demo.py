"""``vla demo``: instructions one after another in closed loop; metrics, video, report and bag."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from rich.console import Console

from vla_bringup import paths
from vla_bringup.cli.common import add_graph
from vla_bringup.cli.progress import ProgressLine
from vla_bringup.cli.up import graph_from
from vla_bringup.graph import Graph
from vla_bringup.session import Episode, running, stay_private
from vla_core.errors import ConfigurationError
from vla_data import report
from vla_data.report.film import LINGER_S
from vla_data.report.gif import make_gif

# Seeds of evaluation; demonstrations for training take lower ones (`vla_scenes.layout`).
FIRST_SEED = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_graph(parser)
    parser.add_argument("--episodes", type=int, help="how many; default: each instruction once")
    parser.add_argument("--instruction", help="only this one, instead of the demo's")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: .vla/runs/TIME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics there")
    parser.add_argument("--no-video", action="store_true", help="neither pictures nor video")
    parser.add_argument(
        "--gif", type=Path, metavar="FILE", help="also the film's first task, small, below 1 MB"
    )


def main(arguments: argparse.Namespace) -> int:
    """Play all episodes, then compute everything from the recording."""
    began = time.monotonic()
    stay_private()
    console = Console(highlight=False)
    folder = arguments.output or paths.runs() / time.strftime("%Y-%m-%d_%H-%M-%S_demo")
    if (folder / "bag").exists():
        raise ConfigurationError(f"{folder} has a recording already: choose another --output")
    if arguments.gif and arguments.no_video:
        raise ConfigurationError("--gif needs the video: leave --no-video out")
    arguments.seed += FIRST_SEED
    graph = graph_from(arguments, record=folder, pictures=not arguments.no_video)
    say_graph(console, graph, folder)
    episodes = play(graph, folder, arguments, console, began)
    with console.status("computing the metrics from the recording"):
        metrics = report.make_report(
            folder / "bag", folder, [judged(e) for e in episodes], video=not arguments.no_video
        )
    if arguments.gif:
        make_gif(folder / "video.mp4", arguments.gif, metrics.episodes[0].task_time_s + LINGER_S)
    if arguments.json:
        arguments.json.write_text(json.dumps(metrics.to_json(), indent=2) + "\n")
    console.print(report.table(metrics))
    console.print(f"everything is in {folder}", soft_wrap=True)
    return 0


def judged(episode: Episode) -> report.Episode:
    """Return what only the one who asked knows of an episode."""
    outcome = episode.outcome
    return report.Episode(
        task_id=outcome.task_id,
        instruction=episode.instruction,
        seed=episode.seed,
        success=outcome.success,
        ended=outcome.how,
        duration_s=episode.duration_s,
    )


def say_graph(console: Console, graph: Graph, folder: Path) -> None:
    """Say what is about to run."""
    console.print(
        f"[bold]{graph.robot}[/] ({graph.backend}) with policy [bold]{graph.policy}[/]",
        f"  output: {folder}",
        sep="\n",
        soft_wrap=True,
    )


def play(
    graph: Graph, folder: Path, arguments: argparse.Namespace, console: Console, began: float
) -> list[Episode]:
    """Start the graph and do all episodes."""
    instructions = [arguments.instruction] if arguments.instruction else list(graph.instructions)
    if not instructions:
        raise ConfigurationError(
            f"robot '{graph.robot}' with backend '{graph.backend}' has no demo: there are no "
            "'instructions' in its backends.yaml. Give one with --instruction."
        )
    count = arguments.episodes or len(instructions)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    episodes = []
    with running(graph, folder, say) as session:
        say(f"all nodes active after {time.monotonic() - began:.1f} s")
        for number in range(count):
            instruction = instructions[number % len(instructions)]
            title = f"{number + 1:>2}/{count}  {instruction}"
            with ProgressLine(console, title) as line:
                episode = session.episode(
                    instruction, arguments.seed + number, arguments.time_limit, line.update
                )
                line.finish(verdict(episode))
            episodes.append(episode)
            if number == 0 and session.first_motion_s is not None:
                say(f"       first motion {session.first_motion_s - began:.1f} s after the start")
    return episodes


def verdict(episode: Episode) -> str:
    """Return how an episode went, in a few words."""
    words = {True: "success", False: "no success", None: "nobody judged"}
    outcome = episode.outcome
    text = f"{words[outcome.success]} after {episode.duration_s:.1f} s"
    return text if outcome.how == "completed" else f"{text} ({outcome.how}: {outcome.message})"
